//! Opening a zenoh session: explicit endpoints, no scouting.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zenoh::{Config, Session, Wait};
use zenoh_runtime::ZENOH_RUNTIME_ENV;

use super::link_error;
use super::threads::{on_one_thread, ONE_THREAD};
use crate::arm::{ArmError, ArmResult};

/// What an endpoint begins with whose link is encrypted.
const TLS: &str = "tls/";

/// How to reach the node and the camera. Nothing is searched for on the network: what isn't
/// named here isn't talked to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Endpoints to connect to, such as `tcp/127.0.0.1:7447`: the arm's node, and the camera's
    /// when it is another process.
    pub connect: Vec<String>,
    /// Endpoints to listen on; a client usually needs none.
    pub listen: Vec<String>,
    /// Certificates for `tls/` endpoints.
    pub tls: Option<TlsConfig>,
    /// A zenoh configuration file (JSON5) to start from; keys that are given here go before its own.
    pub zenoh_config: Option<PathBuf>,
}

/// Certificates for `tls/` endpoints, PEM files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The authority both sides trust.
    pub root_ca_certificate: Option<PathBuf>,
    /// This side's certificate, shown to the peer.
    pub certificate: Option<PathBuf>,
    /// The key of `certificate`.
    pub private_key: Option<PathBuf>,
    /// Whether both sides must show a certificate.
    pub mutual: bool,
}

impl LinkConfig {
    /// The same link with the paths of its files counted from `folder`, where they are relative.
    #[must_use]
    pub fn based_in(mut self, folder: &Path) -> Self {
        let files = self.tls.iter_mut().flat_map(|tls| {
            [
                &mut tls.root_ca_certificate,
                &mut tls.certificate,
                &mut tls.private_key,
            ]
        });
        for file in files.chain([&mut self.zenoh_config]).flatten() {
            *file = folder.join(&*file);
        }
        self
    }

    /// A link to one endpoint.
    pub fn to(endpoint: impl Into<String>) -> Self {
        LinkConfig {
            connect: vec![endpoint.into()],
            ..LinkConfig::default()
        }
    }
}

/// Opens the session `config` describes. An endpoint that isn't there yet is no error: zenoh
/// keeps trying, and the missing states are reported where they are needed.
///
/// TLS needs zenoh's threads arranged, see [`arrange_threads`](super::arrange_threads).
///
/// # Errors
/// [`ArmError::LinkFile`] when the configuration file or a certificate can't be used;
/// [`ArmError::Endpoint`] when an endpoint is none, or a `tls/` one has no certificates;
/// [`ArmError::Link`] when an option is refused, an endpoint can't be listened on, or a
/// `tls/` endpoint is named although zenoh sends and receives on several threads.
pub fn open(config: &LinkConfig) -> ArmResult<Session> {
    let (zenoh, [connect, listen]) = configuration(config)?;
    let opening = || format!("opening a session (connect {connect:?}, listen {listen:?})");
    if !on_one_thread() && connect.iter().chain(&listen).any(|e| e.starts_with(TLS)) {
        return Err(link_error(
            opening(),
            format!(
                "TLS fails in zenoh unless one thread sends and receives; start this program \
                 with {ZENOH_RUNTIME_ENV}='{ONE_THREAD}' in its environment"
            ),
        ));
    }
    zenoh::open(zenoh)
        .wait()
        .map_err(|e| link_error(opening(), e))
}

