//! `foresight train`: an action-conditioned predictor on a frozen encoder, from random weights.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use foresight_training::base::Base;
use foresight_training::predictor_run::{Files, PredictorRun};
use foresight_training::processes;
use foresight_training::run::Outcome;
use foresight_training::settings::Settings;

use crate::training::{train, TrainingArgs};

/// Arguments of `foresight train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub training: TrainingArgs,
    /// Model folder with the frozen encoder (from `foresight pretrain`).
    #[arg(long)]
    pub encoder: PathBuf,
    /// 1: a predictor of single actions. 2: one whose actions take several steps, for planning at two
    /// levels; it is written into a copy of the model folder, beside the first.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub level: u8,
}

/// Runs `foresight train`.
///
/// # Errors
/// When recipe, encoder or data can't be used, or training fails.
pub(crate) fn run(args: TrainArgs) -> Result<Outcome> {
    let TrainArgs {
        training,
        encoder,
        level,
    } = args;
    let workers = processes::join()?;
    let within = || format!("in the recipe {}", training.recipe.display());
    let mut settings = Settings::recipe(&training.recipe, &training.set)?;
    if let Some(every) = training.every {
        settings.run.validate_every = every;
        settings.run.checkpoint_every = every;
    }
    settings.for_level(level).with_context(within)?;
    settings.check(workers.size()).with_context(within)?;
    let base = Base::open(&encoder, &settings)?;
    let device = settings.compute.open()?;
    let files = Files {
        model: encoder,
        data: training.data,
        validation: training.validation,
        out: training.out,
        cache: None,
        resume: training.resume,
    };
    let mut run = PredictorRun::prepare(base, settings, files, device.as_ref(), &workers)?;
    let (task, settings, options) = run.parts();
    let outcome = train(task, &settings.optimisation, options)?;
    if workers.rank() != 0 {
        return Ok(outcome);
    }
    let finished = run.finish(&outcome)?;
    let (held_out, persistence) = (
        finished.after("teacher_forced"),
        finished.after("persistence"),
    );
    if training.json {
        println!(
            "{}",
            serde_json::json!({
                "model": finished.folder, "steps": outcome.steps, "best": outcome.best,
                "held_out_l1": held_out, "persistence_l1": persistence,
                "interrupted": outcome.interrupted,
            })
        );
    } else {
        println!(
            "predictor after {} steps, held-out L1 one step ahead {held_out:.4} \
             (persistence {persistence:.4}): {}",
            outcome.steps,
            finished.folder.display()
        );
    }
    Ok(outcome)
}
