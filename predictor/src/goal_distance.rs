//! How far an imagined latent is from the goal's: the last step of the energy.
//!
//! The paper's energy is the plain L1 distance: every entry of the latent counts the same. What
//! fills most of the picture then decides, which is the arm: an action that pushes an object to
//! its place and costs a few centimetres of the hand's makes such an energy rise. Entries can be
//! weighed instead by how far they were from the goal's where its pursuit began, measured by how
//! much moving the arm changes them anyway ([`crate::ego_motion`]): what moving alone wouldn't
//! explain counts most, and that is the object that lies elsewhere. The weights stay while the
//! goal is pursued. Measured anew once the hand has moved, they would ask for its way back first.

use candle_core::{Device, Result as Candle, Tensor};

use crate::error::PredictorError;
use crate::kernels::elementwise::mean_abs_difference;

/// An entry's change by moving is taken for at least this share of the mean entry's, so that no
/// entry that never changes decides alone.
const LEAST_CHANGE_SHARE: f32 = 0.1;

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

    /// Entries weighed by `(|context − goal| / change)^power`, at mean weight 1, where `context` is
    /// what was seen when the goal's pursuit began and `change` what moving
    /// does to the entry then ([`crate::ego_motion::latent_sensitivity`]) plus a tenth of what it does to the
    /// mean entry; 0 is [`GoalWeighting::UNIFORM`].
    ///
    /// # Errors
    /// When `power` is negative, above [`GoalWeighting::MAX_POWER`], or not a number.
    pub fn residual(power: f64) -> Result<Self, PredictorError> {
        if !(0.0..=Self::MAX_POWER).contains(&power) {
            return Err(PredictorError::Model(format!(
                "the power of residual differences is {power}; give a number from 0 (the paper's L1) to {}",
                Self::MAX_POWER
            )));
        }
        Ok(GoalWeighting {
            power: power as f32,
        })
    }

    /// Whether every entry counts the same, so that no moves need to be imagined.
    pub fn is_uniform(self) -> bool {
        self.power <= 0.0
    }
}

/// What each entry of a latent counts while a goal is pursued.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GoalWeights(Option<Vec<f32>>);

impl GoalWeights {
    /// Every entry counts the same.
    pub fn uniform() -> Self {
        GoalWeights(None)
    }

    /// For the pursuit of `goal` from `context`, where moving changes the entries by `change`; all
    /// `[N, D]`.
    pub fn measure(
        context: &[f32],
        goal: &[f32],
        change: &[f32],
        weighting: GoalWeighting,
    ) -> Self {
        let weights = (!weighting.is_uniform())
            .then(|| residual_weights(context, goal, change, weighting.power))
            .flatten();
        GoalWeights(weights)
    }

    /// The weights `[N, D]`, mean 1; `None` when all are 1.
    pub fn values(&self) -> Option<&[f32]> {
        self.0.as_deref()
    }
}

/// The distance to one goal.
#[derive(Debug, Clone, Copy)]
pub struct GoalDistance<'a> {
    goal: &'a [f32],
    weights: Option<&'a [f32]>,
}

impl<'a> GoalDistance<'a> {
    /// To `goal` `[N, D]`, every entry counting the same.
    pub fn plain(goal: &'a [f32]) -> Self {
        GoalDistance {
            goal,
            weights: None,
        }
    }

    /// To `goal` `[N, D]`, its entries weighed.
    pub fn weighed(goal: &'a [f32], weights: &'a GoalWeights) -> Self {
        GoalDistance {
            goal,
            weights: weights.values(),
        }
    }

