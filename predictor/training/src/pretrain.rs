//! An encoder from recorded frames.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, Result};
use candle_core::DType;
use foresight_datasets::{ClipSampler, ClipWindow};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Part};
use foresight_predictor::offline::COLLAPSED;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{ModelConfig, PredictorError};
use rayon::prelude::*;

use crate::encoder_trainer::layout_with_heads;
use crate::episodes;
use crate::feed::{described, readers, Feed};
use crate::frame_transform::FrameTransform;
use crate::objectives::object;
use crate::recipe::PretrainRecipe;
use crate::run::{Parts, TrainingTask};
use crate::settings::Crop;
use crate::{EncoderBatch, EncoderLosses, EncoderTrainer, TrainState};

/// Frames the held-out losses are computed on.
const VALIDATION_FRAMES: usize = 1024;

/// An encoder in training.
pub struct EncoderTask {
    trainer: EncoderTrainer,
    config: ModelConfig,
    held_out: Frames,
    feed: Feed<EncoderBatch>,
}

impl EncoderTask {
    /// An encoder with random weights, and the recordings it learns from.
    ///
    /// # Errors
    /// When recipe or recordings can't be used.
    pub fn new(recipe: &PretrainRecipe, data: &Path, validation: Option<&Path>) -> Result<Self> {
        let config = ModelConfig::of(&recipe.name, recipe.encoder.clone());
        config.validate().map_err(anyhow::Error::msg)?;
        recipe.check()?;
        let optimisation = &recipe.optimisation;
        let frames = if recipe.objectives.need_pairs() { 2 } else { 1 };
        let clips = optimisation.batch_size / frames;
        let episodes = episodes::open(data, validation, &recipe.data)?;
        let open = |subset, path: &Path| -> Result<Frames> {
            let (size, seed) = ([frames, clips], optimisation.seed);
            Ok(Frames {
                sampler: episodes::sampler(subset, path, &recipe.data, size, seed)?,
                transform: Crop::transform(recipe.crop.as_ref(), &recipe.encoder)?,
                labels: (recipe.objectives.object > 0.0).then(Mutex::default),
            })
        };
        let training = open(episodes.training, data)?;
        let held_out = open(episodes.held_out, &episodes.held_out_root)?;
        let layout = layout_with_heads(&recipe.encoder, &recipe.objectives);
        let mut parameters = Parameters::zeros(layout);
        initialise(&mut parameters, Part::Encoder, optimisation.seed);
        let readers = readers(recipe.data.workers)?;
        let (encoder, objectives) = (recipe.encoder.clone(), recipe.objectives.clone());
        Ok(EncoderTask {
            trainer: EncoderTrainer::new(encoder, parameters, objectives)?,
            config,
            held_out,
            feed: Feed::new(&readers, move |step| training.step(step, clips)),
        })
    }

    /// Writes the encoder's model folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors = self.trainer.state().parameters()?.to_tensors()?;
        let (config, dtype) = (&self.config, DType::F32);
        Ok(checkpoint::save(folder, config, &tensors, None, dtype)?)
    }
}

impl TrainingTask for EncoderTask {
    fn state(&mut self) -> &mut TrainState {
        self.trainer.state_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let batch = self.feed.take(step)?;
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let batch = self.held_out.validation().map_err(described)?;
        let losses = self.trainer.evaluate(&batch)?;
        if losses.deviation < COLLAPSED {
            tracing::warn!(
                "latents have nearly collapsed: over held-out frames they deviate by only {:.3}; \
                 raise objectives.sigreg or ema_momentum, or lower the learning rate",
                losses.deviation
            );
        }
        Ok(parts(&losses))
    }

    fn waited_s(&self) -> f64 {
        self.feed.waited_s()
    }
}

/// Object and target of every state of an episode.
type Labels = Arc<Vec<[f32; object::SIZE]>>;

