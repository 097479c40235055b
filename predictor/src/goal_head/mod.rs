//! From a sentence and what is seen to goal latents: what makes a sentence a goal.
//!
//! A small transformer beside a world model, which stays as it is. It is asked for one stage at a time
//! (above the object, around it, …): the stages are those that the demonstrations it learned from have in
//! common, cut where their gripper closes and opens.

pub mod network;
pub mod sentence;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use foresight_planner::{GripperRule, Pose};
use serde::{Deserialize, Serialize};

use crate::config::{EncoderConfig, PredictorConfig};
use crate::error::Result;
use crate::layout::Entry;
use crate::parameters::Tensors;
use crate::side_network::{self, damaged, LoadedLayers};
use crate::world_model::Latent;
use network::{answers, Asked, PLACE_SCALE_M};

/// The weights.
pub const WEIGHTS: &str = "goal-head.safetensors";
/// What the weights belong to.
pub const DESCRIPTION: &str = "goal-head.json";
/// The middle of what places are told from, m.
const MIDDLE_M: [f32; 3] = [0.5, 0.0, 0.1];

/// A goal head's architecture, its words and stages, and how it was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoalHeadConfig {
    /// Grid, widths, depth and heads.
    pub network: PredictorConfig,
    /// The words it knows, in the order of their numbers from 1.
    pub vocabulary: Vec<String>,
    /// Most words of a sentence.
    pub most_words: usize,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Least probabilities, by the head, that a sentence's object and its disc are in view; below it
    /// nothing moves.
    pub least_fit: [f32; 2],
    /// How it was trained.
    pub training: Training,
}

/// A stage of what a sentence asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Actions it may take.
    pub steps: u32,
    /// What the gripper does meanwhile.
    pub gripper: GripperRule,
}

/// Number of stages of a pick and place.
pub const STAGES: usize = 6;

impl Stage {
    /// Those of a pick and place, in order, which may take so many actions each.
    pub fn pick_and_place(steps: [u32; STAGES]) -> Vec<Self> {
        use GripperRule::{Close, Hold, Open};
        let rules = [
            ("hover", Hold),
            ("around", Hold),
            ("grasp", Close),
            ("carry", Hold),
            ("lower", Hold),
            ("release", Open),
        ];
        let stages = rules.into_iter().zip(steps);
        let stage = |((name, gripper), steps): ((&str, GripperRule), u32)| Stage {
            name: name.to_owned(),
            steps,
            gripper,
        };
        stages.map(stage).collect()
    }
}

/// How a head was trained, for the model's card.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Training {
    /// Demonstrations learned from, and held out.
    pub episodes: [usize; 2],
    /// Different sentences among them.
    pub sentences: [usize; 2],
    /// Steps.
    pub steps: usize,
    /// Wall time, s.
    pub seconds: f64,
    /// Mean L1 of the goal's latent on held-out demonstrations, and of taking what is seen for it.
    pub goal_l1: [f64; 2],
    /// Mean distance of where the hand will be from where it was, on held-out demonstrations, m.
    pub place_m: f64,
}

/// What the head makes of a sentence at a stage.
#[derive(Debug, Clone)]
pub struct StageGoal {
    /// What will be seen at its end.
    pub latent: Latent,
    /// Where the hand will be then, base frame, m.
    pub place_m: [f64; 3],
    /// Probabilities that the sentence's object and its disc are in view.
    pub fit: [f32; 2],
}

/// A goal head, ready to answer.
#[derive(Debug)]
pub struct GoalHead {
    config: GoalHeadConfig,
    layers: LoadedLayers,
}

