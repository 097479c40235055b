//! The next frame's latent from this one's and the action, and the action from both.
//!
//! Joint-embedding prediction without target network or stop-gradient, as LeJEPA and LeWorldModel
//! train it; [`super::sigreg`] keeps it from collapsing. Of the robot's state only position and
//! closedness are shown.

use candle_core::{Device, Result, Tensor};

use super::linear;
use crate::forward::{PredictorForward, PredictorInputs};
use crate::head_variables::HeadVariables;
use crate::trunk::Shared;
use foresight_predictor::config::{EncoderConfig, PredictorConfig};
use foresight_predictor::layout::{self, Entry};

/// Where the throw-away predictor's parameters lie.
const PREFIX: &str = "head.next.";
/// Its blocks.
const DEPTH: usize = 2;
/// Hidden width of the inverse dynamics.
const INVERSE_HIDDEN: usize = 128;
/// x, y, z and gripper of an action.
const ACTION: usize = 4;
/// Translations are told in units of this, m: about the bound of a step.
const STEP_SCALE_M: f32 = 0.075;

fn predictor(config: &EncoderConfig) -> PredictorConfig {
    PredictorConfig {
        img_size: config.img_size,
        patch_size: config.patch_size,
        num_frames: 2 * config.num_frames,
        tubelet_size: config.tubelet_size,
        embed_dim: config.embed_dim,
        predictor_embed_dim: config.embed_dim,
        depth: DEPTH,
        num_heads: config.num_heads,
        use_extrinsics: false,
        mlp_ratio: config.mlp_ratio,
        rope: config.rope,
        euler_around_rad: None,
        context_steps: None,
    }
}

/// Parameters of the throw-away predictor.
pub fn layout(config: &EncoderConfig) -> Vec<Entry> {
    layout::predictor(&predictor(config))
        .into_iter()
        .map(|(name, shape)| (format!("{PREFIX}{name}"), shape))
        .collect()
}

/// Parameters of the inverse dynamics.
pub fn inverse_layout(config: &EncoderConfig) -> Vec<Entry> {
    let mut entries = Vec::new();
    let d = config.embed_dim;
    linear(&mut entries, "head.inverse.fc1", 2 * d, INVERSE_HIDDEN);
    linear(&mut entries, "head.inverse.fc2", INVERSE_HIDDEN, ACTION);
    entries
}

/// Predicted latents `[P, N, D]` of the frames after `now`.
///
/// # Errors
/// When shapes don't agree.
pub fn predict(
    config: &EncoderConfig,
    shared: &Shared,
    heads: &HeadVariables,
    now: &Tensor,
    states: &[[f32; 7]],
    actions: &[[f32; 7]],
) -> Result<Tensor> {
    let tokens = |rows: &[[f32; 7]]| {
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|r| [r[0], r[1], r[2], 0.0, 0.0, 0.0, r[6]])
            .collect();
        Tensor::from_vec(values, (rows.len(), 1, 7), &Device::Cpu)
    };
    let forward = PredictorForward {
        config: &predictor(config),
        shared,
        heads,
        prefix: PREFIX,
    };
    let inputs = PredictorInputs {
        latents: now,
        actions: &tokens(actions)?,
        states: &tokens(states)?,
        extrinsics: None,
    };
    forward.step(&inputs, 1)
}

/// Mean squared error of the actions told from the mean tokens `[P, D]` of both frames.
///
/// # Errors
/// When shapes don't agree.
pub fn inverse_loss(
    heads: &HeadVariables,
    [now, next]: [&Tensor; 2],
    actions: &[[f32; 7]],
) -> Result<Tensor> {
    let targets: Vec<f32> = actions
        .iter()
        .flat_map(|a| {
            let [x, y, z] = [a[0], a[1], a[2]].map(|v| v / STEP_SCALE_M);
            [x, y, z, a[6]]
        })
        .collect();
    let targets = Tensor::from_vec(targets, (actions.len(), ACTION), &Device::Cpu)?;
    let both = Tensor::cat(&[now, next], 1)?;
    let hidden = heads.linear("head.inverse.fc1", &both)?.relu()?;
    let told = heads.linear("head.inverse.fc2", &hidden.contiguous()?)?;
    (told - targets)?.sqr()?.mean_all()
}
