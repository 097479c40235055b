//! `foresight pretrain`: an encoder from recorded frames.

use anyhow::{Context, Result};
use clap::Args;
use foresight_training::pretrain::EncoderTask;
use foresight_training::recipe::PretrainRecipe;
use foresight_training::run::Outcome;
use foresight_training::settings::read_recipe;

use crate::training::{train, TrainingArgs};

/// Arguments of `foresight pretrain`.
#[derive(Debug, Args)]
pub(crate) struct PretrainArgs {
    #[command(flatten)]
    pub training: TrainingArgs,
}

/// Runs `foresight pretrain`.
///
/// # Errors
/// When recipe or data can't be used, or training fails.
pub(crate) fn run(args: TrainingArgs) -> Result<Outcome> {
    let recipe: PretrainRecipe = read_recipe(&args.recipe, &args.set)?;
    let mut task = EncoderTask::new(&recipe, &args.data, args.validation.as_deref())
        .with_context(|| format!("with the recipe {}", args.recipe.display()))?;
    let outcome = train(&mut task, &recipe.optimisation, &args.options())?;
    let folder = args.out.join("model");
    task.save(&folder)?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "model": folder, "steps": outcome.steps, "best": outcome.best,
                "interrupted": outcome.interrupted,
            })
        );
    } else {
        println!(
            "encoder after {} steps, held-out loss {:.4}: {}",
            outcome.steps,
            outcome.best,
            folder.display()
        );
    }
    Ok(outcome)
}
