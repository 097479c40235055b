//! Training signals of a small encoder, one a file; heads and helpers are thrown away afterwards.
//!
//! The official encoders are trained by masked latent prediction on a million hours of video; a
//! tiny one on a few hours of a simulator needs stronger signals. Each has a weight, and what it
//! takes decides what a model card may claim: pixels alone, what every robot knows about itself,
//! or labels only a simulator has.

pub mod hand;
pub mod masked;
pub mod next_latent;
pub mod object;
pub mod proprioception;
pub mod residual_decoder;
pub mod sigreg;
pub mod told;

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

pub use hand::HandCamera;

use foresight_predictor::config::{check_numbers, EncoderConfig, FROM_0};
use foresight_predictor::layout::Entry;

/// Metres that count as 1 in regression targets.
pub(super) const POSITION_SCALE_M: f32 = 0.1;

/// Weights of the training signals; 0 switches one off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objectives {
    /// End-effector position and closedness from the mean token. Every robot knows these.
    pub proprioception: f64,
    /// Patches from tokens, where the robot's pose alone doesn't explain them. Pixels only.
    pub residual_decoder: f64,
    /// The next frame's latent from this one's and the action, both by the encoder in training
    /// (no stop-gradient): needs [`Objectives::sigreg`] against collapse.
    pub next_latent: f64,
    /// Latents distributed like an isotropic Gaussian along random directions (SIGReg).
    #[serde(alias = "isotropy")]
    pub sigreg: f64,
    /// The action between two frames from their mean tokens.
    pub inverse_dynamics: f64,
    /// V-JEPA's masked latent prediction against a moving average of the encoder.
    pub masked: f64,
    /// Momentum of that moving average, per step.
    pub ema_momentum: f64,
    /// How far the hand is closed from the tokens where it is, of encoded latents and, with
    /// [`Objectives::next_latent`], of predicted ones. Every robot knows that.
    pub hand: f64,
    /// The camera that tells [`Objectives::hand`] where the hand is in the picture; learned when
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hand_camera: Option<HandCamera>,
    /// The other cameras whose pictures stand to its right in every frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_hand_cameras: Vec<HandCamera>,
    /// Object and target from the mean token: simulator labels.
    pub object: f64,
}

impl Default for Objectives {
    fn default() -> Self {
        Objectives {
            proprioception: 0.0,
            residual_decoder: 0.0,
            next_latent: 0.0,
            sigreg: 0.0,
            inverse_dynamics: 0.0,
            masked: 0.0,
            ema_momentum: 0.996,
            hand: 0.0,
            hand_camera: None,
            other_hand_cameras: Vec::new(),
            object: 0.0,
        }
    }
}

impl Objectives {
    /// Whether a batch has to hold pairs of consecutive frames.
    pub fn need_pairs(&self) -> bool {
        self.next_latent > 0.0 || self.inverse_dynamics > 0.0
    }

    fn weights(&self) -> [(&'static str, f64, [f64; 2]); 8] {
        [
            ("proprioception", self.proprioception, FROM_0),
            ("residual_decoder", self.residual_decoder, FROM_0),
            ("next_latent", self.next_latent, FROM_0),
            ("sigreg", self.sigreg, FROM_0),
            ("inverse_dynamics", self.inverse_dynamics, FROM_0),
            ("masked", self.masked, FROM_0),
            ("hand", self.hand, FROM_0),
            ("object", self.object, FROM_0),
        ]
    }

    /// Whether any signal is on.
    pub fn any(&self) -> bool {
        self.weights().iter().any(|(_, weight, _)| *weight > 0.0)
    }

    /// Checks the weights.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn check(&self) -> std::result::Result<(), String> {
        check_numbers("objectives.", &self.weights())?;
        if !(0.0..1.0).contains(&self.ema_momentum) {
            return Err(format!(
                "objectives.ema_momentum must be in [0, 1), not {}",
                self.ema_momentum
            ));
        }
        if self.hand_camera.is_none() && !self.other_hand_cameras.is_empty() {
            return Err("objectives.other_hand_cameras needs objectives.hand_camera too".into());
        }
        self.hand_cameras().iter().try_for_each(HandCamera::check)
    }

    /// The cameras side by side in a frame that tell where the hand is; none where that is learned.
    pub(crate) fn hand_cameras(&self) -> Vec<HandCamera> {
        let others = self.other_hand_cameras.iter();
        self.hand_camera.iter().chain(others).copied().collect()
    }
}

/// The parts of one step's loss; 0 for signals that are off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EncoderLosses {
    /// Mean squared error in units of 10 cm (closedness: of 1).
    pub proprioception: f64,
    /// Weighted mean squared error of the patches, in units of the images' deviation.
    pub residual_decoder: f64,
    /// Mean squared error of the pose-only decoder.
    pub pose_decoder: f64,
    /// Mean absolute error of the next frame's normalised latent.
    pub next_latent: f64,
    /// The statistic of [`sigreg`].
    pub sigreg: f64,
    /// Mean squared error of the action, in units of its bounds.
    pub inverse_dynamics: f64,
    /// Mean absolute error of masked tokens.
    pub masked: f64,
    /// Error of closedness from the tokens where the hand is.
    pub hand: f64,
    /// The same from predicted latents.
    pub hand_predicted: f64,
    /// Mean squared error in units of 10 cm.
    pub object: f64,
    /// Standard deviation of latents over the batch, averaged: near 0 means collapse.
    pub deviation: f64,
    /// What is minimised.
    pub total: f64,
}

/// Parameters of the heads that `objectives` need, beside the encoder's own.
pub fn heads(config: &EncoderConfig, objectives: &Objectives) -> Vec<Entry> {
    let mut entries = Vec::new();
    let d = config.embed_dim;
    if objectives.proprioception > 0.0 {
        linear(&mut entries, "head.proprioception", d, proprioception::SIZE);
    }
    if objectives.object > 0.0 {
        linear(&mut entries, "head.object", d, object::SIZE);
    }
    if objectives.residual_decoder > 0.0 {
        entries.extend(residual_decoder::layout(config));
    }
    if objectives.next_latent > 0.0 {
        entries.extend(next_latent::layout(config));
    }
    if objectives.inverse_dynamics > 0.0 {
        entries.extend(next_latent::inverse_layout(config));
    }
    if objectives.masked > 0.0 {
        entries.extend(masked::layout(config));
    }
    if objectives.hand > 0.0 {
        entries.extend(hand::layout(config, &objectives.hand_cameras()));
    }
    entries
}

pub(super) fn linear(entries: &mut Vec<Entry>, name: &str, inputs: usize, outputs: usize) {
    entries.push((format!("{name}.weight"), vec![outputs, inputs]));
    entries.push((format!("{name}.bias"), vec![outputs]));
}

/// Whether a parameter lies outside the blocks, which have an operation of their own.
pub(crate) fn outside_blocks(name: &str) -> bool {
    !name.contains("blocks.")
}

/// Sums weighted losses.
pub(super) struct Total(pub Tensor);

impl Total {
    /// Adds `weight · loss` and returns the loss.
    pub(crate) fn add(&mut self, loss: &Tensor, weight: f64) -> Result<f64> {
        self.0 = (&self.0 + (loss * weight)?)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}
