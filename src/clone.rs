//! `foresight clone`: a behaviour-cloning policy, the baseline planning is held against.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use foresight_training::clone_policy::PolicyTask;
use foresight_training::level_two;
use foresight_training::recipe::CloneRecipe;
use foresight_training::settings::read_recipe;

use crate::training::{train, TrainingArgs};

/// Arguments of `foresight clone`.
#[derive(Debug, Args)]
pub(crate) struct CloneArgs {
    #[command(flatten)]
    training: TrainingArgs,
    /// Model folder whose pictures it sees: their size and cameras; the recipe says how they are cropped.
    #[arg(long)]
    encoder: PathBuf,
    /// Makes it what proposes macro-actions for the second level of the model folder given by
    /// --encoder: it is written there.
    #[arg(long)]
    proposals: bool,
    /// Policy to begin with, a folder that this command wrote; random weights when absent.
    #[arg(long)]
    start: Option<PathBuf>,
}

/// Runs `foresight clone`.
///
/// # Errors
/// When recipe, encoder or data can't be used, or training fails.
pub(crate) fn run(args: CloneArgs) -> Result<()> {
    let CloneArgs {
        training,
        encoder,
        proposals,
        start,
    } = args;
    let recipe: CloneRecipe = read_recipe(&training.recipe, &training.set)?;
    let folder = match proposals {
        true => level_two::proposals_folder(&encoder, training.resume)?,
        false => training.out.join("model"),
    };
    let inputs = [("encoder", Some(&*encoder)), ("start", start.as_deref())];
    let (data, validation) = (&training.data, training.validation.as_deref());
    let mut task = PolicyTask::new(&recipe, &encoder, data, validation, start.as_deref())
        .with_context(|| format!("with the recipe {}", training.recipe.display()))?;
    let options = training.options(&recipe, &inputs)?;
    let outcome = train(&mut task, &recipe.optimisation, &options)?;
    task.save(&folder)?;
    training.tell(["policy", "error"], &outcome, &folder);
    Ok(())
}