    /// The goal's latent `[N, D]`.
    pub fn goal(&self) -> &'a [f32] {
        self.goal
    }

    /// Weighted mean absolute difference of `latent` `[N, D]`.
    pub fn of(&self, latent: &[f32]) -> f32 {
        let Some(weights) = self.weights else {
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
            weights: self.weights.map(upload).transpose()?,
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

/// `(|context − goal| / change)^power` at mean 1; `None` where there is no difference to weigh.
fn residual_weights(context: &[f32], goal: &[f32], change: &[f32], power: f32) -> Option<Vec<f32>> {
    let mean = change.iter().map(|c| f64::from(*c)).sum::<f64>() / change.len().max(1) as f64;
    // Where moving changes nothing at all, differences count as they are.
    let least = match LEAST_CHANGE_SHARE * mean as f32 {
        least if least.is_normal() => least,
        _ => 1.0,
    };
    let mut weights: Vec<f32> = context
        .iter()
        .zip(goal)
        .zip(change)
        .map(|((c, g), change)| ((c - g).abs() / (change + least)).powf(power))
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
        GoalWeighting::residual(power).expect("a power")
    }

    #[test]
    fn power_zero_is_the_plain_distance() {
        let goal: Vec<f32> = (0..1500).map(|i| (i as f32 * 0.37).sin()).collect();
        let context = vec![0.25; 1500];
        let latent: Vec<f32> = goal.iter().map(|g| g * 0.5 - 0.1).collect();
        let zero = GoalWeights::measure(&context, &goal, &context, weighting(0.0));
        assert_eq!(zero, GoalWeights::uniform());
        for distance in [
            GoalDistance::plain(&goal),
            GoalDistance::weighed(&goal, &zero),
        ] {
            assert_eq!(distance.of(&latent), mean_abs_difference(&latent, &goal));
        }
    }

    #[test]
    fn what_moving_does_not_explain_counts_more() {
        // Nine entries tell of the arm, the last of the object. All are far from the goal's.
        let context = [1.0; 10];
        let goal = [0.0; 10];
        let mut change = [0.8; 10];
        change[9] = 0.05;
        let mut pushed = [1.2; 10];
        pushed[9] = 0.0;
        let plain = GoalDistance::plain(&goal);
        let weights = GoalWeights::measure(&context, &goal, &change, weighting(2.0));
        let weighed = GoalDistance::weighed(&goal, &weights);
        assert!(plain.of(&pushed) > plain.of(&context));
        assert!(weighed.of(&pushed) < weighed.of(&context));
        let weights = weights.values().expect("weights");
        assert!((weights.iter().sum::<f32>() / 10.0 - 1.0).abs() < 1e-6);
        // By the formula: mean change 0.725, so (0.8725 / 0.1225)² apart.
        let ratio = weights[9] / weights[0];
        assert!(
            (ratio - (0.8725f32 / 0.1225).powi(2)).abs() < 1e-2,
            "{ratio}"
        );
    }

    #[test]
    fn what_is_resolved_counts_less() {
        let (context, goal) = ([0.0, 0.0, 1.0], [0.0, 0.5, 0.0]);
        let weights = GoalWeights::measure(&context, &goal, &[0.3; 3], weighting(2.0));
        let weights = weights.values().expect("weights");
        assert_eq!(weights[0], 0.0);
        assert!((weights[2] / weights[1] - 4.0).abs() < 1e-4, "{weights:?}");
    }

    #[test]
    fn where_moving_changes_nothing_differences_count_as_they_are() {
        let (context, goal) = ([0.0, 1.0], [0.0, 0.0]);
        let weights = GoalWeights::measure(&context, &goal, &[0.0; 2], weighting(1.0));
        assert_eq!(weights.values(), Some(&[0.0, 2.0][..]));
    }

    #[test]
    fn tensors_say_the_same() {
        let at = |scale: f32| -> Vec<f32> { (0..24).map(|i| (i as f32 * scale).sin()).collect() };
        let (context, goal, latent) = (at(0.3), at(0.7), at(1.1));
        let change: Vec<f32> = at(0.2).iter().map(|c| c.abs()).collect();
        for power in [0.0, 2.0] {
            let weights = GoalWeights::measure(&context, &goal, &change, weighting(power));
            let distance = GoalDistance::weighed(&goal, &weights);
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
        let there = GoalWeights::measure(&goal, &goal, &[0.1; 8], weighting(3.0));
        assert_eq!(there, GoalWeights::uniform());
    }

    #[test]
    fn impossible_powers_are_refused() {
        for power in [-1.0, f64::NAN, f64::INFINITY, 9.0] {
            let error = GoalWeighting::residual(power).expect_err("refused");
            assert!(error.to_string().contains("from 0"), "{error}");
        }
    }
}
