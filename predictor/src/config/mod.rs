//! Architecture of the two networks, and what a model folder's `config.json` says.

mod encoder;
mod mask_predictor;

use std::f64::consts::TAU;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

pub use self::encoder::{EncoderConfig, EncoderLevel, Stem, Vjepa21Options, LEVELS};
pub use self::mask_predictor::{MaskPredictorConfig, Vjepa21PredictorOptions};

pub use foresight_kernels::RopeVariant;

/// Architecture of the action-conditioned predictor; field names are the official ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorConfig {
    /// Height and width of the encoder's images, px; with `patch_size` the token grid.
    pub img_size: [usize; 2],
    /// Side of a patch, px.
    pub patch_size: usize,
    /// Most frames a clip may have in the official code. Ours derives every mask from its
    /// input and has no such limit; kept because checkpoints carry it.
    pub num_frames: usize,
    /// Frames in one tubelet.
    pub tubelet_size: usize,
    /// Width of the encoder's tokens, `D`.
    pub embed_dim: usize,
    /// Width inside the predictor.
    pub predictor_embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Whether a camera pose token follows the action and state tokens.
    #[serde(default)]
    pub use_extrinsics: bool,
    /// Hidden width of the MLP over `predictor_embed_dim`; 4 in every official model.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
    /// Rotary embedding variant.
    #[serde(default)]
    pub rope: RopeVariant,
    /// Euler angles, rad, around which the poses this predictor was trained on lie: angles are
    /// shifted by whole turns to the nearest before they become the state token. A hand that
    /// points down has a roll of ±π, and rounding decides the sign; with `[π, 0, 0]` it is always
    /// near +π. Absent for official models, which were trained on the raw angles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub euler_around_rad: Option<[f64; 3]>,
    /// Time steps that a step sees, itself included; all before it when absent, as in the official
    /// code. A predictor knows no longer past than it was trained on (its clips' frames less one),
    /// and what it answers to a longer one is worth nothing: this keeps long rollouts within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_steps: Option<NonZeroUsize>,
}

fn default_mlp_ratio() -> f64 {
    4.0
}

/// How the robot's motion between two frames of the training data was, hence what the planner
/// may ask for in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionSpace {
    /// Frames per second the predictor was trained at, Hz.
    pub fps: f64,
    /// Largest translation per axis and step seen in training, m.
    pub max_translation_m: f64,
    /// Largest rotation per axis and step seen in training, rad; 0 means rotations were never
    /// commanded.
    #[serde(default)]
    pub max_rotation_rad: f64,
}

impl Default for ActionSpace {
    /// DROID at 4 frames per second, with the paper's 7.5 cm box.
    fn default() -> Self {
        ActionSpace {
            fps: 4.0,
            max_translation_m: 0.075,
            max_rotation_rad: 0.0,
        }
    }
}

impl ActionSpace {
    /// Whether its numbers can be in the units they are in.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        let an_action = [ABOVE_0[0], 1.0];
        let numbers = [
            ("fps", self.fps, RATE_HZ),
            ("max_translation_m", self.max_translation_m, an_action),
            ("max_rotation_rad", self.max_rotation_rad, [0.0, TAU]),
        ];
        check_numbers("action_space.", &numbers)
    }
}

/// Least and most of what must be above 0.
pub const ABOVE_0: [f64; 2] = [f64::MIN_POSITIVE, f64::INFINITY];
/// Of what must be at least 0.
pub const FROM_0: [f64; 2] = [0.0, f64::INFINITY];
/// Of how often a second something is seen or done.
pub const RATE_HZ: [f64; 2] = [f64::MIN_POSITIVE, 1000.0];

