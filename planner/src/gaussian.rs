//! The distribution that searches sample action sequences from: independent normal components
//! for every planned step, clipped to the box, under a decision's constraints.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::energy::ActionSequences;
use crate::noise::Noise;
use crate::pose::Action;
use crate::search::ActionArrays;
use crate::space::{Component, Constraints, SearchSpace};

/// How much of the old distribution an update keeps, each in `[0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Momentum {
    /// Share of the old mean.
    pub mean: f64,
    /// Share of the old standard deviation.
    pub std: f64,
}

/// How a search uses what the previous plan would have done next.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmStart {
    /// Not at all.
    #[default]
    Cold,
    /// As the first mean.
    Mean,
    /// As the first mean, with this share of the first standard deviation.
    Narrow(f64),
}

/// Mean and standard deviation of every component of every step. Arithmetic is f32 as in the
/// released code, so that the same noise leads to the same elites.
#[derive(Debug, Clone)]
pub(crate) struct Gaussian {
    space: SearchSpace,
    constraints: Constraints,
    mean: ActionArrays,
    std: ActionArrays,
    /// Lower triangle that turns white noise over the steps into coloured; `None` for white.
    colour: Option<DMatrix<f32>>,
}

impl Gaussian {
    /// The search space's first distribution.
    pub(crate) fn new(space: &SearchSpace, constraints: &Constraints, horizon: usize) -> Self {
        let mut mean = [0.0; 7];
        let mut std = [0.0; 7];
        for d in &space.dimensions {
            std[d.component.index()] = d.std as f32;
        }
        for (m, fixed) in mean.iter_mut().zip(constraints.fixed) {
            *m = fixed.unwrap_or(*m);
        }
        Gaussian {
            mean: vec![mean; horizon],
            std: vec![std; horizon],
            space: space.clone(),
            constraints: *constraints,
            colour: None,
        }
    }

    /// Noise whose power falls with frequency to the power of `exponent` over the steps.
    pub(crate) fn colour(&mut self, exponent: f64) {
        let horizon = self.mean.len();
        if exponent > 0.0 && horizon > 1 {
            self.colour = colouring(exponent, horizon);
        }
    }

    /// Begins where the last plan would have gone on.
    pub(crate) fn warm(&mut self, how: WarmStart, ahead: &[Action]) {
        let share = match how {
            WarmStart::Cold => return,
            WarmStart::Mean => 1.0,
            WarmStart::Narrow(share) => share as f32,
        };
        for ((mean, std), action) in self.mean.iter_mut().zip(&mut self.std).zip(ahead) {
            let action = action.to_array();
            for d in &self.space.dimensions {
                let (i, bound) = (d.component.index(), d.bound_f32());
                // What the gripper did says nothing about what it should do next.
                if self.constraints.fixed[i].is_none() && d.component != Component::Gripper {
                    mean[i] = (action[i] as f32).clamp(-bound, bound);
                    std[i] *= share;
                }
            }
        }
    }

    /// `samples` sequences. Noise is asked for step by step, `[samples, dimensions]` each, as in
    /// the released code.
    pub(crate) fn sample(&self, samples: usize, noise: &mut dyn Noise) -> ActionSequences {
        let (horizon, width) = (self.mean.len(), self.space.dimensions.len());
        let mut rows = vec![vec![0.0; samples * width]; horizon];
        for rows in &mut rows {
            noise.fill(rows);
        }
        if let Some(colour) = &self.colour {
            rows = (0..horizon)
                .map(|step| {
                    let mut coloured = vec![0.0; samples * width];
                    for (earlier, rows) in rows.iter().enumerate().take(step + 1) {
                        let weight = colour[(step, earlier)];
                        coloured
                            .iter_mut()
                            .zip(rows)
                            .for_each(|(c, r)| *c += weight * r);
                    }
                    coloured
                })
                .collect();
        }
        let mut candidates = ActionSequences::zeros(samples, horizon);
        for (step, rows) in rows.iter().enumerate() {
            for (sample, row) in rows.chunks_exact(width).enumerate() {
                let action = self.candidate(step, row);
                candidates.action_mut(sample, step).copy_from_slice(&action);
            }
        }
        for sample in 0..samples {
            self.clamp_translations(&mut candidates, sample);
        }
        candidates
    }

    /// Makes candidate number `sample` the mean, clipped and constrained like any other.
    pub(crate) fn write_mean(&self, candidates: &mut ActionSequences, sample: usize) {
        let nothing = vec![0.0; self.space.dimensions.len()];
        for step in 0..self.mean.len() {
            let mean = self.candidate(step, &nothing);
            candidates.action_mut(sample, step).copy_from_slice(&mean);
        }
        self.clamp_translations(candidates, sample);
    }

