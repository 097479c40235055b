//! How the weights are moved.

use foresight_predictor::config::{check_numbers, ABOVE_0, FROM_0};
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
    /// What no type catches, of a run of at least so many steps.
    ///
    /// # Errors
    /// A sentence naming the value and what it must be.
    pub fn check(&self, least_steps: usize) -> Result<(), String> {
        let schedule = &self.schedule;
        let total = schedule.total_steps as f64;
        let [rises, falls] = [schedule.warmup_steps, schedule.anneal_steps].map(|n| n as f64);
        let last_decay = self.final_weight_decay.unwrap_or(0.0);
        let most = f64::INFINITY;
        let numbers = [
            ("batch_size", self.batch_size as f64, [1.0, most]),
            ("schedule.total_steps", total, [least_steps as f64, most]),
            ("schedule.warmup_steps", rises, [0.0, total]),
            ("schedule.anneal_steps", falls, [0.0, total]),
            ("schedule.reference", schedule.reference, ABOVE_0),
            ("schedule.start", schedule.start, FROM_0),
            ("schedule.last", schedule.last, FROM_0),
            ("weight_decay", self.weight_decay, FROM_0),
            ("final_weight_decay", last_decay, FROM_0),
            ("clip_norm", self.clip_norm.unwrap_or(1.0), ABOVE_0),
        ];
        check_numbers("optimisation.", &numbers)
    }

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