/// Refuses what is no number from the least to the most it may be.
///
/// # Errors
/// A sentence naming the first such by its key, `table` in front, and what it must be.
pub fn check_numbers(table: &str, numbers: &[(&str, f64, [f64; 2])]) -> Result<(), String> {
    let wrong = |number: &&(&str, f64, [f64; 2])| {
        let (_, value, [least, most]) = number;
        !(value.is_finite() && (least..=most).contains(&value))
    };
    let Some((key, value, [least, most])) = numbers.iter().find(wrong) else {
        return Ok(());
    };
    let must = match (*least == ABOVE_0[0], most.is_finite()) {
        (true, true) => format!("above 0 and at most {most}"),
        (true, false) => "a number above 0".to_owned(),
        (false, true) => format!("from {least} to {most}"),
        (false, false) => format!("a number of at least {least}"),
    };
    Err(format!("{table}{key} = {value} must be {must}"))
}

/// Refuses degrees where poses lie around some angles, rad.
pub(crate) fn check_around(around: Option<[f64; 3]>) -> Result<(), String> {
    let angles = around.unwrap_or_default();
    let numbers = angles.map(|angle| ("euler_around_rad", angle, [-TAU, TAU]));
    check_numbers("", &numbers)
}

/// The `config.json` of a model folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Always `foresight`; tells our folders from Hugging Face's.
    pub model_type: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// The image encoder.
    pub encoder: EncoderConfig,
    /// The action-conditioned predictor; a folder may hold an encoder alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor: Option<PredictorConfig>,
    /// The predictor of the encoder's pre-training, where the folder keeps it; planning doesn't
    /// use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_predictor: Option<MaskPredictorConfig>,
    /// Time step and action bounds of the training data.
    #[serde(default)]
    pub action_space: ActionSpace,
}

/// The `model_type` of our folders.
pub const MODEL_TYPE: &str = "foresight";

/// A pose `[x, y, z, rx, ry, rz, g]` with its Euler angles on the branch around `around`, rad.
pub(crate) fn unrolled(pose: [f32; 7], around: Option<[f64; 3]>) -> [f32; 7] {
    let mut state = pose;
    if let Some(around) = around {
        for (angle, around) in state[3..6].iter_mut().zip(around) {
            let turns = ((f64::from(*angle) - around) / TAU).round();
            *angle = (f64::from(*angle) - turns * TAU) as f32;
        }
    }
    state
}

impl PredictorConfig {
    /// Behind an encoder, for clips of `frames` frames, `width` wide inside; whatever isn't said
    /// follows from the encoder or is as in every official model.
    pub fn behind(
        encoder: &EncoderConfig,
        frames: usize,
        [width, depth, heads]: [usize; 3],
    ) -> Self {
        PredictorConfig {
            img_size: encoder.img_size,
            patch_size: encoder.patch_size,
            num_frames: encoder.num_frames * frames,
            tubelet_size: encoder.tubelet_size,
            embed_dim: encoder.latent_dim(),
            predictor_embed_dim: width,
            depth,
            num_heads: heads,
            use_extrinsics: false,
            mlp_ratio: default_mlp_ratio(),
            rope: encoder.rope,
            euler_around_rad: None,
            context_steps: None,
        }
    }

    /// A pose `[x, y, z, rx, ry, rz, g]` as the state token takes it: angles on the branch of
    /// [`PredictorConfig::euler_around_rad`].
    pub fn state_input(&self, pose: [f32; 7]) -> [f32; 7] {
        unrolled(pose, self.euler_around_rad)
    }

    /// Of `steps` time steps, how many the last one sees.
    pub fn steps_seen(&self, steps: usize) -> usize {
        self.context_steps
            .map_or(steps, |most| most.get().min(steps))
    }

    /// Token grid, `[rows, columns]`, as [`EncoderConfig::grid`].
    pub fn grid(&self) -> [usize; 2] {
        self.img_size
            .map(|side| side.div_ceil(self.patch_size.max(1)))
    }

    /// Patch tokens of one frame.
    pub fn tokens_per_frame(&self) -> usize {
        let [rows, columns] = self.grid();
        rows * columns
    }

    /// Action, state and, with extrinsics, camera tokens in front of every frame's patches.
    pub fn condition_tokens(&self) -> usize {
        2 + usize::from(self.use_extrinsics)
    }

    /// Hidden width of the MLP.
    pub fn mlp_hidden(&self) -> usize {
        (self.predictor_embed_dim as f64 * self.mlp_ratio) as usize
    }
}

