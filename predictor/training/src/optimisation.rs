//! How the weights are moved.

use serde::{Deserialize, Serialize};

use crate::schedule::CosineSchedule;
use crate::WsdSchedule;

/// How the weights are moved; the same for all networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimisation {
    /// Seed of the initial weights and of the order of the data.
    pub seed: u64,
    /// Frames (encoder) or clips (predictor) a step, over all workers.
    pub batch_size: usize,
    /// Learning rate over the run; its `total_steps` is the length of the run.
    pub schedule: WsdSchedule,
    /// Weight decay of matrices. The official value is 0.04.
    pub weight_decay: f64,
    /// Weight decay at the end, reached along half a cosine; constant when absent, as in every
    /// official configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_weight_decay: Option<f64>,
    /// Largest norm of the gradient; absent for no clipping, as in the official code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

impl Optimisation {
    /// Weight decay of a step, counted from 0.
    pub fn weight_decay_at(&self, step: usize) -> f64 {
        match self.final_weight_decay {
            None => self.weight_decay,
            Some(last) => CosineSchedule {
                reference: self.weight_decay,
                last,
                total_steps: self.schedule.total_steps,
            }
            .value(step),
        }
    }
}
