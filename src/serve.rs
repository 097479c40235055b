//! `foresight serve`: a model's encoding and rollouts for planners on other machines.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use foresight_predictor::{ComputeDevice, Precision, WorldModel};
use foresight_robot::link::{open, LinkConfig};
use foresight_workers::Worker;

use crate::logging::announce;
use crate::overrides::interruption;
use crate::workers::weights_sha256;

/// Arguments of `foresight serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Model folder with an encoder and a predictor.
    model: PathBuf,
    /// Endpoint to listen on; tls/ ones need --certificates.
    #[arg(long, default_value = "tcp/127.0.0.1:7450")]
    listen: String,
    /// Folder made by `foresight robot certificates`: the worker's certificate and access control are used.
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// Numbers that the networks' products are taken in: f32 or bf16.
    #[arg(long, default_value_t = Precision::Bf16)]
    precision: Precision,
    /// Where the networks compute: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what a
    /// GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
}

/// Runs `foresight serve` until Ctrl-C.
///
/// # Errors
/// When the model can't be used or the endpoint can't be listened on.
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let model = WorldModel::load_on(&args.model, args.device, args.precision)
        .with_context(|| format!("loading {}", args.model.display()))?;
    let sha256 = weights_sha256(&args.model)?;
    let session = open(&LinkConfig {
        listen: vec![args.listen.clone()],
        zenoh_config: args
            .certificates
            .as_ref()
            .map(|dir| dir.join("worker.json5")),
        ..LinkConfig::default()
    })?;
    let interrupted = interruption();
    let worker = Worker::start(&session, Arc::new(model), sha256)?;
    let info = worker.info();
    announce(format_args!(
        "worker {} at {}: model {} ({}), {}, {:.0} candidates a second",
        info.name,
        args.listen,
        info.model,
        &info.sha256[..12],
        info.computes,
        info.samples_per_s
    ));
    while !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
