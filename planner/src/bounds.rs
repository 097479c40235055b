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

#[cfg(test)]
mod tests {
    use super::*;

    fn from(z_m: f64) -> RelativeBounds {
        let bounds = WorkspaceBounds {
            min_m: [f64::NEG_INFINITY, -0.2, 0.012],
            max_m: [f64::INFINITY, 0.2, 0.3],
        };
        bounds.relative_to(&Pose::from_array([0.5, 0.19, z_m, 3.1, 0.0, 0.0, 0.0]))
    }

    fn clamped(bounds: RelativeBounds, steps: &[[f32; 3]]) -> Vec<[f32; 3]> {
        let mut sequences = ActionSequences::zeros(1, steps.len());
        for (step, translation) in steps.iter().enumerate() {
            sequences.action_mut(0, step)[..3].copy_from_slice(translation);
        }
        bounds.clamp_translations(&mut sequences, 0, &[None; 7]);
        let step = |h| std::array::from_fn(|i| sequences.action(0, h)[i]);
        (0..steps.len()).map(step).collect()
    }

    #[test]
    fn actions_end_at_the_borders() {
        let [action] = clamped(from(0.022), &[[0.9, 0.075, -0.06]])[..] else {
            panic!("one action")
        };
        assert_eq!(action[0], 0.9);
        assert!(
            (action[1] - 0.01).abs() < 1e-6 && (action[2] + 0.01).abs() < 1e-6,
            "{action:?}"
        );
    }

    #[test]
    fn later_steps_start_where_earlier_ones_end() {
        let steps = clamped(from(0.022), &[[0.0, 0.0, 0.05], [0.0, 0.0, -0.075]]);
        assert_eq!(steps[0][2], 0.05);
        assert!((steps[1][2] + 0.06).abs() < 1e-6, "{steps:?}");
    }

    #[test]
    fn a_hand_outside_may_only_come_back() {
        let steps = clamped(from(0.002), &[[0.0, 0.0, -0.01], [0.0, 0.0, 0.005]]);
        assert_eq!([steps[0][2], steps[1][2]], [0.0, 0.005]);
    }

    #[test]
    fn what_is_fixed_stays() {
        let mut sequences = ActionSequences::zeros(1, 1);
        sequences.action_mut(0, 0)[2] = -0.06;
        let mut fixed = [None; 7];
        fixed[2] = Some(-0.06);
        from(0.022).clamp_translations(&mut sequences, 0, &fixed);
        assert_eq!(sequences.action(0, 0)[2], -0.06);
    }
}
