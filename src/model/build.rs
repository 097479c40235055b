//! `foresight model build`: from nothing to a model, in one command that goes on where it stopped.

use std::path::{Path, PathBuf};

use anyhow::{bail, Result};
use clap::Args;
use foresight_datasets::Split;
use foresight_training::recipe::PretrainRecipe;
use foresight_training::settings::{read_recipe, Settings};
use serde::Deserialize;

use crate::record::{self, RecordArgs};
use crate::train::TrainArgs;
use crate::training::TrainingArgs;
use crate::{pretrain, train};

/// Arguments of `foresight model build`.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Recipe (TOML): which scenes, how many episodes, and the recipes of encoder and predictor.
    recipe: PathBuf,
    /// Folder of recordings, runs and the resulting model; the same command goes on with what is
    /// there.
    #[arg(long)]
    out: PathBuf,
}

/// What a model is built from. Paths are relative to the recipe.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildRecipe {
    /// Scenario whose scenes are recorded.
    recordings: PathBuf,
    /// Width and height of the frames, px.
    image_px: u32,
    /// Recipe of `foresight pretrain`.
    encoder: PathBuf,
    /// Recipe of `foresight train`.
    predictor: PathBuf,
    /// How many episodes.
    episodes: Episodes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Episodes {
    /// That the encoder learns from.
    encoder: u64,
    /// That the predictor learns from, the encoder's among them.
    predictor: u64,
    /// That both are validated on.
    validation: u64,
}

/// Runs `foresight model build`.
///
/// # Errors
/// When the recipe is wrong, or what one of the stages says.
pub(crate) fn run(args: &BuildArgs) -> Result<()> {
    let recipe = read(&args.recipe)?;
    let beside = args.recipe.parent().unwrap_or(Path::new("."));
    // What later stages read, before hours of recording.
    read_recipe::<PretrainRecipe>(&beside.join(&recipe.encoder), &[])?;
    Settings::recipe(&beside.join(&recipe.predictor), &[])?.check(1)?;
    let [training, validation] = ["train", "validation"].map(|name| args.out.join(name));
    let [encoder, predictor] = ["encoder", "predictor"].map(|name| args.out.join(name));
    let record = |split, episodes, out: &Path| {
        record::run(RecordArgs {
            scenario: beside.join(&recipe.recordings),
            episodes: Some(episodes),
            seed: 0,
            split,
            out: out.to_path_buf(),
            jobs: None,
            image_px: recipe.image_px,
            steps: record::STEPS,
            json: false,
            live: Default::default(),
        })
    };
    let of = |recipe: &Path, out: &Path| TrainingArgs {
        recipe: beside.join(recipe),
        data: training.clone(),
        validation: Some(validation.clone()),
        set: Vec::new(),
        out: out.to_path_buf(),
        resume: true,
        every: None,
        json: false,
    };
    let Episodes {
        encoder: for_encoder,
        predictor: for_predictor,
        validation: held_out,
    } = recipe.episodes;
    say(1, &format!("recording {held_out} episodes to validate on"));
    record(Split::Validation, held_out, &validation)?;
    let encoder_model = encoder.join("model");
    if encoder_model.exists() {
        say(
            3,
            &format!("the encoder is there: {}", encoder_model.display()),
        );
    } else {
        say(2, &format!("recording {for_encoder} episodes"));
        record(Split::Train, for_encoder, &training)?;
        say(3, "the encoder");
        if pretrain::run(of(&recipe.encoder, &encoder))?.interrupted {
            return Ok(());
        }
    }
    say(4, &format!("recording up to {for_predictor} episodes"));
    record(Split::Train, for_predictor, &training)?;
    say(5, "the predictor");
    let outcome = train::run(TrainArgs {
        training: of(&recipe.predictor, &predictor),
        encoder: encoder_model,
        level: 1,
    })?;
    if !outcome.interrupted {
        println!("the model is in {}", predictor.join("model").display());
    }
    Ok(())
}

/// Tells the stage on standard error, where progress goes.
fn say(stage: usize, what: &str) {
    eprintln!("stage {stage} of 5: {what}");
}

fn read(path: &Path) -> Result<BuildRecipe> {
    let nothing = foresight_settings::SourceTable::default();
    let (recipe, _) = foresight_settings::layered::<BuildRecipe>(&nothing, &[], Some(path), &[])?;
    let Episodes {
        encoder,
        predictor,
        validation,
    } = recipe.episodes;
    if encoder == 0 || validation == 0 || predictor < encoder {
        bail!(
            "{}: [episodes] encoder and validation must be at least 1, and predictor at least as \
             many as encoder",
            path.display()
        );
    }
    Ok(recipe)
}

#[cfg(test)]
#[path = "../../tests/unit/model_build.rs"]
mod tests;
