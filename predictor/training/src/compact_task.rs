//! A compact model from recorded clips.

use std::path::Path;

use anyhow::{bail, Result};
use candle_core::{Device, Tensor};
use foresight_datasets::{ClipSampler, ClipWindow};
use foresight_predictor::compact::{self, CompactConfig};
use foresight_predictor::transform::ImageTransform;
use foresight_predictor::PredictorError;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::compact_trainer::{layout, CompactBatch, CompactLosses, CompactTrainer};
use crate::episodes;
use crate::feed::{described, readers, Feed};
use crate::frame_transform::FrameTransform;
use crate::init;
use crate::objectives::told::{self, CompactObjectives, Told};
use crate::optimisation::Optimisation;
use crate::run::{Parts, TrainingTask};
use crate::settings::{self, Crop, Data};
use crate::TrainState;

/// Clips the held-out losses are computed on.
const VALIDATION_CLIPS: usize = 256;
/// Latents of which the next can't be told better than by this share of no change learned nothing.
const LEARNED_NOTHING: f64 = 0.98;

/// `foresight train-compact`: encoder and predictor, jointly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompactRecipe {
    /// Architecture.
    pub model: CompactConfig,
    /// What counts how much.
    #[serde(default)]
    pub objectives: CompactObjectives,
    /// Which clips of which recordings.
    pub data: Data,
    /// As in [`Settings::crop`](crate::settings::Settings::crop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Optimiser.
    pub optimisation: Optimisation,
}

/// A compact model in training.
pub struct CompactTask {
    trainer: CompactTrainer,
    held_out: Clips,
    feed: Feed<CompactBatch>,
}

impl CompactTask {
    /// A model with random weights, and the recordings it learns from.
    ///
    /// # Errors
    /// When recipe or recordings can't be used.
    pub fn new(recipe: &CompactRecipe, data: &Path, validation: Option<&Path>) -> Result<Self> {
        let CompactRecipe {
            model: config,
            objectives,
            ..
        } = recipe;
        let checked = config.validate().and_then(|()| objectives.check());
        checked.map_err(anyhow::Error::msg)?;
        settings::check(&recipe.data, &recipe.optimisation, 1)?;
        if recipe.data.frames < 2 {
            bail!("data.frames must be at least 2: a step has a frame before and one after it");
        }
        let optimisation = &recipe.optimisation;
        let (frames, clips) = (recipe.data.frames, optimisation.batch_size);
        let side = [config.side_px; 2];
        let transform = match &recipe.crop {
            None => FrameTransform::AsRecorded(config.frame_size()),
            Some(crop) => {
                crop.check()?;
                let picture = ImageTransform::with_crop(side, crop.scale, crop.ratio);
                FrameTransform::Crop(picture.side_by_side(config.views))
            }
        };
        let episodes = episodes::open(data, validation, &recipe.data)?;
        let open = |subset, path: &Path| -> Result<Clips> {
            let size = [frames, clips];
            Ok(Clips {
                sampler: episodes::sampler(subset, path, &recipe.data, size, optimisation.seed)?,
                transform: transform.clone(),
                config: config.clone(),
                objectives: *objectives,
            })
        };
        let training = open(episodes.training, data)?;
        let held_out = open(episodes.held_out, &episodes.held_out_root)?;
        let readers = readers(recipe.data.workers)?;
        let entries = layout(config, objectives);
        let parameters = init::random(entries, optimisation.seed, compact::initial_std);
        Ok(CompactTask {
            trainer: CompactTrainer::new(config.clone(), *objectives, parameters),
            held_out,
            feed: Feed::new(&readers, move |step| {
                let draws = (step * clips) as u64..((step + 1) * clips) as u64;
                let windows = draws.map(|draw| training.sampler.window(draw));
                let windows: Vec<ClipWindow> = windows.collect::<Result<_, _>>()?;
                training.batch(&windows, training.sampler.step_seed(step as u64))
            }),
        })
    }

    /// Writes the model's folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let mut tensors = self.trainer.state.parameters()?.to_tensors()?;
        let own = compact::layout(&self.held_out.config);
        tensors.retain(|name, _| own.iter().any(|(own, _)| own == name));
        Ok(compact::save(folder, &self.held_out.config, &tensors)?)
    }
}

/// Recorded clips.
struct Clips {
    sampler: ClipSampler,
    transform: FrameTransform,
    config: CompactConfig,
    objectives: CompactObjectives,
}

impl Clips {
    fn batch(&self, windows: &[ClipWindow], seed: u64) -> Result<CompactBatch> {
        let read = windows
            .par_iter()
            .map(|window| self.transform.pixels(&self.sampler.frames(window)?, None));
        let pixels: Vec<Vec<f32>> = read.collect::<Result<_>>()?;
        let frames = self.sampler.options().shape.frames;
        let (clips, config) = (windows.len(), &self.config);
        let told = |action: &[f64; 7]| config.told(&action.map(|v| v as f32)).collect::<Vec<_>>();
        let actions = windows.iter().flat_map(|w| &w.actions).flat_map(told);
        let shape = (clips, frames - 1, config.actions.len());
        let actions = Tensor::from_iter(actions, &Device::Cpu)?.reshape(shape)?;
        let states = windows.iter().flat_map(|w| &w.states);
        let poses = (self.objectives.proprioception > 0.0)
            .then(|| told::poses(config, states, [clips, frames]));
        let size = self.config.frame_size();
        let changes = (self.objectives.changes > 0.0).then(|| told::changes(&pixels, size));
        let pictures = (clips * frames, 3, size[0], size[1]);
        Ok(CompactBatch {
            pictures: Tensor::from_vec(pixels.concat(), pictures, &Device::Cpu)?,
            told: Told {
                actions,
                poses: poses.transpose()?,
                changes: changes.transpose()?,
            },
            seed,
        })
    }
}

impl TrainingTask for CompactTask {
    fn state(&mut self) -> &mut TrainState {
        &mut self.trainer.state
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let batch = self.feed.take(step)?;
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let batch = || {
            let windows = self.held_out.sampler.evenly_spaced(VALIDATION_CLIPS)?;
            self.held_out.batch(&windows, 0)
        };
        let losses = self.trainer.evaluate(&batch().map_err(described)?)?;
        if losses.prediction > LEARNED_NOTHING * losses.persistence {
            tracing::warn!(
                "the next latent is foreseen no better than by no change ({:.3} and {:.3}): common in the \
                 first steps; later, lower the learning rate or objectives.sigreg",
                losses.prediction,
                losses.persistence
            );
        }
        Ok(parts(&losses))
    }

    fn waited_s(&self) -> f64 {
        self.feed.waited_s()
    }
}

fn parts(losses: &CompactLosses) -> Parts {
    vec![
        ("total", losses.total),
        ("prediction", losses.prediction),
        ("rollout", losses.rollout),
        ("sigreg", losses.sigreg),
        ("inverse_dynamics", losses.inverse_dynamics),
        ("proprioception", losses.proprioception),
        ("changes", losses.changes),
        ("persistence", losses.persistence),
    ]
}
