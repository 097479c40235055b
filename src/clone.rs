//! `foresight clone`: a behaviour-cloning policy, the baseline planning is held against.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use candle_core::{Device, Tensor};
use clap::Args;
use foresight_datasets::Split;
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Part};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::policy::{self, PolicyConfig};
use foresight_predictor::{layout, EncoderConfig, PredictorConfig, PredictorError};
use foresight_training::policy_trainer::{PolicyBatch, PolicyLosses, PolicyTrainer};
use foresight_training::recipe::CloneRecipe;
use foresight_training::run::{Parts, Task};
use foresight_training::Learner;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::training::{read_recipe, train, TrainingArgs};
use foresight_training::latent_set::LatentSet;

/// Moments the held-out losses are computed on.
const VALIDATION_MOMENTS: usize = 768;

/// Arguments of `foresight clone`.
#[derive(Debug, Args)]
pub struct CloneArgs {
    #[command(flatten)]
    training: TrainingArgs,
    /// Model folder with the frozen encoder (from `foresight pretrain`, or a whole model).
    #[arg(long)]
    encoder: PathBuf,
}

/// Runs `foresight clone`.
///
/// # Errors
/// When recipe, encoder or data can't be used, or training fails.
pub fn run(args: CloneArgs) -> Result<()> {
    let recipe: CloneRecipe = read_recipe(&args.training.recipe)?;
    if recipe.farthest_goal_steps == 0 {
        bail!("farthest_goal_steps must be at least 1");
    }
    let loaded = checkpoint::load(&args.encoder)
        .with_context(|| format!("loading the encoder from {}", args.encoder.display()))?;
    let encoder_config = loaded.config.encoder.clone();
    let encoder = Parameters::from_tensors(layout::encoder(&encoder_config), &loaded.encoder)?;
    let config = PolicyConfig {
        network: PredictorConfig {
            img_size: encoder_config.img_size,
            patch_size: encoder_config.patch_size,
            num_frames: 2 * encoder_config.num_frames,
            tubelet_size: encoder_config.tubelet_size,
            embed_dim: encoder_config.embed_dim,
            predictor_embed_dim: recipe.policy.predictor_embed_dim,
            depth: recipe.policy.depth,
            num_heads: recipe.policy.num_heads,
            use_extrinsics: false,
            mlp_ratio: 4.0,
            rope: encoder_config.rope,
            euler_around_rad: recipe.euler_around_rad,
        },
    };
    let load = |path: &Path, split| Moments::load(path, split, &encoder_config, &encoder, &recipe);
    let data = load(&args.training.data, Split::Train)?;
    let held_out = load(&args.training.validation, Split::Validation)?;
    let mut parameters = Parameters::zeros(policy::layout(&config));
    initialise(&mut parameters, Part::AcPredictor, recipe.optimisation.seed);
    let mut task = Cloning {
        trainer: PolicyTrainer::new(config.clone(), parameters),
        config: &config,
        recipe: &recipe,
        data: &data,
        held_out: &held_out,
    };
    let outcome = train(&mut task, &recipe.optimisation, &args.training.options())?;
    let folder = args.training.out.join("model");
    let tensors = task.trainer.learner().parameters()?.to_tensors()?;
    policy::save(&folder, &config, &tensors)?;
    if args.training.json {
        println!(
            "{}",
            serde_json::json!({
                "model": folder, "steps": outcome.steps, "best": outcome.best,
                "interrupted": outcome.interrupted,
            })
        );
    } else {
        println!(
            "policy after {} steps, held-out error {:.4}: {}",
            outcome.steps,
            outcome.best,
            folder.display()
        );
    }
    Ok(())
}

/// Demonstrations as latents.
struct Moments {
    frames: LatentSet,
    /// Steps with a successor, and how many follow them in their demonstration.
    usable: Vec<(usize, usize)>,
}

impl Moments {
    fn load(
        path: &Path,
        split: Split,
        config: &EncoderConfig,
        encoder: &Parameters,
        recipe: &CloneRecipe,
    ) -> Result<Self> {
        let frames = LatentSet::load(path, split, config, encoder)?;
        let mut usable = Vec::new();
        for episode in frames.set.episodes() {
            if recipe.behaviours.is_empty() || recipe.behaviours.contains(&episode.behaviour) {
                let last = episode.steps.end - 1;
                usable.extend((episode.steps.start..last).map(|step| (step, last - step)));
            }
        }
        if usable.is_empty() {
            bail!(
                "no episode in {} is of the behaviours {:?}; `foresight dataset info` lists those \
                 there are",
                path.display(),
                recipe.behaviours
            );
        }
        Ok(Moments { frames, usable })
    }

    /// A batch of moments drawn from `rng`, each with a later frame as its goal.
    fn batch(
        &self,
        config: &PolicyConfig,
        recipe: &CloneRecipe,
        count: usize,
        rng: &mut ChaCha8Rng,
    ) -> candle_core::Result<PolicyBatch> {
        let (mut now, mut goal) = (Vec::new(), Vec::new());
        let (mut states, mut actions) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (step, left) = self.usable[rng.random_range(0..self.usable.len())];
            let later = step + rng.random_range(1..=left.min(recipe.farthest_goal_steps));
            now.extend_from_slice(self.frames.of(step));
            goal.extend_from_slice(self.frames.of(later));
            states.extend(config.network.state_input(self.frames.set.states()[step]));
            actions.push(self.frames.set.actions()[step]);
        }
        let shape = (count, self.frames.tokens, self.frames.width);
        Ok(PolicyBatch {
            now: Tensor::from_vec(now, shape, &Device::Cpu)?,
            goal: Tensor::from_vec(goal, shape, &Device::Cpu)?,
            states: Tensor::from_vec(states, (count, 7), &Device::Cpu)?,
            actions,
        })
    }
}

struct Cloning<'a> {
    trainer: PolicyTrainer,
    config: &'a PolicyConfig,
    recipe: &'a CloneRecipe,
    data: &'a Moments,
    held_out: &'a Moments,
}

impl Task for Cloning<'_> {
    fn learner(&mut self) -> &mut Learner {
        self.trainer.learner_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let optimisation = &self.recipe.optimisation;
        let mut rng = ChaCha8Rng::seed_from_u64(optimisation.seed);
        rng.set_stream(step as u64);
        let count = optimisation.batch_size;
        let batch = self.data.batch(self.config, self.recipe, count, &mut rng)?;
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let count = VALIDATION_MOMENTS;
        let batch = self
            .held_out
            .batch(self.config, self.recipe, count, &mut rng)?;
        Ok(parts(&self.trainer.evaluate(&batch)?))
    }
}

fn parts(losses: &PolicyLosses) -> Parts {
    vec![("total", losses.total), ("gripper", losses.gripper)]
}
