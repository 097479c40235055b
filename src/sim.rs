//! `foresight sim`: the simulator behind franka-node's and franka-cam's keys.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{bail, Result};
use clap::Args;
use foresight_robot::{SimServer, TwinCamera};
use foresight_scenarios::env::server_config;
use foresight_scenarios::{EpisodeSpec, RunError};

use crate::logging::announce;
use crate::overrides::{interruption, read};

/// Arguments of `foresight sim`.
#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// The scenario whose scene is served.
    scenario: PathBuf,
    /// Seed of the scene; the scenario's when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Endpoint to listen on.
    #[arg(long, default_value = "tcp/127.0.0.1:7447")]
    listen: String,
    /// The arm's name in `franka/<arm>/…`.
    #[arg(long, default_value = "fr3")]
    arm: String,
    /// The camera's name in `franka/cam/<camera>/…`.
    #[arg(long, default_value = "front")]
    camera: String,
    /// The scene's other cameras by name, in their order; without, one name shows all of them side by
    /// side.
    #[arg(long = "other-camera", value_name = "NAME")]
    other_cameras: Vec<String>,
    /// Pictures a second.
    #[arg(long, value_name = "HZ", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    fps: u32,
    /// Simulate only the camera, looking at the arm of the node at this endpoint: for arms that
    /// are simulated without one, such as franka-sim's.
    #[arg(long, value_name = "ENDPOINT")]
    follow: Option<String>,
    /// Folder made by `foresight robot certificates`, for a tls/ endpoint; the node's, or with
    /// --follow the camera's, certificate and access control are used.
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
}

/// Runs `foresight sim` until Ctrl-C.
///
/// # Errors
/// When the scenario can't be used or the endpoint can't be listened on.
pub(crate) fn run(args: SimArgs) -> Result<()> {
    let loaded = read(&args.scenario)?;
    let seed = args.seed.unwrap_or(loaded.scenario.seed);
    let instance = EpisodeSpec::new(&loaded, seed);
    let Some(scene) = &instance.scene else {
        bail!(
            "{} drives a real arm; serve one with robot.kind = \"sim\"",
            args.scenario.display()
        );
    };
    let mut config = server_config(&instance);
    config.listen = vec![args.listen];
    config.arm = args.arm;
    config.camera = args.camera;
    let others = scene.other_cameras.len();
    if !args.other_cameras.is_empty() && args.other_cameras.len() != others {
        bail!(
            "--other-camera names {} cameras beside the first; the scene has {others}",
            args.other_cameras.len()
        );
    }
    config.other_cameras = args.other_cameras;
    config.frames_per_second = args.fps;
    let role = if args.follow.is_some() {
        "camera"
    } else {
        "node"
    };
    config.zenoh_config = args
        .certificates
        .map(|dir| dir.join(format!("{role}.json5")));
    let interrupted = interruption();
    if let Some(node) = args.follow {
        config.connect = vec![node];
        let camera = TwinCamera::start(scene, &config).map_err(RunError::from)?;
        announce(format_args!(
            "camera franka/cam/{} at {}, looking at the arm franka/{} of {}",
            config.camera,
            camera.endpoints().join(", "),
            config.arm,
            config.connect.join(", ")
        ));
        wait(&interrupted);
        return Ok(());
    }
    let server = SimServer::start(scene, &config).map_err(RunError::from)?;
    server.with_simulator_mut(|simulator| instance.prepare(simulator))?;
    announce(format_args!(
        "{} (seed {seed}): arm franka/{}, camera franka/cam/{}, at {}",
        loaded.scenario.name,
        config.arm,
        config.camera,
        server.endpoints().join(", ")
    ));
    wait(&interrupted);
    if server.lost_s() > 1.0 {
        tracing::warn!(
            "simulated {:.1} s less than passed; the machine was busy",
            server.lost_s()
        );
    }
    Ok(())
}

fn wait(interrupted: &AtomicBool) {
    while !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
}
