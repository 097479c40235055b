//! `foresight train-compact`: a compact model's encoder and predictor, jointly.

use anyhow::{Context, Result};
use foresight_training::compact_task::{CompactRecipe, CompactTask};
use foresight_training::settings::read_recipe;

use crate::training::{train, TrainingArgs};

/// Runs `foresight train-compact`.
///
/// # Errors
/// When recipe or data can't be used, or training fails.
pub(crate) fn run(args: TrainingArgs) -> Result<()> {
    let recipe: CompactRecipe = read_recipe(&args.recipe, &args.set)?;
    let folder = args.out.join("model");
    let mut task = CompactTask::new(&recipe, &args.data, args.validation.as_deref())
        .with_context(|| format!("with the recipe {}", args.recipe.display()))?;
    let options = args.options(&recipe, &[])?;
    let outcome = train(&mut task, &recipe.optimisation, &options)?;
    task.save(&folder)?;
    args.tell(["compact model", "loss"], &outcome, &folder);
    Ok(())
}