/// Recorded frames, one by one or in pairs of neighbours.
struct Frames {
    sampler: ClipSampler,
    transform: FrameTransform,
    /// Those of the episodes asked for so far; absent where nobody needs them.
    labels: Option<Mutex<HashMap<usize, Labels>>>,
}

impl Frames {
    /// A step's batch.
    fn step(&self, step: usize, clips: usize) -> Result<EncoderBatch> {
        let draws = (step * clips) as u64..((step + 1) * clips) as u64;
        let windows = draws.map(|draw| self.sampler.window(draw));
        let windows: Vec<ClipWindow> = windows.collect::<Result<_, _>>()?;
        self.batch(&windows, self.sampler.step_seed(step as u64))
    }

    fn validation(&self) -> Result<EncoderBatch> {
        let frames = self.sampler.options().shape.frames;
        let count = VALIDATION_FRAMES.min(self.sampler.states()) / frames;
        self.batch(&self.sampler.evenly_spaced(count)?, 0)
    }

    /// First frames of all clips, then the second ones of pairs.
    fn batch(&self, windows: &[ClipWindow], seed: u64) -> Result<EncoderBatch> {
        let frames = self.sampler.options().shape.frames;
        let read = windows.par_iter().map(|window| {
            let pixels = self.transform.pixels(&self.sampler.frames(window)?, None)?;
            Ok((pixels, self.labels_of(window)?))
        });
        let read: Vec<(Vec<f32>, Option<Labels>)> = read.collect::<Result<_>>()?;
        let mut batch = EncoderBatch {
            seed,
            ..EncoderBatch::default()
        };
        let narrow = |pose: &[f64; 7]| pose.map(|v| v as f32);
        for at in 0..frames {
            for (window, (pixels, labels)) in windows.iter().zip(&read) {
                let frame = pixels.len() / frames;
                batch
                    .pixels
                    .extend_from_slice(&pixels[at * frame..(at + 1) * frame]);
                batch.states.push(narrow(&window.states[at]));
                if let Some(labels) = labels {
                    batch.objects.push(labels[window.frame_numbers[at]]);
                }
            }
        }
        let actions = windows.iter().flat_map(|window| &window.actions);
        batch.actions = actions.map(narrow).collect();
        Ok(batch)
    }

    fn labels_of(&self, window: &ClipWindow) -> Result<Option<Labels>> {
        let Some(labels) = &self.labels else {
            return Ok(None);
        };
        let lock = || labels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&window.episode) {
            return Ok(Some(Arc::clone(known)));
        }
        let trajectory = self.sampler.extras(window.episode)?.trajectory;
        let Some(truth) = &trajectory.simulator else {
            bail!(
                "{} doesn't say where the object was; objectives.object needs recordings of the \
                 simulator",
                window.path
            );
        };
        let [target_x, target_y] = truth.target_position_m.map(|v| v as f32);
        let of_state = |at: usize| {
            let hand = trajectory.states[at].to_array().map(|v| v as f32);
            let [x, y, z] = truth.object_position_m[at].map(|v| v as f32);
            let held = if truth.held[at] { 1.0 } else { 0.0 };
            let [dx, dy, dz] = [x - hand[0], y - hand[1], z - hand[2]];
            [x, y, z, dx, dy, dz, target_x, target_y, held]
        };
        let made: Labels = Arc::new((0..trajectory.len()).map(of_state).collect());
        lock().insert(window.episode, Arc::clone(&made));
        Ok(Some(made))
    }
}

fn parts(losses: &EncoderLosses) -> Parts {
    vec![
        ("total", losses.total),
        ("proprioception", losses.proprioception),
        ("residual", losses.residual_decoder),
        ("pose_decoder", losses.pose_decoder),
        ("next_latent", losses.next_latent),
        ("sigreg", losses.sigreg),
        ("inverse", losses.inverse_dynamics),
        ("masked", losses.masked),
        ("hand", losses.hand),
        ("hand_predicted", losses.hand_predicted),
        ("object", losses.object),
        ("deviation", losses.deviation),
    ]
}
