//! Which steps of a rollout count in its energy.

use serde::{Deserialize, Serialize};

/// Which steps of a rollout count in its energy, and how much.
///
/// The released code takes the last latent alone. Beyond a horizon of one nothing then asks the
/// first action to be a good one: whatever the later ones can make up for costs nothing, and since
/// only the first is executed before the search begins anew, the goal may be put off for ever.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The energy is the last step's.
    #[default]
    Last,
    /// The energy is the mean over all steps, each weighing this much of the one before it, above 0
    /// to 1: sooner is better.
    All(f64),
}

impl Objective {
    /// What each of `horizon` steps counts, sum 1; `None` when only the last does.
    pub fn weights(self, horizon: usize) -> Option<Vec<f32>> {
        match self {
            Objective::All(discount) if horizon > 1 => {
                let weight = |step: usize| discount.powi(step as i32);
                let sum: f64 = (0..horizon).map(weight).sum();
                Some((0..horizon).map(|t| (weight(t) / sum) as f32).collect())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/objective.rs"]
mod tests;
