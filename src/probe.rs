//! `foresight probe`: what a model sees and foresees, away from the control loop.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use foresight_datasets::{Split, Subset};
use foresight_predictor::WorldModel;
use foresight_scenarios::probe::prediction::Errors;
use foresight_scenarios::probe::{probe, Probe, RankOptions, Recordings};

/// Arguments of `foresight probe`.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Model folder.
    #[arg(long)]
    model: PathBuf,
    /// Recorded episodes the linear read-out is fitted on (training split).
    #[arg(long)]
    data: PathBuf,
    /// Recorded episodes everything is judged on (validation split).
    #[arg(long)]
    validation: PathBuf,
    /// Scenes the energy's order is measured in.
    #[arg(long, default_value_t = 40)]
    scenes: u64,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight probe`.
///
/// # Errors
/// When model or recordings can't be used.
pub(crate) fn run(args: ProbeArgs) -> Result<()> {
    let model = WorldModel::load(&args.model)
        .with_context(|| format!("loading {}", args.model.display()))?;
    let load = |path: &Path, split, limit| {
        let episodes = Subset::of_split(path, split, limit);
        let read = episodes.and_then(|episodes| Recordings::read(&episodes));
        read.with_context(|| format!("loading {}", path.display()))
    };
    let train = load(&args.data, Split::Train, 1000)?;
    let held_out = load(&args.validation, Split::Validation, 150)?;
    let options = RankOptions {
        scenes: args.scenes,
        ..RankOptions::default()
    };
    let probe = probe(&model, &train, &held_out, &options)?;
    if args.json {
        println!("{}", serde_json::to_string(&probe)?);
    } else {
        print!("{}", text(&probe));
    }
    Ok(())
}

fn text(probe: &Probe) -> String {
    let (linear, ranks, prediction) = (&probe.linear, &probe.ranks, &probe.prediction);
    let mut text = format!(
        "linear read-out of the mean token, {} held-out frames\n\
         \x20 hand {:.2} cm, closedness {:.3}\n\
         \x20 object out of the hand {:.2} cm in the table's plane ({:.2} cm by guessing the middle)\n\
         rank correlation of energies with true distances, {} scenes\n\
         \x20 hand {:.2}, object alone {:.2}, planned actions {:.2}\n\
         one step ahead, L1 (predicting no change): ratio\n",
        linear.frames,
        linear.hand_cm,
        linear.closedness,
        linear.object_cm,
        linear.object_guess_cm,
        ranks.scenes,
        ranks.hand,
        ranks.object,
        ranks.planned,
    );
    let mut row = |name: &str, e: &Errors| {
        text += &format!(
            "  {name:<16} {:.3} ({:.3}): {:.2} in {} steps\n",
            e.predicted,
            e.persistence,
            e.ratio(),
            e.steps
        );
    };
    row("all", &prediction.all);
    row("gripper moves", &prediction.gripper);
    row("object moves", &prediction.object_moves);
    row("grasp, release", &prediction.grasp_or_release);
    text
}