    /// Cuts a candidate short where the hand may go no farther.
    fn clamp_translations(&self, candidates: &mut ActionSequences, sample: usize) {
        if let Some(bounds) = &self.constraints.bounds {
            bounds.clamp_translations(candidates, sample, &self.constraints.fixed);
        }
    }

    /// One candidate action from one row of noise.
    fn candidate(&self, step: usize, noise: &[f32]) -> [f32; 7] {
        let mut action = [0.0; 7];
        for (d, z) in self.space.dimensions.iter().zip(noise) {
            let (i, bound) = (d.component.index(), d.bound_f32());
            action[i] = (z * self.std[step][i] + self.mean[step][i]).clamp(-bound, bound);
        }
        self.constrain(step, &mut action);
        action
    }

    /// Holds what this decision may not vary.
    fn constrain(&self, step: usize, action: &mut [f32; 7]) {
        for (a, fixed) in action.iter_mut().zip(self.constraints.fixed) {
            *a = fixed.unwrap_or(*a);
        }
        let closes = self.constraints.close_gripper_from;
        if closes.is_some_and(|from| step >= from) {
            action[Component::Gripper.index()] = 1.0;
        }
    }

    /// Refits to the candidates `chosen`, weighted, keeping some of the old. With equal weights
    /// the standard deviation is the unbiased one of the released code.
    pub(crate) fn refit(
        &mut self,
        candidates: &ActionSequences,
        chosen: &[usize],
        weights: &[f64],
        momentum: Momentum,
        momentum_gripper: Momentum,
    ) {
        for step in 0..self.mean.len() {
            for i in 0..7 {
                let values = chosen
                    .iter()
                    .map(|&s| f64::from(candidates.action(s, step)[i]));
                let (mean, std) = mean_and_std(values, weights);
                let momentum = if i == Component::Gripper.index() {
                    momentum_gripper
                } else {
                    momentum
                };
                let blend = |new: f64, old: f32, keep: f64| {
                    new as f32 * (1.0 - keep) as f32 + old * keep as f32
                };
                let (old_mean, old_std) = (self.mean[step][i], self.std[step][i]);
                self.mean[step][i] = blend(mean, old_mean, momentum.mean);
                // One elite has no spread to learn from: the search narrows as if it had none,
                // where the released code turns into NaN.
                self.std[step][i] = blend(std, old_std, momentum.std);
            }
        }
    }

    /// Mean, `[horizon]`.
    pub(crate) fn mean(&self) -> &ActionArrays {
        &self.mean
    }

    /// Standard deviation, `[horizon]`.
    pub(crate) fn std(&self) -> &ActionArrays {
        &self.std
    }
}

/// Weighted mean and standard deviation; unbiased (divided by `n - 1`) for equal weights, 0 for
/// a single value.
fn mean_and_std(values: impl Iterator<Item = f64> + Clone, weights: &[f64]) -> (f64, f64) {
    let total: f64 = weights.iter().sum();
    let weighted = |f: &dyn Fn(f64) -> f64| -> f64 {
        values.clone().zip(weights).map(|(v, w)| w * f(v)).sum()
    };
    let mean = weighted(&|v| v) / total;
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let freedom = total - squares / total;
    if freedom <= 0.0 {
        return (mean, 0.0);
    }
    (mean, (weighted(&|v| (v - mean).powi(2)) / freedom).sqrt())
}

/// Lower triangle `L` with `L·Lᵀ` the covariance over `horizon` steps of noise whose power falls
/// as `frequency^-exponent` (Timmer and König, *On generating power law noise*, 1995), of unit
/// variance. The lowest frequency stands in for frequency zero.
fn colouring(exponent: f64, horizon: usize) -> Option<DMatrix<f32>> {
    let n = horizon as f64;
    let power = |k: usize| (k.max(1) as f64 / n).powf(-exponent);
    let covariance = |lag: usize| -> f64 {
        (0..=horizon / 2)
            .map(|k| {
                // Frequencies strictly between zero and Nyquist have a sine and a cosine.
                let sides = if k == 0 || 2 * k == horizon { 1.0 } else { 2.0 };
                let angle = std::f64::consts::TAU * (k * lag) as f64 / n;
                sides * power(k) * angle.cos()
            })
            .sum()
    };
    let variance = covariance(0);
    let matrix = DMatrix::from_fn(horizon, horizon, |i, j| {
        covariance(i.abs_diff(j)) / variance + if i == j { 1e-9 } else { 0.0 }
    });
    Some(matrix.cholesky()?.l().map(|v| v as f32))
}

#[cfg(test)]
#[path = "../tests/unit/gaussian.rs"]
mod tests;
