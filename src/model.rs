//! `foresight model`: look into, convert, check and make models.

mod architecture;
mod build;
mod convert;
pub(crate) mod foresees;
mod init;
mod inspect;
mod verify;

use std::path::Path;

use anyhow::{bail, Result};
use clap::Subcommand;

/// Commands of `foresight model`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Say what a checkpoint holds: architecture, tensors, types, sizes, and what is missing.
    Inspect(inspect::InspectArgs),
    /// Write a checkpoint as a model folder.
    Convert(convert::ConvertArgs),
    /// Load a model, check every value and compute a fixed input with it.
    Verify(verify::VerifyArgs),
    /// Write a model folder with random weights.
    Init(init::InitArgs),
    /// Measure what the predictor foresees in recorded episodes: where objects go, the fingers, the hand.
    Foresees(foresees::ForeseesArgs),
    /// Record, train an encoder and a predictor: from nothing to a model. Goes on where it stopped.
    Build(build::BuildArgs),
}

/// Refuses a folder that isn't new: what lies beside a model's weights (a second level, proposals, monitors, a
/// goal head) is of those weights.
fn must_be_new(folder: &Path) -> Result<()> {
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} isn't empty, and no model is written over another; give a new folder with --out",
            folder.display()
        );
    }
    Ok(())
}

/// Runs `foresight model`.
///
/// # Errors
/// When a file can't be read or written, or a model is not what it should be.
pub(crate) fn run(command: ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Inspect(args) => inspect::run(&args),
        ModelCommand::Convert(args) => convert::run(&args),
        ModelCommand::Verify(args) => verify::run(&args),
        ModelCommand::Init(args) => init::run(&args),
        ModelCommand::Foresees(args) => foresees::run(&args),
        ModelCommand::Build(args) => build::run(&args),
    }
}