/// What zenoh is told, and the endpoints to connect to and to listen on; opens nothing.
///
/// # Errors
/// As [`open`], of what `config` and its files say.
pub fn configuration(config: &LinkConfig) -> ArmResult<(Config, [Vec<String>; 2])> {
    let mut zenoh = match &config.zenoh_config {
        Some(path) => Config::from_file(path).map_err(|e| bad_file(path, &e.to_string()))?,
        None => Config::default(),
    };
    let file = FileSettings::of(&zenoh);
    let or_own = |given: &Vec<String>, own: Vec<String>| match given[..] {
        [] => own,
        _ => given.clone(),
    };
    let connect = or_own(&config.connect, file.connect);
    let listen = or_own(&config.listen, file.listen);
    for endpoint in connect.iter().chain(&listen) {
        if let Some(reason) = endpoint_doubt(endpoint) {
            let endpoint = endpoint.clone();
            return Err(ArmError::Endpoint { endpoint, reason });
        }
    }
    if let (true, true, Some(path)) = (connect.is_empty(), listen.is_empty(), &config.zenoh_config)
    {
        if !file.multicast {
            return Err(bad_file(
                path,
                "it names no endpoint in connect.endpoints, and none is given beside it in robot.franka.link.connect",
            ));
        }
    }
    let mut set = |key: &str, value: serde_json::Value| {
        zenoh
            .insert_json5(key, &value.to_string())
            .map_err(|e| link_error(format!("setting {key} = {value}"), e))
    };
    if !file.has_mode {
        set("mode", "peer".into())?;
    }
    set("connect/endpoints", connect.clone().into())?;
    set("listen/endpoints", listen.clone().into())?;
    // Only what the file asks for in so many words is searched for.
    set("scouting/multicast/enabled", file.multicast.into())?;
    set("scouting/gossip/enabled", file.gossip.into())?;
    // A dead peer is noticed after this long; franka-node's own value.
    set("transport/link/tx/lease", 1000.into())?;
    if let Some(tls) = &config.tls {
        let files = [
            ("root_ca_certificate", &tls.root_ca_certificate),
            ("connect_certificate", &tls.certificate),
            ("connect_private_key", &tls.private_key),
            ("listen_certificate", &tls.certificate),
            ("listen_private_key", &tls.private_key),
        ];
        for (key, file) in files {
            if let Some(file) = file {
                std::fs::File::open(file).map_err(|e| ArmError::LinkFile {
                    path: file.clone(),
                    reason: format!(
                        "{e}; give PEM files as `foresight robot certificates` makes them"
                    ),
                })?;
                set(
                    &format!("transport/link/tls/{key}"),
                    file.display().to_string().into(),
                )?;
            }
        }
        set("transport/link/tls/enable_mtls", tls.mutual.into())?;
    }
    let tls = connect.iter().chain(&listen).find(|e| e.starts_with(TLS));
    if let (Some(endpoint), None, None) = (tls, &config.tls, &config.zenoh_config) {
        return Err(ArmError::Endpoint {
            endpoint: endpoint.clone(),
            reason: "tls/ takes certificates, and none are given; give their folder with --certificates, or their \
                     files in robot.franka.link.tls"
                .into(),
        });
    }
    Ok((zenoh, [connect, listen]))
}

/// What is wrong with an endpoint, and what to do; `None` of one that can be tried. zenoh itself finds some of
/// it only when it connects, and then tries for ever.
fn endpoint_doubt(endpoint: &str) -> Option<String> {
    let address = endpoint
        .strip_prefix("tcp/")
        .or_else(|| endpoint.strip_prefix(TLS));
    // Behind these stand zenoh's options.
    let address = address.and_then(|a| a.split(['?', '#']).next());
    let (host, port) = address.and_then(|a| a.rsplit_once(':')).unwrap_or_default();
    let sane = !host.is_empty() && !host.contains(['/', ' ']) && port.parse::<u16>().is_ok();
    (!sane).then(|| {
        "it isn't tcp/HOST:PORT or tls/HOST:PORT with a port up to 65535; give one such as tcp/127.0.0.1:7447".into()
    })
}

fn bad_file(path: &Path, reason: &str) -> ArmError {
    let reason = super::plain(reason);
    ArmError::LinkFile {
        path: path.to_path_buf(),
        reason: format!("{reason}; correct the file that robot.franka.link.zenoh_config names"),
    }
}

/// What a configuration file says of what is set here too.
#[derive(Debug, PartialEq)]
struct FileSettings {
    connect: Vec<String>,
    listen: Vec<String>,
    has_mode: bool,
    multicast: bool,
    gossip: bool,
}

impl FileSettings {
    /// Of a configuration as it was read, before anything is set.
    fn of(read: &Config) -> Self {
        let unset = Config::default();
        // A value that is zenoh's own default was not asked for.
        let said = |key: &str| {
            let value = read.get_json(key).ok()?;
            if unset.get_json(key).is_ok_and(|default| default == value) {
                return None;
            }
            serde_json::from_str::<serde_json::Value>(&value).ok()
        };
        let mode = said("mode").and_then(|mode| mode.as_str().map(str::to_owned));
        let mode_name = mode.clone().unwrap_or_else(|| "peer".to_owned());
        // One list, or one for each mode.
        let endpoints = |key: &str| {
            let value = said(key).unwrap_or_default();
            let list = value.get(&mode_name).unwrap_or(&value);
            let texts = list.as_array().into_iter().flatten();
            let texts = texts.filter_map(|v| v.as_str().map(str::to_owned));
            texts.collect()
        };
        let enabled = |key: &str| said(key).is_some_and(|v| v == true);
        FileSettings {
            connect: endpoints("connect/endpoints"),
            listen: endpoints("listen/endpoints"),
            has_mode: mode.is_some(),
            multicast: enabled("scouting/multicast/enabled"),
            gossip: enabled("scouting/gossip/enabled"),
        }
    }
}

#[cfg(test)]
#[path = "../../tests/unit/link_session.rs"]
mod tests;
