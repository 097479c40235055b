//! `foresight bench`: how fast plans are made, how good they are for what they cost, how fast clips
//! are read.

mod clips;
mod decisions;
mod memory;
mod plan;
mod precision;
mod predictor;
mod replay;
mod search;
mod timed;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Arguments of `foresight bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Time, FLOP/s, share of this machine's measured ceiling and memory of whole plans.
    Plan(plan::PlanBench),
    /// Energy reached against evaluations and seconds, for every planner over many scenes.
    Search(search::SearchBench),
    /// bf16 against f32: rank correlation, elites, and the plans' difference against CEM's own
    /// spread from seed to seed.
    Precision(precision::PrecisionBench),
    /// Clips a second that are read and decoded, for `foresight finetune` with the same settings.
    Clips(clips::ClipsBench),
    /// One plan from a predictor, latents and noise on disk: our half of
    /// bench/against_official.py.
    Replay(replay::ReplayBench),
}

/// Runs `foresight bench`.
///
/// # Errors
/// When a model, a scenario or a file can't be used.
pub fn run(args: BenchArgs) -> Result<()> {
    match args.command {
        BenchCommand::Plan(args) => plan::run(&args),
        BenchCommand::Search(args) => search::run(&args),
        BenchCommand::Precision(args) => precision::run(&args),
        BenchCommand::Clips(args) => clips::run(&args),
        BenchCommand::Replay(args) => replay::run(&args),
    }
}
