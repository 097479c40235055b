//! `foresight train`: an action-conditioned predictor on a frozen encoder.

use anyhow::{bail, Context, Result};
use candle_core::{DType, Device, Tensor};
use clap::Args;
use foresight_datasets::{ClipSampler, Split, Window, WindowWeights};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{checkpoint, layout, EncoderConfig, PredictorConfig, PredictorError};
use foresight_training::init::start_at_persistence;
use foresight_training::recipe::TrainRecipe;
use foresight_training::run::{Parts, Task};
use foresight_training::{Learner, Losses, PredictorBatch, PredictorTrainer};
use std::path::{Path, PathBuf};

use crate::training::{read_recipe, train, TrainingArgs};
use foresight_training::latent_set::LatentSet;

/// Clips the held-out losses are computed on.
const VALIDATION_CLIPS: usize = 768;

/// Arguments of `foresight train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    training: TrainingArgs,
    /// Model folder with the frozen encoder (from `foresight pretrain`).
    #[arg(long)]
    encoder: PathBuf,
}

/// Runs `foresight train`.
///
/// # Errors
/// When recipe, encoder or data can't be used, or training fails.
pub fn run(args: TrainArgs) -> Result<()> {
    let recipe: TrainRecipe = read_recipe(&args.training.recipe)?;
    let loaded = checkpoint::load(&args.encoder)
        .with_context(|| format!("loading the encoder from {}", args.encoder.display()))?;
    let mut config = loaded.config;
    let encoder = Parameters::from_tensors(layout::encoder(&config.encoder), &loaded.encoder)?;
    let predictor = predictor_config(&config.encoder, &recipe);
    config.predictor = Some(predictor.clone());
    config.action_space = recipe.action_space.clone();
    if let Err(what) = config.validate() {
        bail!("in the recipe {}: {what}", args.training.recipe.display());
    }
    let load =
        |path, split| Clips::load(path, split, &config.encoder, &encoder, &predictor, &recipe);
    let data = load(&args.training.data, Split::Train)?;
    let held_out = load(&args.training.validation, Split::Validation)?;
    let persistence = held_out.persistence();

    let mut parameters = Parameters::zeros(layout::predictor(&predictor));
    initialise(&mut parameters, Part::AcPredictor, recipe.optimisation.seed);
    if recipe.start_at_persistence && !start_at_persistence(&mut parameters) {
        bail!(
            "start_at_persistence needs predictor_embed_dim = {}, the encoder's width",
            config.encoder.embed_dim
        );
    }
    let mut task = Training {
        trainer: PredictorTrainer::new(predictor.clone(), parameters, recipe.loss),
        data: &data,
        held_out: &held_out,
        batch_size: recipe.optimisation.batch_size,
        epoch: None,
    };
    let outcome = train(&mut task, &recipe.optimisation, &args.training.options())?;
    let folder = args.training.out.join("model");
    let tensors = task.trainer.learner().parameters()?.to_tensors()?;
    checkpoint::save(
        &folder,
        &config,
        &loaded.encoder,
        Some(&tensors),
        DType::F16,
    )?;
    let validation = task.validate()?;
    let teacher_forced = validation
        .iter()
        .find(|(name, _)| *name == "teacher_forced")
        .map_or(f64::NAN, |(_, v)| *v);
    if args.training.json {
        println!(
            "{}",
            serde_json::json!({
                "model": folder, "steps": outcome.steps, "best": outcome.best,
                "held_out_l1": teacher_forced, "persistence_l1": persistence,
                "interrupted": outcome.interrupted,
            })
        );
    } else {
        println!(
            "predictor after {} steps, held-out L1 one step ahead {teacher_forced:.4} \
             (persistence {persistence:.4}): {}",
            outcome.steps,
            folder.display()
        );
    }
    Ok(())
}

fn predictor_config(encoder: &EncoderConfig, recipe: &TrainRecipe) -> PredictorConfig {
    PredictorConfig {
        img_size: encoder.img_size,
        patch_size: encoder.patch_size,
        num_frames: encoder.num_frames * recipe.clip_frames,
        tubelet_size: encoder.tubelet_size,
        embed_dim: encoder.embed_dim,
        predictor_embed_dim: recipe.predictor.predictor_embed_dim,
        depth: recipe.predictor.depth,
        num_heads: recipe.predictor.num_heads,
        use_extrinsics: false,
        mlp_ratio: 4.0,
        rope: encoder.rope,
        euler_around_rad: recipe.euler_around_rad,
    }
}

