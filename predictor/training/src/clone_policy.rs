//! A behaviour-cloning policy from demonstrations: moments with a later frame as their goal.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{bail, Context, Result};
use candle_core::{Device, Tensor};
use foresight_datasets::{ClipSampler, ClipWindow, Draws, EpisodeStore, IndexEntry, Subset};
use foresight_predictor::config::check_numbers;
use foresight_predictor::policy::{self, PolicyConfig};
use foresight_predictor::PredictorError;
use rayon::prelude::*;

use crate::episodes;
use crate::feed::{described, readers, Feed};
use crate::frame_transform::FrameTransform;
use crate::init;
use crate::latent_source::open_folder;
use crate::lighting::Lighting;
use crate::policy_trainer::{PolicyBatch, PolicyLosses, PolicyTrainer};
use crate::recipe::CloneRecipe;
use crate::run::{Parts, TrainingTask};
use crate::settings::{self, Crop};
use crate::TrainState;

/// Moments the held-out losses are computed on.
const VALIDATION_MOMENTS: usize = 768;
/// Seed of those.
const VALIDATION_SEED: u64 = 0;

/// A policy in training.
pub struct PolicyTask {
    trainer: PolicyTrainer,
    held_out: Moments,
    feed: Feed<PolicyBatch>,
}

impl PolicyTask {
    /// A policy that looks at pictures as a model folder's encoder does, and the demonstrations it learns
    /// from. It begins as the one in the folder `start`, or with random weights.
    ///
    /// # Errors
    /// When recipe, encoder or recordings can't be used.
    pub fn new(
        recipe: &CloneRecipe,
        encoder: &Path,
        data: &Path,
        validation: Option<&Path>,
        start: Option<&Path>,
    ) -> Result<Self> {
        let (farthest, hues) = (recipe.farthest_goal_steps, recipe.other_hues_share);
        let numbers = [
            ("farthest_goal_steps", farthest as f64, [1.0, f64::INFINITY]),
            ("other_hues_share", f64::from(hues), [0.0, 1.0]),
        ];
        check_numbers("", &numbers).map_err(anyhow::Error::msg)?;
        settings::check(&recipe.data, &recipe.optimisation, 1)?;
        let (_, model) = open_folder(encoder)?;
        let config = PolicyConfig {
            img_size: model.encoder.img_size,
            channels: recipe.policy.channels.clone(),
            points: recipe.policy.points,
            hidden: recipe.policy.hidden,
            keyframes: recipe.keyframes,
            euler_around_rad: recipe.euler_around_rad,
        };
        config.check().map_err(anyhow::Error::msg)?;
        let mut episodes = episodes::open(data, validation, &recipe.data)?;
        let both = [&episodes.training, &episodes.held_out];
        let entries = both.into_iter().flat_map(|subset| subset.episodes());
        let there: BTreeSet<&str> = entries.map(IndexEntry::behaviour_or_task).collect();
        let unknown = recipe.behaviours.iter();
        let unknown: Vec<&String> = unknown.filter(|b| !there.contains(b.as_str())).collect();
        let what = format!(
            "behaviours: no episode in {} is of {unknown:?}, they are of {there:?}",
            data.display()
        );
        // A small recording may lack some; one that has none was meant to be another.
        if !unknown.is_empty() && unknown.len() == recipe.behaviours.len() {
            bail!("{what}; name some of these");
        } else if !unknown.is_empty() {
            tracing::warn!("{what}");
        }
        for (subset, path) in [
            (&mut episodes.training, data),
            (&mut episodes.held_out, &episodes.held_out_root),
        ] {
            subset.retain(|entry| demonstrates(recipe, entry));
            if subset.episodes().is_empty() {
                let wanted = &recipe.behaviours;
                bail!(
                    "no episode in {} is of the behaviours {wanted:?}",
                    path.display()
                );
            }
        }
        let transform = Crop::transform(recipe.crop.as_ref(), &model.encoder)?;
        let optimisation = &recipe.optimisation;
        let moments = |subset: Subset, path: &Path, batch, seed| -> Result<Moments> {
            let draws = Draws::Goal {
                batch,
                farthest: recipe.farthest_goal_steps,
                farthest_share: recipe.farthest_goal_share,
                gripper_events: recipe.data.gripper_events,
            };
            let mut options = recipe.data.clip_options(draws, seed);
            options.shape.frames = 2;
            let sampler = ClipSampler::new(Box::new(subset), options)
                .with_context(|| format!("in {}", path.display()))?;
            episodes::name_left_out(&sampler);
            episodes::name_length_mismatches(&sampler);
            Ok(Moments {
                sampler,
                transform: transform.clone(),
                config: config.clone(),
            })
        };
        let (batch, seed) = (optimisation.batch_size, optimisation.seed);
        let training = moments(episodes.training, data, batch, seed)?;
        let (few, fixed) = (VALIDATION_MOMENTS, VALIDATION_SEED);
        let held_out = moments(episodes.held_out, &episodes.held_out_root, few, fixed)?;
        let parameters = match start {
            Some(folder) => policy::weights(folder, &config)?,
            None => init::random(policy::layout(&config), seed, policy::initial_std),
        };
        let readers = readers(recipe.data.workers)?;
        Ok(PolicyTask {
            trainer: PolicyTrainer::new(config, parameters),
            feed: Feed::new(&readers, move |step| {
                let draws = (step * batch) as u64..((step + 1) * batch) as u64;
                training.batch(draws, Some((seed, hues)))
            }),
            held_out,
        })
    }