impl GoalHeadConfig {
    /// Sizes of the network behind an encoder: `[width, depth, heads]`.
    pub fn network(encoder: &EncoderConfig, size: [usize; 3]) -> PredictorConfig {
        PredictorConfig::behind(encoder, 1, size)
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        let entries: Vec<Entry> = network::layout(self);
        entries
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    /// The numbers of a sentence's words, [`GoalHeadConfig::most_words`] of them.
    ///
    /// # Errors
    /// The first word that is not known, or `None` when there are too many words.
    pub fn numbers<'a>(&self, words: &'a [String]) -> Result<Vec<u32>, Option<&'a str>> {
        if words.len() > self.most_words {
            return Err(None);
        }
        let mut numbers = Vec::with_capacity(self.most_words);
        for word in words {
            let known = self.vocabulary.iter().position(|w| w == word);
            numbers.push(known.ok_or(Some(word.as_str()))? as u32 + 1);
        }
        numbers.resize(self.most_words, 0);
        Ok(numbers)
    }
}

/// Splits a sentence into words: lower case, without punctuation.
pub fn words(sentence: &str) -> Vec<String> {
    let words = sentence.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-');
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// A hand's position as the head is taught it.
pub fn place_told(position_m: [f64; 3]) -> [f32; 3] {
    std::array::from_fn(|i| (position_m[i] as f32 - MIDDLE_M[i]) / PLACE_SCALE_M)
}

impl GoalHead {
    /// Whether a model folder has a goal head.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(DESCRIPTION).is_file()
    }

    /// Loads the goal head of a model folder, behind that model's encoder.
    ///
    /// # Errors
    /// When a file is missing, damaged, or doesn't fit its description or the encoder.
    pub fn load(folder: &Path, encoder: &EncoderConfig) -> Result<Self> {
        let description = folder.join(DESCRIPTION);
        let config: GoalHeadConfig = side_network::read_description(&description)?;
        let network = &config.network;
        let size = [
            network.predictor_embed_dim,
            network.depth,
            network.num_heads,
        ];
        if *network != GoalHeadConfig::network(encoder, size) || config.stages.is_empty() {
            let what = "it was trained behind another encoder; train it anew with \
                        `foresight train-goals`";
            return Err(damaged(&description, &what));
        }
        let entries = network::layout(&config);
        let layers = LoadedLayers::load(&folder.join(WEIGHTS), entries, Some(network))?;
        Ok(GoalHead { config, layers })
    }

    /// Its description.
    pub fn config(&self) -> &GoalHeadConfig {
        &self.config
    }

    /// What a sentence, by the [`GoalHeadConfig::numbers`] of its words, means at a stage where `now` is
    /// seen from `pose`.
    ///
    /// # Errors
    /// When the latent has another shape than the head's.
    pub fn goal(
        &self,
        now: &Latent,
        pose: &Pose,
        words: &[u32],
        stage: usize,
    ) -> Result<StageGoal> {
        let network = &self.config.network;
        let shape = (1, network.tokens_per_frame(), network.embed_dim);
        let state = network.state_input(pose.to_array().map(|v| v as f32));
        let asked = Asked {
            now: Tensor::from_slice(&now.values, shape, &Device::Cpu)?,
            states: Tensor::from_slice(&state, (1, 7), &Device::Cpu)?,
            words: Tensor::from_slice(words, (1, words.len()), &Device::Cpu)?,
            stages: Tensor::from_slice(&[stage as u32], 1, &Device::Cpu)?,
        };
        let answered = answers(&self.config, &self.layers, &asked)?;
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (place, fit) = (flat(&answered.place)?, flat(&answered.fit)?);
        Ok(StageGoal {
            latent: Latent {
                values: flat(&answered.goal)?,
                tokens: now.tokens,
            },
            place_m: std::array::from_fn(|i| f64::from(place[i] * PLACE_SCALE_M + MIDDLE_M[i])),
            fit: std::array::from_fn(|i| 1.0 / (1.0 + (-fit[i]).exp())),
        })
    }
}

/// Writes a goal head into the folder of the model it belongs to.
///
/// # Errors
/// When the disk refuses.
pub fn save(folder: &Path, config: &GoalHeadConfig, head: &Tensors) -> Result<()> {
    side_network::save(folder, [DESCRIPTION, WEIGHTS], config, head, DType::F32)
}

#[cfg(test)]
#[path = "../../tests/unit/goal_head.rs"]
mod tests;
