//! A behaviour-cloning policy from demonstrations: moments with a later frame as their goal.

use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, Result};
use candle_core::{Device, Tensor};
use foresight_datasets::{Draws, EpisodeStore, IndexEntry};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::policy::{self, PolicyConfig};
use foresight_predictor::{ComputeDevice, EncoderConfig, PredictorConfig, PredictorError};
use rayon::ThreadPool;

use crate::episodes;
use crate::feed::{clip_feed, described, readers, Feed, Share};
use crate::latent_cache::LatentStorage;
use crate::latent_clips::{LatentClip, LatentClips};
use crate::latent_source::{open_folder, LatentSource};
use crate::policy_trainer::{PolicyBatch, PolicyLosses, PolicyTrainer};
use crate::recipe::CloneRecipe;
use crate::run::{Parts, TrainingTask};
use crate::settings::Crop;
use crate::TrainState;

/// Moments the held-out losses are computed on.
const VALIDATION_MOMENTS: usize = 768;
/// Seed of those.
const VALIDATION_SEED: u64 = 0;

/// A policy in training.
pub struct PolicyTask {
    trainer: PolicyTrainer,
    config: PolicyConfig,
    held_out: LatentClips,
    readers: Arc<ThreadPool>,
    feed: Feed<Vec<LatentClip>>,
}

impl PolicyTask {
    /// A policy with random weights behind the encoder of a model folder, and the demonstrations
    /// it learns from; latents are kept in `cache`.
    ///
    /// # Errors
    /// When recipe, encoder or recordings can't be used.
    pub fn new(
        recipe: &CloneRecipe,
        encoder: &Path,
        data: &Path,
        validation: Option<&Path>,
        cache: &Path,
    ) -> Result<Self> {
        if recipe.farthest_goal_steps == 0 {
            bail!("farthest_goal_steps must be at least 1");
        }
        if recipe.actions == 0 || (recipe.actions > 1 && recipe.data.jump_steps == [1, 1]) {
            bail!(
                "actions = {} must be 1, or more with data.jump_steps, e.g. [1, 4]",
                recipe.actions
            );
        }
        let (checkpoint, model) = open_folder(encoder)?;
        let config = policy_config(recipe, &model.encoder);
        let mut episodes = episodes::open(data, validation, &recipe.data)?;
        for (subset, path) in [
            (&mut episodes.training, data),
            (&mut episodes.held_out, &episodes.held_out_root),
        ] {
            subset.retain(|entry| demonstrates(recipe, entry));
            if subset.episodes().is_empty() {
                bail!(
                    "no episode in {} is of the behaviours {:?}; `foresight dataset info` lists \
                     those there are",
                    path.display(),
                    recipe.behaviours
                );
            }
        }
        let transform = Crop::transform(recipe.crop.as_ref(), &model.encoder)?;
        let cache = Some((cache, LatentStorage::F32));
        let source = LatentSource::new(&checkpoint, &model, transform, ComputeDevice::Cpu, cache)?;
        let optimisation = &recipe.optimisation;
        let clips = |subset, path: &Path, batch, seed| {
            let draws = Draws::Goal {
                batch,
                farthest: recipe.farthest_goal_steps,
                gripper_events: recipe.data.gripper_events,
            };
            let mut options = recipe.data.clip_options(draws, seed);
            options.shape.frames = 2;
            source.clips(subset, path, options, config.network.clone())
        };
        let batch = optimisation.batch_size;
        let training = clips(episodes.training, data, batch, optimisation.seed)?;
        let held_out_root = &episodes.held_out_root;
        let held_out = clips(
            episodes.held_out,
            held_out_root,
            VALIDATION_MOMENTS,
            VALIDATION_SEED,
        )?;
        for clips in [&training, &held_out] {
            episodes::name_left_out(clips.source());
            episodes::name_length_mismatches(clips.source());
        }
        let mut parameters = Parameters::zeros(policy::layout(&config));
        initialise(&mut parameters, Part::AcPredictor, optimisation.seed);
        let readers = readers(recipe.data.workers)?;
        Ok(PolicyTask {
            trainer: PolicyTrainer::new(config.clone(), parameters),
            feed: clip_feed(&readers, &Arc::new(training), Share::whole(batch)),
            config,
            held_out,
            readers,
        })
    }

    /// Writes the policy into a folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors = self.trainer.state().parameters()?.to_tensors()?;
        Ok(policy::save(folder, &self.config, &tensors)?)
    }

    /// The first actions of the way to a clip's goal; none where it is over sooner.
    fn told(&self, clip: &LatentClip) -> Vec<[f32; 7]> {
        let way = clip.actions.chunks_exact(7);
        let mut told: Vec<[f32; 7]> = way.map(|a| std::array::from_fn(|i| a[i])).collect();
        told.resize(self.config.actions, [0.0; 7]);
        told
    }

    /// Clips of a moment and its goal as a batch.
    fn batch(&self, clips: &[LatentClip]) -> candle_core::Result<PolicyBatch> {
        let network = &self.config.network;
        let shape = (clips.len(), network.tokens_per_frame(), network.embed_dim);
        let size = shape.1 * shape.2;
        let frame = |at: usize| {
            let frames = clips
                .iter()
                .flat_map(|c| &c.latents[at * size..(at + 1) * size]);
            Tensor::from_vec(frames.copied().collect::<Vec<f32>>(), shape, &Device::Cpu)
        };
        let states: Vec<f32> = clips.iter().flat_map(|c| &c.states[..7]).copied().collect();
        Ok(PolicyBatch {
            now: frame(0)?,
            goal: frame(1)?,
            states: Tensor::from_vec(states, (clips.len(), 7), &Device::Cpu)?,
            actions: clips.iter().flat_map(|clip| self.told(clip)).collect(),
        })
    }
}

impl TrainingTask for PolicyTask {
    fn state(&mut self) -> &mut TrainState {
        self.trainer.state_mut()
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let clips = self.feed.take(step)?;
        let batch = self.batch(&clips)?;
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let draws: Vec<u64> = (0..VALIDATION_MOMENTS as u64).collect();
        let clips = self.readers.install(|| self.held_out.clips(&draws));
        let batch = self.batch(&clips.map_err(described)?)?;
        Ok(parts(&self.trainer.evaluate(&batch)?))
    }

    fn waited_s(&self) -> f64 {
        self.feed.waited_s()
    }
}

fn policy_config(recipe: &CloneRecipe, encoder: &EncoderConfig) -> PolicyConfig {
    PolicyConfig {
        network: PredictorConfig {
            euler_around_rad: recipe.euler_around_rad,
            ..PredictorConfig::behind(
                encoder,
                2,
                [
                    recipe.policy.predictor_embed_dim,
                    recipe.policy.depth,
                    recipe.policy.num_heads,
                ],
            )
        },
        actions: recipe.actions,
    }
}

/// Whether an episode is a demonstration of what the recipe asks for.
fn demonstrates(recipe: &CloneRecipe, entry: &IndexEntry) -> bool {
    let behaviours = &recipe.behaviours;
    behaviours.is_empty() || behaviours.iter().any(|b| b == entry.behaviour_or_task())
}

fn parts(losses: &PolicyLosses) -> Parts {
    vec![("total", losses.total), ("gripper", losses.gripper)]
}
