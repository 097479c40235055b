//! `foresight robot certificates`: who may connect, and what they may do.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_robot::certificates;
use foresight_robot::link::{ONE_THREAD, ZENOH_RUNTIME_ENV};

/// Arguments of `foresight robot certificates`.
#[derive(Debug, Args)]
pub(crate) struct CertificatesArgs {
    /// Folder for the authority, the four roles' certificates and keys, and the zenoh
    /// configurations of node and camera.
    #[arg(long, value_name = "DIR", default_value = "certificates")]
    out: PathBuf,
    /// Host name or address clients connect to; several are possible.
    #[arg(long, required = true, value_name = "HOST")]
    host: Vec<String>,
    /// Days until they expire.
    #[arg(long, default_value_t = 365)]
    days: u32,
}

/// Runs `foresight robot certificates`.
///
/// # Errors
/// When the folder holds an authority already or can't be written to.
pub(super) fn run(args: &CertificatesArgs) -> Result<()> {
    if !(1..=3650).contains(&args.days) {
        bail!("--days is {}; give 1 to 3650", args.days);
    }
    let written = certificates::create(&args.out, &args.host, args.days)?;
    for path in &written {
        println!("{}", path.display());
    }
    let folder = args.out.canonicalize().unwrap_or_else(|_| args.out.clone());
    let host = match args.host[0].parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => args.host[0].clone(),
    };
    eprintln!(
        "
franka-node's configuration, on its host:

    [zenoh]
    listen = [\"tls/0.0.0.0:7447\"]
    multicast_scouting = false
    zenoh_config = \"{0}/node.json5\"

franka-cam's: the same with port 7448 and {0}/camera.json5. Start both with one thread for TLS:

    {ZENOH_RUNTIME_ENV}='{ONE_THREAD}' franka-node node.toml

A scenario that drives the arm:

    [robot.franka.link]
    connect = [\"tls/{host}:7447\", \"tls/{host}:7448\"]

    [robot.franka.link.tls]
    root_ca_certificate = \"{0}/ca.pem\"
    certificate = \"{0}/planner.pem\"
    private_key = \"{0}/planner-key.pem\"
    mutual = true

Anyone who should watch and be able to stop:

    foresight robot stop --connect tls/{host}:7447 --certificates {0} --role viewer

Copy to each host only ca.pem and its own role's two files, correct the paths in the .json5 files
there, and keep ca-key.pem off the network: whoever has it can make any certificate.",
        folder.display()
    );
    Ok(())
}
