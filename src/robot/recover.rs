//! `foresight robot recover`: clears an error.

use anyhow::Result;
use foresight_robot::Viewer;
use foresight_scenarios::RunError;

use crate::connection::Connection;

/// Runs `foresight robot recover`.
///
/// # Errors
/// When the node can't be reached or the robot stays in its error.
pub(super) fn run(connection: &Connection) -> Result<()> {
    let (config, _) = connection.resolve()?;
    let viewer = Viewer::connect(&config).map_err(RunError::from)?;
    viewer.recover().map_err(RunError::from)?;
    println!("recovered; nothing moved");
    Ok(())
}
