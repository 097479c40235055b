//! How far an imagined latent is from the goal's: the last step of the energy.
//!
//! The paper's energy is the plain L1 distance: every entry of the latent counts the same. What
//! fills most of the picture then decides, which is the arm: an action that pushes an object to
//! its place and costs a few centimetres of the hand's makes such an energy rise. Weighing the
//! entries by how far they are from the goal *now* asks what is still wrong instead: with the hand
//! where the goal image shows it and the object elsewhere, the object's entries are what is left.

use candle_core::{Device, Result as Candle, Tensor};

use crate::error::PredictorError;
use crate::kernels::elementwise::mean_abs_difference;

/// How the entries of a latent are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoalWeighting {
    power: f32,
}

impl GoalWeighting {
    /// The paper's: every entry counts the same.
    pub const UNIFORM: GoalWeighting = GoalWeighting { power: 0.0 };
    /// Beyond this power a handful of entries decide everything.
    pub const MAX_POWER: f64 = 8.0;

    /// Entries weighed by `|context − goal|^power`, at mean weight 1; 0 is
    /// [`GoalWeighting::UNIFORM`].
    ///
    /// # Errors
    /// When `power` is negative, above [`GoalWeighting::MAX_POWER`], or not a number.
    pub fn unresolved(power: f64) -> Result<Self, PredictorError> {
        if !(0.0..=Self::MAX_POWER).contains(&power) {
            return Err(PredictorError::Model(format!(
                "the power of unresolved differences is {power}; give a number from 0 (the paper's L1) to {}",
                Self::MAX_POWER
            )));
        }
        Ok(GoalWeighting {
            power: power as f32,
        })
    }
}

/// The distance to one goal, from one context.
#[derive(Debug, Clone)]
pub struct GoalDistance<'a> {
    goal: &'a [f32],
    /// One weight an entry, mean 1; `None` when all are 1.
    weights: Option<Vec<f32>>,
}

impl<'a> GoalDistance<'a> {
    /// To `goal` `[N, D]` for plans that start from `context` `[N, D]`.
    pub fn new(context: &[f32], goal: &'a [f32], weighting: GoalWeighting) -> Self {
        let weights = (weighting.power > 0.0)
            .then(|| unresolved(context, goal, weighting.power))
            .flatten();
        GoalDistance { goal, weights }
    }

    /// The goal's latent `[N, D]`.
    pub fn goal(&self) -> &'a [f32] {
        self.goal
    }

    /// The entries' weights `[N, D]`, if they differ.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// Weighted mean absolute difference of `latent` `[N, D]`.
    pub fn of(&self, latent: &[f32]) -> f32 {
        let Some(weights) = &self.weights else {
            return mean_abs_difference(latent, self.goal);
        };
        // Row by row in f32, rows in f64: one order of sums whatever the machine.
        const ROW: usize = 512;
        let rows = latent
            .chunks(ROW)
            .zip(self.goal.chunks(ROW))
            .zip(weights.chunks(ROW));
        let sum: f64 = rows
            .map(|((latent, goal), weights)| {
                let entries = latent.iter().zip(goal).zip(weights);
                f64::from(entries.map(|((l, g), w)| w * (l - g).abs()).sum::<f32>())
            })
            .sum();
        (sum / weights.len().max(1) as f64) as f32
    }
}

/// A [`GoalDistance`] as tensors.
#[derive(Debug)]
pub struct TensorDistance {
    goal: Tensor,
    weights: Option<Tensor>,
}

impl GoalDistance<'_> {
    /// For latents on a device; `shape` is `(1, N, D)`.
    ///
    /// # Errors
    /// When the device fails or the shape is not the goal's.
    pub fn on(&self, device: &Device, shape: (usize, usize, usize)) -> Candle<TensorDistance> {
        let upload = |values: &[f32]| Tensor::from_slice(values, shape, device);
        Ok(TensorDistance {
            goal: upload(self.goal)?,
            weights: self.weights().map(upload).transpose()?,
        })
    }
}

