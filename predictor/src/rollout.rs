//! Rolling action sequences forward in latent space: where they start, what comes of them, what they
//! may cost.
//!
//! The official code runs the predictor over the whole history at every step of the horizon.
//! Its mask is block-causal, so the keys and values of earlier steps never change: every backend
//! keeps them, which gives the same numbers for a fraction of the work (1.57× at horizon 2, 2.49×
//! at horizon 4), and with only the past in the cache no mask is needed at all.

use foresight_planner::{Action, Pose};

use crate::config::PredictorConfig;
use crate::error::{PredictorError, Result};

/// How much memory the rollouts of one plan may take beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// MiB for all threads together. Default 512.
    pub memory_mib: usize,
    /// Most samples one thread takes through the horizon together. Default 16: enough rows for
    /// efficient products, few enough to stay in the cache.
    pub max_chunk: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            memory_mib: 512,
            max_chunk: 16,
        }
    }
}

/// The state a rollout starts from.
#[derive(Debug, Clone)]
pub struct RolloutStart<'a> {
    /// Normalised latent of the current frame, `[N, D]`.
    pub latent: &'a [f32],
    /// The robot's pose in that frame.
    pub pose: Pose,
    /// Camera pose `[6]` for predictors that take one.
    pub extrinsics: Option<[f32; 6]>,
}

impl RolloutStart<'_> {
    /// Whether it has what the predictor takes, and no more.
    ///
    /// # Errors
    /// When camera extrinsics are given or missing against the configuration.
    pub fn check(&self, config: &PredictorConfig) -> Result<()> {
        if config.use_extrinsics == self.extrinsics.is_some() {
            return Ok(());
        }
        let what = match config.use_extrinsics {
            true => "needs",
            false => "takes no",
        };
        Err(PredictorError::Model(format!(
            "this predictor {what} camera extrinsics"
        )))
    }
}

/// Normalised latents and poses after each step of one sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// One latent `[N, D]` per step.
    pub latents: Vec<Vec<f32>>,
    /// One pose per step.
    pub poses: Vec<Pose>,
}

/// `compute_new_pose`: f64 inside, rounded to f32 between steps as the official tensors are.
pub(crate) fn next_pose(pose: &Pose, action: &[f32]) -> Pose {
    let mut components = [0.0; 7];
    for (c, a) in components.iter_mut().zip(action) {
        *c = f64::from(*a);
    }
    let next = pose.apply(&Action::from_array(components));
    Pose::from_array(next.to_array().map(|v| f64::from(v as f32)))
}

/// Floating-point operations of one sequence over `horizon` steps: products with weights
/// and attention, keys and values of earlier steps remembered. A multiply-add counts as two.
pub fn flops(c: &PredictorConfig, horizon: usize) -> f64 {
    let (d, m, n) = (c.predictor_embed_dim, c.mlp_hidden(), c.tokens_per_frame());
    let tokens = n + c.condition_tokens();
    let linear = 2 * tokens * (4 * d * d + 2 * d * m) * c.depth;
    let ends = 2 * n * d * c.embed_dim;
    (0..horizon)
        .map(|step| {
            let attention = 4 * tokens * (step + 1) * tokens * d * c.depth;
            // The first step's context is embedded once for all samples.
            let embed = if step == 0 { 0 } else { ends };
            (linear + attention + ends + embed) as f64
        })
        .sum()
}
