//! `foresight robot stop`: stops the arm, whoever drives it.

use anyhow::Result;
use clap::Args;
use foresight_robot::Viewer;
use foresight_scenarios::RunError;

use crate::connection::Connection;

/// Arguments of `foresight robot stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    connection: Connection,
    /// Stop the gripper too; what it holds may fall.
    #[arg(long)]
    gripper: bool,
}

/// Runs `foresight robot stop`.
///
/// # Errors
/// When the node can't be reached or its stop fails: use the robot's own stop then.
pub(super) fn run(args: &StopArgs) -> Result<()> {
    let (config, _) = args.connection.resolve()?;
    // Nothing is waited for first: a stop is sent as soon as there is a link.
    let viewer = Viewer::open(&config).map_err(RunError::from)?;
    viewer.stop().map_err(RunError::from)?;
    if args.gripper {
        viewer.stop_gripper().map_err(RunError::from)?;
    }
    println!("stopped");
    Ok(())
}