impl TensorDistance {
    /// Weighted mean absolute difference `[S]` of `latents` `[S, N, D]`, f32.
    ///
    /// # Errors
    /// When the device fails.
    pub fn of(&self, latents: &Tensor) -> Candle<Tensor> {
        let mut apart = latents.broadcast_sub(&self.goal)?.abs()?;
        if let Some(weights) = &self.weights {
            apart = apart.broadcast_mul(weights)?;
        }
        apart.flatten_from(1)?.mean(1)
    }
}

/// `|context − goal|^power` at mean 1; `None` where there is no difference to weigh.
fn unresolved(context: &[f32], goal: &[f32], power: f32) -> Option<Vec<f32>> {
    let mut weights: Vec<f32> = context
        .iter()
        .zip(goal)
        .map(|(c, g)| (c - g).abs().powf(power))
        .collect();
    let sum: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    let mean = (sum / weights.len().max(1) as f64) as f32;
    if !mean.is_normal() {
        return None;
    }
    for weight in &mut weights {
        *weight /= mean;
    }
    Some(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighting(power: f64) -> GoalWeighting {
        GoalWeighting::unresolved(power).expect("a power")
    }

    #[test]
    fn power_zero_is_the_plain_distance() {
        let goal: Vec<f32> = (0..1500).map(|i| (i as f32 * 0.37).sin()).collect();
        let context = vec![0.25; 1500];
        let latent: Vec<f32> = goal.iter().map(|g| g * 0.5 - 0.1).collect();
        let plain = GoalDistance::new(&context, &goal, weighting(0.0));
        assert_eq!(plain.of(&latent), mean_abs_difference(&latent, &goal));
        assert!(plain.weights().is_none());
    }

    #[test]
    fn what_is_unresolved_counts_more() {
        // Nine entries of the arm are right already, one of the object is not.
        let mut context = vec![0.0; 10];
        context[9] = 1.0;
        let goal = vec![0.0; 10];
        let mut pushed = vec![0.2; 10];
        pushed[9] = 0.0;
        let plain = GoalDistance::new(&context, &goal, GoalWeighting::UNIFORM);
        let weighed = GoalDistance::new(&context, &goal, weighting(2.0));
        assert!(plain.of(&pushed) > plain.of(&context));
        assert!(weighed.of(&pushed) < weighed.of(&context));
        let weights = weighed.weights().expect("weights");
        assert!((weights.iter().sum::<f32>() / 10.0 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn tensors_say_the_same() {
        let at = |scale: f32| -> Vec<f32> { (0..24).map(|i| (i as f32 * scale).sin()).collect() };
        let (context, goal, latent) = (at(0.3), at(0.7), at(1.1));
        for power in [0.0, 2.0] {
            let distance = GoalDistance::new(&context, &goal, weighting(power));
            let one = Tensor::from_slice(&latent, (1, 4, 6), &Device::Cpu).expect("a tensor");
            let two = Tensor::cat(&[&one, &one], 0).expect("two");
            let there = distance.on(&Device::Cpu, (1, 4, 6)).expect("uploaded");
            let both: Vec<f32> = there.of(&two).and_then(|d| d.to_vec1()).expect("distances");
            for d in both {
                assert!((d - distance.of(&latent)).abs() < 1e-6, "{power}: {d}");
            }
        }
    }

    #[test]
    fn at_the_goal_every_entry_counts_the_same() {
        let goal = vec![0.5; 8];
        let there = GoalDistance::new(&goal, &goal, weighting(3.0));
        assert!(there.weights().is_none());
        assert_eq!(there.of(&[0.75; 8]), 0.25);
    }

    #[test]
    fn impossible_powers_are_refused() {
        for power in [-1.0, f64::NAN, f64::INFINITY, 9.0] {
            let error = GoalWeighting::unresolved(power).expect_err("refused");
            assert!(error.to_string().contains("from 0"), "{error}");
        }
    }
}
