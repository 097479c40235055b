//! Learning rate (warm-up, hold, decay) and weight decay over the steps of the official recipe.

use serde::{Deserialize, Serialize};

/// Linear from `start` to `reference` in `warmup_steps`, held, then linear to `last` in the
/// final `anneal_steps` (`WSDSchedule` of the official `src/utils/schedulers.py`). Past
/// `total_steps` it stays at `last`; the official one goes on below it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WsdSchedule {
    /// Rate at step 0. Default 7.5e-5.
    pub start: f64,
    /// Rate while held. Default 4.25e-4.
    pub reference: f64,
    /// Rate at the end. Default 0.
    pub last: f64,
    /// Steps of warm-up. Default 4,500.
    pub warmup_steps: usize,
    /// Steps of the final decay. Default 4,500.
    pub anneal_steps: usize,
    /// All steps. Default 94,500.
    pub total_steps: usize,
}

impl Default for WsdSchedule {
    fn default() -> Self {
        WsdSchedule {
            start: 7.5e-5,
            reference: 4.25e-4,
            last: 0.0,
            warmup_steps: 4_500,
            anneal_steps: 4_500,
            total_steps: 94_500,
        }
    }
}

impl WsdSchedule {
    /// The learning rate of iteration `iteration`, counted from 0. The official scheduler steps
    /// before it is read, so the first iteration already has the rate of step 1.
    pub fn rate(&self, iteration: usize) -> f64 {
        let step = iteration + 1;
        let hold = self
            .total_steps
            .saturating_sub(self.warmup_steps + self.anneal_steps);
        let part = |done: usize, of: usize| (done as f64 / of.max(1) as f64).min(1.0);
        if step < self.warmup_steps {
            self.start + part(step, self.warmup_steps) * (self.reference - self.start)
        } else if step < self.warmup_steps + hold {
            self.reference
        } else {
            let done = step - self.warmup_steps - hold;
            self.reference + part(done, self.anneal_steps) * (self.last - self.reference)
        }
    }
}

/// Half a cosine from `reference` at the start to `last` at the end (`CosineWDSchedule` of the
/// official `src/utils/schedulers.py`). Past `total_steps` it stays at `last`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineSchedule {
    /// Value at step 0.
    pub reference: f64,
    /// Value at the end.
    pub last: f64,
    /// All steps.
    pub total_steps: usize,
}

impl CosineSchedule {
    /// The value of iteration `iteration`, counted from 0; like the learning rate's, the
    /// official scheduler steps before it is read.
    pub fn value(&self, iteration: usize) -> f64 {
        self.at((iteration + 1).min(self.total_steps))
    }

    fn at(&self, step: usize) -> f64 {
        let progress = step as f64 / self.total_steps.max(1) as f64;
        let fallen = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.last + (self.reference - self.last) * fallen
    }
}

#[cfg(test)]
#[path = "../tests/unit/schedule.rs"]
mod tests;
