//! `foresight classify`: which class is a film of? An attentive probe on frozen features.

mod fit;
mod folder;
mod predict;

use anyhow::Result;
use clap::Subcommand;

/// Commands of `foresight classify`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClassifyCommand {
    /// Fit a probe on films whose class is known, and judge it on some that are held out.
    Fit(fit::FitArgs),
    /// Name films by a fitted probe.
    Predict(predict::PredictArgs),
}

/// Runs `foresight classify`.
///
/// # Errors
/// When the model, a film or a probe can't be used.
pub(crate) fn run(command: ClassifyCommand) -> Result<()> {
    match command {
        ClassifyCommand::Fit(args) => fit::run(&args),
        ClassifyCommand::Predict(args) => predict::run(&args),
    }
}
