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
use foresight_planner::{ActionSequences, RelativeBounds};

use crate::config::ActionSpace;
use crate::ego_motion;
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
    pub const MAX_POWER: f64 = foresight_planner::MAX_RESIDUAL_POWER;

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

    /// For the pursuit of `goal` that begins at `context`, both `[N, D]`. How much moving changes
    /// the entries there is measured by moves within `bounds`: `final_latents` says what is seen
    /// after each of them. Uniform weights need no moves.
    ///
    /// # Errors
    /// Those of `final_latents`.
    pub fn by_moving<E>(
        weighting: GoalWeighting,
        [context, goal]: [&[f32]; 2],
        space: &ActionSpace,
        bounds: Option<&RelativeBounds>,
        final_latents: impl FnOnce(&ActionSequences) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<Self, E> {
        if weighting.is_uniform() {
            return Ok(GoalWeights::uniform());
        }
        let after = final_latents(&ego_motion::probe_actions(space, bounds))?;
        let change = ego_motion::latent_sensitivity(context, &after);
        Ok(GoalWeights::measure(context, goal, &change, weighting))
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
    /// What each step of a rollout counts; the last alone when absent.
    steps: Option<&'a [f32]>,
}

impl<'a> GoalDistance<'a> {
    /// To `goal` `[N, D]`, every entry counting the same.
    pub fn plain(goal: &'a [f32]) -> Self {
        GoalDistance {
            goal,
            weights: None,
            steps: None,
        }
    }

    /// To `goal` `[N, D]`, its entries weighed.
    pub fn weighed(goal: &'a [f32], weights: &'a GoalWeights) -> Self {
        GoalDistance {
            goal,
            weights: weights.values(),
            steps: None,
        }
    }

    /// From [`GoalDistance::goal`], [`GoalDistance::weights`] and [`GoalDistance::steps`], wherever they were.
    pub fn from_parts(
        goal: &'a [f32],
        weights: Option<&'a [f32]>,
        steps: Option<&'a [f32]>,
    ) -> Self {
        GoalDistance {
            goal,
            weights,
            steps,
        }
    }

    /// The same for rollouts whose every step counts, as much as `weights` says of it.
    pub fn along(self, weights: &'a [f32]) -> Self {
        GoalDistance {
            steps: Some(weights),
            ..self
        }
    }

    /// What step `step` of `horizon` counts in a rollout's energy.
    pub fn step_weight(&self, step: usize, horizon: usize) -> f32 {
        match self.steps {
            Some(weights) => weights.get(step).copied().unwrap_or(0.0),
            None => f32::from(u8::from(step + 1 == horizon)),
        }
    }

    /// The goal's latent `[N, D]`.
    pub fn goal(&self) -> &'a [f32] {
        self.goal
    }

    /// What each entry counts, `[N, D]`; the same when absent.
    pub fn weights(&self) -> Option<&'a [f32]> {
        self.weights
    }

    /// What each step of a rollout counts; the last alone when absent.
    pub fn steps(&self) -> Option<&'a [f32]> {
        self.steps
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

    /// Weighted mean squared difference of `latent` `[D]`.
    pub fn squared(&self, latent: &[f32]) -> f32 {
        let apart = latent.iter().zip(self.goal).map(|(l, g)| (l - g) * (l - g));
        let sum: f32 = match self.weights {
            Some(weights) => apart.zip(weights).map(|(apart, w)| w * apart).sum(),
            None => apart.sum(),
        };
        sum / self.goal.len().max(1) as f32
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
