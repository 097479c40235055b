//! Certificates and access control for arms beyond one host: an authority of the lab's own, one
//! certificate for each role, and the zenoh configuration by which a node lets each role do what
//! it may and nothing else.
//!
//! | role | may |
//! |---|---|
//! | `node` | serve the arm |
//! | `camera` | publish frames, watch |
//! | `worker` | offer a model's rollouts to planners |
//! | `planner` | everything: take the lease, drive, stop, watch, ask workers |
//! | `viewer` | watch states and frames, `stop` and `gripper_stop` |
//!
//! Whoever shows no certificate of this authority doesn't get a connection; whoever shows one
//! with another name gets a connection on which every message is dropped.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{json, Value};
use time::{Duration, OffsetDateTime};

use crate::link::TlsConfig;

/// The roles certificates are made for; each is its certificate's common name.
pub const ROLES: [&str; 5] = ["node", "camera", "worker", "planner", "viewer"];
/// Those of them that others connect to.
const SERVING: [&str; 3] = ["node", "camera", "worker"];

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The folder holds certificates already; they are not overwritten.
    #[error("{} exists; give an empty folder: replacing an authority locks out everything it signed", .0.display())]
    Exists(PathBuf),
    /// A host name or address that can't be one.
    #[error("{0:?} is no host name or address; give one such as robot.local or 192.168.1.5, without tls/ and port")]
    Host(String),
    /// The library refused.
    #[error("making the certificate of '{name}': {reason}")]
    Make {
        /// Whose.
        name: String,
        /// Its own words.
        reason: String,
    },
    /// A file could not be written.
    #[error("can't write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Makes an authority and the roles' certificates in `folder`, valid for `days`, with the node's
/// and the camera's for `hosts` (names or addresses clients connect to), and the zenoh
/// configurations `node.json5` and `camera.json5` for franka-node's and franka-cam's
/// `zenoh_config`. Returns the files written.
///
/// # Errors
/// [`CertificateError`] when something is there already, a host makes no sense, or a file can't
/// be written.
pub fn create(
    folder: &Path,
    hosts: &[String],
    days: u32,
) -> Result<Vec<PathBuf>, CertificateError> {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&part.len()) && part.chars().all(plain)
    };
    let named = |host: &str| host.split('.').all(part) && host.contains(char::is_alphabetic);
    let is_one = |host: &str| host.parse::<IpAddr>().is_ok() || named(host);
    if let Some(host) = hosts.iter().find(|host| !is_one(host)) {
        return Err(CertificateError::Host(host.clone()));
    }
    let authority_file = folder.join("ca.pem");
    if authority_file.exists() {
        return Err(CertificateError::Exists(authority_file));
    }
    fs::create_dir_all(folder).map_err(|source| CertificateError::Write {
        path: folder.to_owned(),
        source,
    })?;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let valid = (
        OffsetDateTime::now_utc() - Duration::days(1),
        OffsetDateTime::now_utc() + Duration::days(i64::from(days)),
    );
    let mut written = Vec::new();
    let (authority, issuer, authority_key) = authority(valid)?;
    write(&folder, "ca.pem", &authority, false, &mut written)?;
    write(&folder, "ca-key.pem", &authority_key, true, &mut written)?;
    for role in ROLES {
        let serves = SERVING.contains(&role);
        let names = if serves { hosts } else { &[] };
        let (certificate, key) = certificate(role, names, valid, &issuer)?;
        write(
            &folder,
            &format!("{role}.pem"),
            &certificate,
            false,
            &mut written,
        )?;
        write(
            &folder,
            &format!("{role}-key.pem"),
            &key,
            true,
            &mut written,
        )?;
        if serves {
            let zenoh = serde_json::to_string_pretty(&zenoh_config(&folder, role));
            let text = zenoh.unwrap_or_default() + "\n";
            write(
                &folder,
                &format!("{role}.json5"),
                &text,
                false,
                &mut written,
            )?;
        }
    }
    Ok(written)
}

/// The certificates of `role` in a folder made by [`create`], for a client's link.
pub fn of_role(folder: &Path, role: &str) -> TlsConfig {
    TlsConfig {
        root_ca_certificate: Some(folder.join("ca.pem")),
        certificate: Some(folder.join(format!("{role}.pem"))),
        private_key: Some(folder.join(format!("{role}-key.pem"))),
        mutual: true,
    }
}

