//! A goal-conditioned policy cloned from demonstrations: the baseline a planner is held against, and
//! what proposes macro-actions to a second level.
//!
//! The V-JEPA 2 paper compares its planner with Octo, a policy cloned from the same kind of data.
//! This is that comparison at the size of the bundled model: the picture of now and that of the goal
//! in, the next action out, and where the hand will next take and let go of something
//! (*keyframes*: James and Davison, "Q-attention", 2022), which the demonstration tells in hindsight and
//! without labels.
//!
//! It looks with eyes of its own, a few convolutions that learn with it: what a frozen encoder's latents
//! tell of an object's place, 2 to 3 cm with the bundled one, doesn't do for a grasp.

use std::path::Path;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use foresight_planner::{Action, Pose};
use serde::{Deserialize, Serialize};

use crate::block::NORM_EPS;
use crate::config::EncoderConfig;
use crate::error::PredictorError;
use crate::eyes::{self, Eyes};
use crate::layout::Entry;
use crate::parameters::{Parameters, Tensors};
use crate::side_network::{self, damaged, LoadedLayers, NetworkLayers};

/// Numbers of an answer: x, y, z, gripper.
pub const ANSWERS: usize = 4;
/// Translations are told in units of this, m: the bound of a step.
pub const STEP_SCALE_M: f32 = 0.075;
/// The weights.
const WEIGHTS: &str = "policy.safetensors";
/// What the weights belong to.
const DESCRIPTION: &str = "policy.json";
/// A told movement of the gripper beyond this is one.
const GRIPPER_MOVES: f32 = 0.5;
/// A told translation below this is none, m.
const LEAST_TRANSLATION_M: f64 = 0.008;

/// Architecture of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Height and width of the pictures it sees, px: a multiple of four, and twice that for every layer
    /// of its eyes beyond the first.
    pub img_size: [usize; 2],
    /// Channels of the eyes' layers: the first sees patches of 4×4 px, each that follows halves the grid.
    pub channels: Vec<usize>,
    /// Points of a picture whose coordinates it tells itself beside that: a map each, as fine as the
    /// first layer's; 0 for none.
    pub points: usize,
    /// Width of the two layers that decide.
    pub hidden: usize,
    /// Keyframes that it tells beside the next action.
    pub keyframes: usize,
    /// Where Euler angles are unrolled around, as for a predictor, rad.
    #[serde(default)]
    pub euler_around_rad: Option<[f64; 3]>,
}

impl PolicyConfig {
    /// Answers to a question: the next action, then the way to every keyframe from the one before.
    pub fn answers(&self) -> usize {
        1 + self.keyframes
    }

    /// Everything that can't be, in a sentence.
    ///
    /// # Errors
    /// That sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.hidden == 0 {
            return Err("a policy's hidden layers need a width".into());
        }
        crate::config::check_around(self.euler_around_rad)?;
        self.eyes().check(self.img_size)
    }

    fn eyes(&self) -> Eyes<'_> {
        Eyes {
            views: 1,
            channels: &self.channels,
            points: self.points,
        }
    }
}

/// Names and shapes of a policy's parameters.
pub fn layout(config: &PolicyConfig) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut linear = |name: &str, inputs: usize, outputs: usize| {
        entries.push((format!("{name}.weight"), vec![outputs, inputs]));
        entries.push((format!("{name}.bias"), vec![outputs]));
    };
    for (name, inputs, outputs) in config.eyes().layers() {
        linear(&name, inputs, outputs);
    }
    let features = config.eyes().features(config.img_size);
    linear("look", features, config.hidden);
    linear("aim", features, config.hidden);
    linear("state", 7, config.hidden);
    linear("middle", config.hidden, config.hidden);
    linear("head", config.hidden, ANSWERS * config.answers());
    entries
}

/// Standard deviation at which a layer's weights are drawn, so that no layer drowns what it is told.
pub fn initial_std(name: &str, inputs: usize) -> f32 {
    let gain = match name.split('.').next() {
        Some("state") => 2.0,
        Some("head") => 0.1,
        _ => 1.0,
    };
    gain * eyes::initial_std(name, inputs)
}

/// Answers `[B, 4·(1 + keyframes)]` (translations in units of [`STEP_SCALE_M`]; the gripper's movement,
/// 1 where it closes, −1 where it opens) to pictures of now and of the goal `[B, 3, H, W]` and states
/// `[B, 7]`.
///
/// # Errors
/// When shapes don't agree.
pub fn answers(
    config: &PolicyConfig,
    layers: &impl NetworkLayers,
    [now, goal]: [&Tensor; 2],
    states: &Tensor,
) -> CandleResult<Tensor> {
    let linear = |name: &str, x: &Tensor| layers.linear(name, x);
    let seen = |pictures: &Tensor| config.eyes().see(layers, pictures);
    let told = (linear("look", &seen(now)?)? + linear("aim", &seen(goal)?)?)?;
    let told = (told + linear("state", states)?)?;
    let x = layers.relu(&layers.normalise(&told, NORM_EPS)?)?;
    let x = (&x + layers.relu(&layers.normalise(&linear("middle", &x)?, NORM_EPS)?)?)?;
    linear("head", &x)
}

/// What the policy in a folder is.
fn read_description(folder: &Path) -> Result<PolicyConfig, PredictorError> {
    let description = folder.join(DESCRIPTION);
    if !description.is_file() {
        let what = format!("there is no {DESCRIPTION} in it, which `foresight clone` writes");
        let path = folder.to_path_buf();
        return Err(PredictorError::File { path, what });
    }
    side_network::read_description(&description).map_err(|error| match error {
        PredictorError::File { path, what } => PredictorError::File {
            what: format!("{what}; a policy of an older build has to be cloned anew"),
            path,
        },
        other => other,
    })
}