/// Episodes as latents, and windows over them.
struct Clips {
    frames: LatentSet,
    sampler: ClipSampler,
    predictor: PredictorConfig,
}

impl Clips {
    fn load(
        path: &Path,
        split: Split,
        config: &EncoderConfig,
        encoder: &Parameters,
        predictor: &PredictorConfig,
        recipe: &TrainRecipe,
    ) -> Result<Self> {
        let frames = LatentSet::load(path, split, config, encoder)?;
        let weights = if recipe.gripper_event_factor == 1.0 {
            WindowWeights::Uniform
        } else {
            WindowWeights::GripperEvents {
                factor: recipe.gripper_event_factor,
            }
        };
        let seed = recipe.optimisation.seed;
        let sampler = ClipSampler::new(&frames.set, recipe.clip_frames, &weights, seed)?;
        Ok(Clips {
            frames,
            sampler,
            predictor: predictor.clone(),
        })
    }

    fn batch(&self, windows: &[Window]) -> candle_core::Result<PredictorBatch> {
        let (b, t) = (windows.len(), self.sampler.length());
        let (mut latents, mut actions, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for window in windows {
            for step in window.start..window.start + t {
                latents.extend_from_slice(self.frames.of(step));
                states.extend(self.predictor.state_input(self.frames.set.states()[step]));
                if step + 1 < window.start + t {
                    actions.extend_from_slice(&self.frames.set.actions()[step]);
                }
            }
        }
        let device = Device::Cpu;
        Ok(PredictorBatch {
            latents: Tensor::from_vec(
                latents,
                (b, t * self.frames.tokens, self.frames.width),
                &device,
            )?,
            actions: Tensor::from_vec(actions, (b, t - 1, 7), &device)?,
            states: Tensor::from_vec(states, (b, t, 7), &device)?,
            extrinsics: None,
            weights: None,
        })
    }

    /// The clips validation looks at: evenly spaced over a fixed epoch.
    fn fixed_windows(&self) -> Vec<Window> {
        let mut windows = self.sampler.epoch(0);
        windows.truncate(VALIDATION_CLIPS);
        windows
    }

    /// Mean L1 distance between consecutive latents: what predicting no change scores.
    fn persistence(&self) -> f64 {
        let mut sum = 0.0;
        let mut count = 0usize;
        for window in self.fixed_windows() {
            for step in window.start..window.start + self.sampler.length() - 1 {
                let (now, next) = (self.frames.of(step), self.frames.of(step + 1));
                sum += now
                    .iter()
                    .zip(next)
                    .map(|(a, b)| f64::from((a - b).abs()))
                    .sum::<f64>();
                count += now.len();
            }
        }
        sum / count.max(1) as f64
    }
}

struct Training<'a> {
    trainer: PredictorTrainer,
    data: &'a Clips,
    held_out: &'a Clips,
    batch_size: usize,
    /// The windows of the epoch at hand.
    epoch: Option<(u64, Vec<Window>)>,
}

impl Task for Training<'_> {
    fn learner(&mut self) -> &mut Learner {
        self.trainer.learner_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let per_epoch = (self.data.sampler.len() / self.batch_size).max(1);
        let epoch = (step / per_epoch) as u64;
        if self
            .epoch
            .as_ref()
            .is_none_or(|(number, _)| *number != epoch)
        {
            self.epoch = Some((epoch, self.data.sampler.epoch(epoch)));
        }
        let windows = self.epoch.as_ref().map_or(&[][..], |(_, w)| w);
        let from = step % per_epoch * self.batch_size;
        let to = (from + self.batch_size).min(windows.len());
        let batch = self.data.batch(&windows[from..to])?;
        let (losses, _) = self.trainer.compute_gradients(&batch)?;
        Ok(parts(&losses))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let windows = self.held_out.fixed_windows();
        let mut sum = Losses {
            teacher_forced: 0.0,
            rollout: 0.0,
            total: 0.0,
        };
        for chunk in windows.chunks(self.batch_size) {
            let losses = self.trainer.evaluate(&self.held_out.batch(chunk)?)?;
            let share = chunk.len() as f64 / windows.len() as f64;
            sum.teacher_forced += share * losses.teacher_forced;
            sum.rollout += share * losses.rollout;
            sum.total += share * losses.total;
        }
        Ok(parts(&sum))
    }
}

fn parts(losses: &Losses) -> Parts {
    vec![
        ("total", losses.total),
        ("teacher_forced", losses.teacher_forced),
        ("rollout", losses.rollout),
    ]
}
