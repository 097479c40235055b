//! `foresight pretrain`: an encoder from recorded frames.

use anyhow::{Context, Result};
use foresight_training::mask_task::MaskTask;
use foresight_training::pretrain::EncoderTask;
use foresight_training::recipe::PretrainRecipe;
use foresight_training::run::Outcome;
use foresight_training::settings::read_recipe;

use crate::training::{train, TrainingArgs};

/// Runs `foresight pretrain`.
///
/// # Errors
/// When recipe or data can't be used, or training fails.
pub(crate) fn run(args: TrainingArgs) -> Result<Outcome> {
    let recipe: PretrainRecipe = read_recipe(&args.recipe, &args.set)?;
    let with = || format!("with the recipe {}", args.recipe.display());
    let (data, validation) = (&args.data, args.validation.as_deref());
    let folder = args.out.join("model");
    let (optimisation, options) = (&recipe.optimisation, || args.options(&recipe, &[]));
    let outcome = match &recipe.mask_prediction {
        None => {
            let task = EncoderTask::new(&recipe, data, validation);
            let mut task = task.with_context(with)?;
            let outcome = train(&mut task, optimisation, &options()?)?;
            task.save(&folder)?;
            outcome
        }
        Some(masked) => {
            let task = MaskTask::new(&recipe, masked, data, validation);
            let mut task = task.with_context(with)?;
            let outcome = train(&mut task, optimisation, &options()?)?;
            task.save(&folder)?;
            outcome
        }
    };
    args.tell(["encoder", "loss"], &outcome, &folder);
    Ok(outcome)
}