/// The weights of the policy in a folder, to begin with where one of `config` learns on.
///
/// # Errors
/// When it isn't one of that shape, or a file is missing or damaged.
pub fn weights(folder: &Path, config: &PolicyConfig) -> Result<Parameters, PredictorError> {
    let is = read_description(folder)?;
    if is != *config {
        return Err(PredictorError::File {
            path: folder.join(DESCRIPTION),
            what: format!(
                "it is {is:?}, and the recipe asks for {config:?}: change the recipe, or begin with \
                 random weights"
            ),
        });
    }
    let layers = LoadedLayers::load(&folder.join(WEIGHTS), layout(config), None)?;
    Ok(layers.into_parameters())
}

/// A policy ready to act.
#[derive(Debug)]
pub struct Policy {
    config: PolicyConfig,
    layers: LoadedLayers,
}

impl Policy {
    /// Loads the policy of a folder that `foresight clone` wrote, to look at what `encoder` sees.
    ///
    /// # Errors
    /// When a file is missing, damaged, doesn't fit its description, or pictures have another size.
    pub fn load(folder: &Path, encoder: &EncoderConfig) -> Result<Self, PredictorError> {
        let config = read_description(folder)?;
        let description = folder.join(DESCRIPTION);
        config.check().map_err(|e| damaged(&description, &e))?;
        if config.img_size != encoder.img_size {
            let of = |[h, w]: [usize; 2]| format!("{w}×{h} px");
            let what = format!(
                "it looks at pictures of {}, this model at {}: clone one for it with `foresight clone`",
                of(config.img_size),
                of(encoder.img_size)
            );
            return Err(PredictorError::File {
                path: description,
                what,
            });
        }
        let layers = LoadedLayers::load(&folder.join(WEIGHTS), layout(&config), None)?;
        Ok(Policy { config, layers })
    }

    /// The action towards `goal`, as [`Policy::way`] begins.
    ///
    /// # Errors
    /// When the pictures have another size.
    pub fn act(
        &self,
        now: &[f32],
        pose: &Pose,
        goal: &[f32],
        committed: Option<&Action>,
    ) -> Result<Action, PredictorError> {
        let bound = f64::from(STEP_SCALE_M);
        let mut action = self.way(now, pose, goal, committed)?.into_iter().next();
        if let Some(action) = &mut action {
            action.translation_m = action.translation_m.map(|t| t.clamp(-bound, bound));
        }
        Ok(action.unwrap_or_default())
    }

    /// What there is to do on the way to `goal` from what is seen now, pictures `[3, H, W]`: the next
    /// action, what is left of the way to the first keyframe, the gripper's movement there, the way to
    /// the second, and so on. Nothing where it would stay. It begins where the hand will be after
    /// `committed`, an action that it already carries out.
    ///
    /// # Errors
    /// When the pictures have another size.
    pub fn way(
        &self,
        now: &[f32],
        pose: &Pose,
        goal: &[f32],
        committed: Option<&Action>,
    ) -> Result<Vec<Action>, PredictorError> {
        let [height, width] = self.config.img_size;
        let picture = |p: &[f32]| Tensor::from_slice(p, (1, 3, height, width), &Device::Cpu);
        let state = state_input(&self.config, pose.to_array().map(|v| v as f32));
        let state = Tensor::from_slice(&state, (1, 7), &Device::Cpu)?;
        let pictures = [&picture(now)?, &picture(goal)?];
        let told = answers(&self.config, &self.layers, pictures, &state)?;
        let told: Vec<f32> = told.flatten_all()?.to_vec1()?;
        let mut told = told.chunks_exact(ANSWERS).map(|told| {
            let translation = |i: usize| f64::from(told[i] * STEP_SCALE_M);
            let gripper = match told[ANSWERS - 1] {
                told if told.abs() < GRIPPER_MOVES => 0.0,
                told => f64::from(told.signum()),
            };
            (std::array::from_fn(translation), gripper)
        });
        let (next, moves) = told.next().unwrap_or_default();
        let committed = committed.copied().unwrap_or_default();
        let under_way = committed.gripper != 0.0 && committed.gripper.signum() == moves;
        let first: [f64; 3] = std::array::from_fn(|i| next[i] - committed.translation_m[i]);
        let mut way = vec![action(first, if under_way { 0.0 } else { moves })];
        let mut gone = next;
        for (at, (to, closes)) in told.enumerate() {
            // The first keyframe is told from here, and may be the next action's own.
            if !(at == 0 && moves != 0.0) {
                way.push(action(std::array::from_fn(|i| to[i] - gone[i]), 0.0));
                way.push(action([0.0; 3], closes));
            }
            gone = [0.0; 3];
        }
        way.retain(|a| a.gripper != 0.0 || a.length_m() >= LEAST_TRANSLATION_M);
        Ok(way)
    }
}

fn action(translation_m: [f64; 3], gripper: f64) -> Action {
    Action {
        translation_m,
        rotation_rad: [0.0; 3],
        gripper,
    }
}

/// A pose as the network is told it: places in units of [`STEP_SCALE_M`].
pub fn state_input(config: &PolicyConfig, pose: [f32; 7]) -> [f32; 7] {
    let mut state = crate::config::unrolled(pose, config.euler_around_rad);
    state[..3].iter_mut().for_each(|v| *v /= STEP_SCALE_M);
    state
}

/// Writes a policy into a folder.
///
/// # Errors
/// When the disk refuses.
pub fn save(folder: &Path, config: &PolicyConfig, policy: &Tensors) -> Result<(), PredictorError> {
    side_network::save(folder, [DESCRIPTION, WEIGHTS], config, policy, DType::F32)
}

#[cfg(test)]
#[path = "../tests/unit/policy.rs"]
mod tests;
