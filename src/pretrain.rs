//! `foresight pretrain`: an encoder from recorded frames.

use anyhow::{bail, Context, Result};
use candle_core::DType;
use clap::Args;
use foresight_datasets::{EpisodeSet, LoadOptions, Split};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Part};
use foresight_predictor::config::MODEL_TYPE;
use foresight_predictor::offline::COLLAPSED;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{ModelConfig, PredictorError};
use foresight_training::encoder_trainer::layout_with_heads;
use foresight_training::recipe::PretrainRecipe;
use foresight_training::run::{Parts, Task};
use foresight_training::{EncoderBatch, EncoderLosses, EncoderTrainer, Learner, Objectives};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::training::{read_recipe, train, TrainingArgs};

/// Frames the held-out losses are computed on.
const VALIDATION_FRAMES: usize = 1024;

/// Arguments of `foresight pretrain`.
#[derive(Debug, Args)]
pub struct PretrainArgs {
    #[command(flatten)]
    training: TrainingArgs,
}

/// Runs `foresight pretrain`.
///
/// # Errors
/// When recipe or data can't be used, or training fails.
pub fn run(args: PretrainArgs) -> Result<()> {
    let args = args.training;
    let recipe: PretrainRecipe = read_recipe(&args.recipe)?;
    let config = ModelConfig {
        model_type: MODEL_TYPE.into(),
        name: recipe.name.clone(),
        encoder: recipe.encoder.clone(),
        predictor: None,
        action_space: Default::default(),
    };
    if let Err(what) = config.validate() {
        bail!("in the recipe {}: {what}", args.recipe.display());
    }
    if let Err(what) = recipe.objectives.check() {
        bail!("in the recipe {}: {what}", args.recipe.display());
    }
    let load = |path: &std::path::Path, split| {
        let options = LoadOptions {
            split: Some(split),
            ..LoadOptions::default()
        };
        EpisodeSet::load(path, &options).with_context(|| format!("loading {}", path.display()))
    };
    let data = load(&args.data, Split::Train)?;
    let held_out = load(&args.validation, Split::Validation)?;
    for set in [&data, &held_out] {
        let [height, width] = recipe.encoder.img_size;
        if (set.height() as usize, set.width() as usize) != (height, width) {
            bail!(
                "the recorded frames are {}×{} px but the encoder takes {width}×{height}; record \
                 with --image-px {width}",
                set.width(),
                set.height()
            );
        }
    }
    let mut parameters = Parameters::zeros(layout_with_heads(&recipe.encoder, &recipe.objectives));
    initialise(&mut parameters, Part::Encoder, recipe.optimisation.seed);
    let mut task = Pretraining {
        trainer: EncoderTrainer::new(recipe.encoder.clone(), parameters, recipe.objectives)?,
        recipe: &recipe,
        data: &data,
        held_out: &held_out,
    };
    let outcome = train(&mut task, &recipe.optimisation, &args.options())?;
    let folder = args.out.join("model");
    let tensors = task.trainer.learner().parameters()?.to_tensors()?;
    checkpoint::save(&folder, &config, &tensors, None, DType::F32)?;
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
    Ok(())
}

struct Pretraining<'a> {
    trainer: EncoderTrainer,
    recipe: &'a PretrainRecipe,
    data: &'a EpisodeSet,
    held_out: &'a EpisodeSet,
}

impl Task for Pretraining<'_> {
    fn learner(&mut self) -> &mut Learner {
        self.trainer.learner_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let optimisation = &self.recipe.optimisation;
        let mut rng = ChaCha8Rng::seed_from_u64(optimisation.seed);
        rng.set_stream(step as u64);
        let steps: Vec<usize> = if self.recipe.objectives.need_pairs() {
            (0..optimisation.batch_size / 2)
                .map(|_| loop {
                    let step = rng.random_range(0..self.data.steps());
                    if !ends_episode(self.data, step) {
                        break step;
                    }
                })
                .collect()
        } else {
            (0..optimisation.batch_size)
                .map(|_| rng.random_range(0..self.data.steps()))
                .collect()
        };
        let batch = gather(self.data, &steps, &self.recipe.objectives, rng.random());
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let count = VALIDATION_FRAMES.min(self.held_out.steps());
        let pairs = self.recipe.objectives.need_pairs();
        let count = if pairs { count / 2 } else { count };
        let steps: Vec<usize> = (0..count)
            .map(|i| i * self.held_out.steps() / count)
            .filter(|step| !pairs || !ends_episode(self.held_out, *step))
            .collect();
        let batch = gather(self.held_out, &steps, &self.recipe.objectives, 0);
        let losses = self.trainer.evaluate(&batch)?;
        if losses.deviation < COLLAPSED {
            tracing::warn!(
                "latents have nearly collapsed: over held-out frames they deviate by only {:.3}; \
                 raise objectives.isotropy or ema_momentum, or lower the learning rate",
                losses.deviation
            );
        }
        Ok(parts(&losses))
    }
}

/// Whether a step is the last of its episode.
fn ends_episode(set: &EpisodeSet, step: usize) -> bool {
    set.episode_of(step).is_none_or(|e| step + 1 >= e.steps.end)
}

/// The batch of these steps; for pairs, each step's successor follows in the second half.
fn gather(set: &EpisodeSet, steps: &[usize], objectives: &Objectives, seed: u64) -> EncoderBatch {
    let mut batch = EncoderBatch {
        seed,
        ..EncoderBatch::default()
    };
    let mut all = steps.to_vec();
    if objectives.need_pairs() {
        batch.actions = steps.iter().map(|s| set.actions()[*s]).collect();
        all.extend(steps.iter().map(|s| s + 1));
    }
    for step in all {
        batch.frames.extend_from_slice(set.frame(step));
        let state = set.states()[step];
        batch.states.push(state);
        let object = set.objects()[step];
        let target = set
            .episode_of(step)
            .and_then(|e| e.target_position_m)
            .unwrap_or_default();
        let [x, y, z] = object.position_m;
        let held = if object.held { 1.0 } else { 0.0 };
        let relative = [x - state[0], y - state[1], z - state[2]];
        batch.objects.push([
            x,
            y,
            z,
            relative[0],
            relative[1],
            relative[2],
            target[0],
            target[1],
            held,
        ]);
    }
    batch
}

fn parts(losses: &EncoderLosses) -> Parts {
    vec![
        ("total", losses.total),
        ("proprioception", losses.proprioception),
        ("residual", losses.residual_decoder),
        ("pose_decoder", losses.pose_decoder),
        ("next_latent", losses.next_latent),
        ("isotropy", losses.isotropy),
        ("inverse", losses.inverse_dynamics),
        ("masked", losses.masked),
        ("object", losses.object),
        ("deviation", losses.deviation),
    ]
}
