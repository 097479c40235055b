//! `foresight robot gripper`: the hand.

use anyhow::Result;
use clap::{Args, ValueEnum};
use foresight_robot::{Driver, Viewer};
use foresight_scenarios::RunError;

use crate::connection::Connection;

/// Arguments of `foresight robot gripper`.
#[derive(Debug, Args)]
pub(crate) struct GripperArgs {
    /// What it should do.
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    connection: Connection,
    /// Force of a grasp, N.
    #[arg(long, default_value_t = 30.0)]
    force: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Close and open once, to find its stops.
    Home,
    /// Open fully.
    Open,
    /// Close on what is between the fingers.
    Close,
    /// Stop it now; no lease needed.
    Stop,
}

/// Runs `foresight robot gripper`.
///
/// # Errors
/// When the arm is held by someone else or there is no gripper.
pub(super) fn run(args: &GripperArgs) -> Result<()> {
    let (config, _) = args.connection.resolve()?;
    if matches!(args.what, What::Stop) {
        let viewer = Viewer::open(&config).map_err(RunError::from)?;
        viewer.stop_gripper().map_err(RunError::from)?;
        println!("gripper stopped");
        return Ok(());
    }
    let mut driver = Driver::acquire(&config).map_err(RunError::from)?;
    let done = match args.what {
        What::Home => driver.gripper_home(),
        What::Open => driver.gripper_open(),
        What::Close | What::Stop => driver.gripper_close(args.force),
    };
    done.map_err(RunError::from)?;
    let (width_m, grasped) = driver.gripper();
    driver.release().map_err(RunError::from)?;
    println!(
        "gripper {:.1} cm open{}",
        width_m * 100.0,
        if grasped { ", holding something" } else { "" }
    );
    Ok(())
}
