//! Where the hand may go, so that nothing is imagined that would never be executed.
//!
//! A safety envelope cuts an action short at the workspace's borders. A search that doesn't know
//! them judges candidates by a motion that won't happen, and by one that the model has never seen:
//! a hand below the table.

use crate::energy::ActionSequences;
use crate::pose::Pose;

/// The box the hand may be in, base frame, m. A plan keeps inside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkspaceBounds {
    /// Lower corner; infinite where there is no border.
    pub min_m: [f64; 3],
    /// Upper corner; infinite where there is no border.
    pub max_m: [f64; 3],
}

impl WorkspaceBounds {
    /// The same seen from `pose`. A hand outside may stay where it is and come back, but
    /// go no farther.
    pub fn relative_to(&self, pose: &Pose) -> RelativeBounds {
        RelativeBounds {
            below_m: std::array::from_fn(|i| (self.min_m[i] - pose.position_m[i]).min(0.0) as f32),
            above_m: std::array::from_fn(|i| (self.max_m[i] - pose.position_m[i]).max(0.0) as f32),
        }
    }
}

/// How far the hand may go from where a plan starts, along the base frame's axes, m.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelativeBounds {
    /// Downwards, at most 0.
    pub below_m: [f32; 3],
    /// Upwards, at least 0.
    pub above_m: [f32; 3],
}

impl RelativeBounds {
    /// Cuts translations short where they would leave, step by step; components in `fixed` are
    /// left as they are.
    pub fn clamp_translations(
        &self,
        sequences: &mut ActionSequences,
        sample: usize,
        fixed: &[Option<f32>; 7],
    ) {
        let mut travelled = [0f32; 3];
        for step in 0..sequences.horizon() {
            let action = sequences.action_mut(sample, step);
            for (i, travelled) in travelled.iter_mut().enumerate() {
                if fixed[i].is_none() {
                    let [low, high] = [self.below_m[i] - *travelled, self.above_m[i] - *travelled];
                    // Rounding may leave `low` above 0 or `high` below: standing still is allowed.
                    action[i] = action[i].clamp(low.min(0.0), high.max(0.0));
                }
                *travelled += action[i];
            }
        }
    }
}