impl ModelConfig {
    /// A folder of an encoder alone.
    pub fn of(name: &str, encoder: EncoderConfig) -> Self {
        ModelConfig {
            model_type: MODEL_TYPE.into(),
            name: name.to_owned(),
            encoder,
            predictor: None,
            mask_predictor: None,
            action_space: ActionSpace::default(),
        }
    }

    /// Sizes that divide and agree, so that no network is built on a typing error.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        let e = &self.encoder;
        positive("encoder.patch_size", e.patch_size)?;
        positive("encoder.tubelet_size", e.tubelet_size)?;
        positive("encoder.depth", e.depth)?;
        self.action_space.validate()?;
        let ratio = |ratio: f64| [("mlp_ratio", ratio, [ABOVE_0[0], 64.0])];
        check_numbers("encoder.", &ratio(e.mlp_ratio))?;
        heads("encoder", e.embed_dim, e.num_heads)?;
        grid("encoder", e.img_size, e.patch_size)?;
        if e.stem == Stem::TwoLevel
            && !(e.patch_size.is_multiple_of(2) && e.embed_dim.is_multiple_of(2))
        {
            return Err(
                "encoder.patch_size and encoder.embed_dim must be even for the two_level stem"
                    .into(),
            );
        }
        if !(e.img_size[1] / e.patch_size).is_multiple_of(e.views()) {
            return Err(format!(
                "encoder.views = {}: {} px don't divide into that many pictures of whole patches of {} px",
                e.views(), e.img_size[1], e.patch_size
            ));
        }
        encoder::vjepa2_1(e)?;
        if let Some(m) = &self.mask_predictor {
            m.validate()?;
            check_numbers("mask_predictor.", &ratio(m.mlp_ratio))?;
            if m.embed_dim != e.embed_dim {
                return Err(format!(
                    "mask_predictor.embed_dim is {} but the encoder's tokens are {} wide",
                    m.embed_dim, e.embed_dim
                ));
            }
        }
        if let Some(p) = &self.predictor {
            positive("predictor.patch_size", p.patch_size)?;
            positive("predictor.depth", p.depth)?;
            check_around(p.euler_around_rad)?;
            check_numbers("predictor.", &ratio(p.mlp_ratio))?;
            heads("predictor", p.predictor_embed_dim, p.num_heads)?;
            grid("predictor", p.img_size, p.patch_size)?;
            if p.embed_dim != e.latent_dim() {
                return Err(format!(
                    "predictor.embed_dim is {} but the encoder's tokens are {} wide",
                    p.embed_dim,
                    e.latent_dim()
                ));
            }
            if p.tokens_per_frame() != e.tokens_per_frame() {
                return Err(format!(
                    "the predictor expects {} tokens a frame but the encoder makes {}",
                    p.tokens_per_frame(),
                    e.tokens_per_frame()
                ));
            }
        }
        Ok(())
    }
}

/// Sizes beyond this are slips; products of them would be no sizes.
const MOST_SIZE: usize = 1 << 16;

fn positive(field: &str, value: usize) -> Result<(), String> {
    if !(1..=MOST_SIZE).contains(&value) {
        return Err(format!("{field} = {value} must be from 1 to {MOST_SIZE}"));
    }
    Ok(())
}

fn heads(network: &str, width: usize, heads: usize) -> Result<(), String> {
    positive(&format!("{network}'s width"), width)?;
    if heads == 0 || !width.is_multiple_of(heads) {
        return Err(format!(
            "{network}: a width of {width} can't be cut into {heads} heads"
        ));
    }
    Ok(())
}

fn grid(network: &str, size: [usize; 2], patch: usize) -> Result<(), String> {
    let whole = |side: usize| side > 0 && side.is_multiple_of(patch);
    let [height, width] = size;
    if !size.into_iter().all(whole) {
        return Err(format!(
            "{network}: img_size {height}×{width} is not a whole number of {patch} px patches"
        ));
    }
    size.into_iter()
        .try_for_each(|side| positive(&format!("{network}.img_size"), side))
}