    /// Writes the policy into a folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors = self.trainer.state.parameters()?.to_tensors()?;
        Ok(policy::save(folder, &self.held_out.config, &tensors)?)
    }
}

/// Moments of demonstrations, each with a later one as its goal.
struct Moments {
    sampler: ClipSampler,
    transform: FrameTransform,
    config: PolicyConfig,
}

impl Moments {
    /// Those of some draws; in another light each where a seed for that is given, with the share of them
    /// in other hues.
    fn batch(&self, draws: std::ops::Range<u64>, light: Option<(u64, f32)>) -> Result<PolicyBatch> {
        let [height, width] = self.config.img_size;
        let draws: Vec<u64> = draws.collect();
        let read = draws.par_iter().map(|draw| {
            let window = self.sampler.window(*draw)?;
            let mut pixels = self
                .transform
                .pixels(&self.sampler.frames(&window)?, None)?;
            if let Some((seed, hues)) = light {
                Lighting::draw(seed, *draw, hues).apply(&mut pixels, height * width);
            }
            Ok((window, pixels))
        });
        let read: Vec<(ClipWindow, Vec<f32>)> = read.collect::<Result<_>>()?;
        let (count, size) = (read.len(), 3 * height * width);
        let pictures = |at: usize| {
            let frames = read.iter();
            let frames = frames.flat_map(|(_, pixels)| &pixels[at * size..(at + 1) * size]);
            let frames: Vec<f32> = frames.copied().collect();
            Tensor::from_vec(frames, (count, 3, height, width), &Device::Cpu)
        };
        let narrow = |pose: &[f64; 7]| pose.map(|v| v as f32);
        let states = read
            .iter()
            .flat_map(|(window, _)| policy::state_input(&self.config, narrow(&window.states[0])));
        let told = read.iter().flat_map(|(window, _)| {
            let mut told: Vec<[f32; 7]> = window.actions.iter().map(narrow).collect();
            told.resize(self.config.answers(), [0.0; 7]);
            told
        });
        Ok(PolicyBatch {
            now: pictures(0)?,
            goal: pictures(1)?,
            actions: told.collect(),
            states: Tensor::from_vec(states.collect::<Vec<f32>>(), (count, 7), &Device::Cpu)?,
        })
    }
}

impl TrainingTask for PolicyTask {
    fn state(&mut self) -> &mut TrainState {
        &mut self.trainer.state
    }

    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError> {
        let batch = self.feed.take(step)?;
        Ok(parts(&self.trainer.compute_gradients(&batch)?))
    }

    fn validate(&mut self) -> Result<Parts, PredictorError> {
        let batch = self.held_out.batch(0..VALIDATION_MOMENTS as u64, None);
        Ok(parts(&self.trainer.evaluate(&batch.map_err(described)?)?))
    }

    fn waited_s(&self) -> f64 {
        self.feed.waited_s()
    }
}

/// Whether an episode is a demonstration of what the recipe asks for.
fn demonstrates(recipe: &CloneRecipe, entry: &IndexEntry) -> bool {
    let behaviours = &recipe.behaviours;
    behaviours.is_empty() || behaviours.iter().any(|b| b == entry.behaviour_or_task())
}

fn parts(losses: &PolicyLosses) -> Parts {
    vec![
        ("total", losses.total),
        ("translation", losses.translation),
        ("gripper", losses.gripper),
    ]
}