type Validity = (OffsetDateTime, OffsetDateTime);

fn failed(name: &str) -> impl Fn(rcgen::Error) -> CertificateError + '_ {
    move |e| CertificateError::Make {
        name: name.to_string(),
        reason: e.to_string(),
    }
}

fn authority(
    (from, until): Validity,
) -> Result<(String, Issuer<'static, KeyPair>, String), CertificateError> {
    let fail = failed("ca");
    let mut params = CertificateParams::new(Vec::new()).map_err(&fail)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params
        .distinguished_name
        .push(DnType::CommonName, "foresight lab authority");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (from, until);
    let key = KeyPair::generate().map_err(&fail)?;
    let certificate = params.self_signed(&key).map_err(&fail)?.pem();
    let key_pem = key.serialize_pem();
    Ok((certificate, Issuer::new(params, key), key_pem))
}

fn certificate(
    role: &str,
    hosts: &[String],
    (from, until): Validity,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<(String, String), CertificateError> {
    let fail = failed(role);
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(&fail)?;
    params.distinguished_name.push(DnType::CommonName, role);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    (params.not_before, params.not_after) = (from, until);
    let key = KeyPair::generate().map_err(&fail)?;
    let certificate = params.signed_by(&key, issuer).map_err(&fail)?.pem();
    Ok((certificate, key.serialize_pem()))
}

/// Writes a file, a secret one for its owner's eyes only.
fn write(
    folder: &Path,
    name: &str,
    text: &str,
    secret: bool,
    written: &mut Vec<PathBuf>,
) -> Result<(), CertificateError> {
    let path = folder.join(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = secret;
    options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| CertificateError::Write {
            path: path.clone(),
            source,
        })?;
    written.push(path);
    Ok(())
}

/// The zenoh configuration of a serving role: its certificate, and who may do what.
fn zenoh_config(folder: &Path, role: &str) -> Value {
    let file = |name: String| folder.join(name).display().to_string();
    json!({
        "transport": { "link": { "tls": {
            "root_ca_certificate": file("ca.pem".into()),
            "listen_certificate": file(format!("{role}.pem")),
            "listen_private_key": file(format!("{role}-key.pem")),
            "connect_certificate": file(format!("{role}.pem")),
            "connect_private_key": file(format!("{role}-key.pem")),
            "enable_mtls": true,
            "verify_name_on_connect": true,
            "close_link_on_expiration": true,
        } } },
        "access_control": access_control(),
    })
}

/// Who may do what on a serving session, by the common name of the certificate they show.
fn access_control() -> Value {
    let rule = |id: &str, messages: &[&str], flows: &[&str], keys: &[&str]| {
        json!({
            "id": id, "permission": "allow",
            "messages": messages, "flows": flows, "key_exprs": keys,
        })
    };
    let subject = |name: &str| json!({ "id": name, "cert_common_names": [name] });
    let both = ["ingress", "egress"];
    json!({
        "enabled": true,
        "default_permission": "deny",
        "rules": [
            rule("drive", &[
                "put", "delete", "declare_subscriber", "query", "reply", "declare_queryable",
                "liveliness_token", "declare_liveliness_subscriber", "liveliness_query",
            ], &both, &["franka/**"]),
            rule("ask workers", &["query", "reply", "declare_queryable"], &both,
                &["foresight/workers/**"]),
            rule("subscribe", &["declare_subscriber"], &["ingress"], &["franka/**"]),
            rule("be shown", &["put"], &["egress"], &["franka/**"]),
            rule("find the stop", &["declare_queryable"], &["egress"], &STOP_KEYS),
            rule("stop", &["query"], &["ingress"], &STOP_KEYS),
            rule("be answered", &["reply"], &["egress"], &STOP_KEYS),
            rule("show frames", &["put"], &["ingress"],
                &["franka/cam/**", "franka/node/*/status"]),
        ],
        "subjects": ROLES.map(subject),
        "policies": [
            { "rules": ["drive", "ask workers"], "subjects": ["planner"] },
            {
                "rules": ["subscribe", "be shown", "find the stop", "stop", "be answered"],
                "subjects": ["viewer", "camera"],
            },
            { "rules": ["show frames"], "subjects": ["camera"] },
        ],
    })
}

/// The commands anyone may give who may connect.
const STOP_KEYS: [&str; 2] = ["franka/*/cmd/stop", "franka/*/cmd/gripper_stop"];
