//! `foresight robot home`: the joints to the ready pose.

use anyhow::Result;
use clap::Args;
use foresight_robot::Driver;
use foresight_scenarios::RunError;

use crate::connection::Connection;

/// Arguments of `foresight robot home`.
#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    #[command(flatten)]
    connection: Connection,
    /// Fraction of the arm's joint limits to move at, 0.05 to 0.5. Keep it at 0.2 or below until
    /// you have seen the way it takes.
    #[arg(long, default_value_t = 0.1)]
    speed: f64,
}

/// Runs `foresight robot home`.
///
/// # Errors
/// When the arm is held by someone else, doesn't get there, or is stopped on the way.
pub(super) fn run(args: &HomeArgs) -> Result<()> {
    let (config, _) = args.connection.resolve()?;
    let driver = Driver::acquire(&config).map_err(RunError::from)?;
    eprintln!(
        "moving the joints to the ready pose at {:.0} % of their limits; the way is not planned around anything",
        args.speed.clamp(0.05, 0.5) * 100.0
    );
    driver.home(args.speed).map_err(RunError::from)?;
    driver.release().map_err(RunError::from)?;
    println!("home");
    Ok(())
}
