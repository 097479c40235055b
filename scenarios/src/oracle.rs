//! An imagination that is told the goal poses: what the schedule, the limits and the physics
//! allow when nothing is lost in images. An upper bound to hold a world model against.

use foresight_planner::{Action, ActionSequences, Energy, EnergyError, Pose};

/// A position off by this much weighs as much as a gripper off by all its stroke, m.
const POSITION_SCALE_M: f64 = 0.05;

/// Distance between poses: position in units of [`POSITION_SCALE_M`] plus closedness.
pub fn distance(a: &Pose, b: &Pose) -> f32 {
    let squares: f64 = (0..3)
        .map(|i| (a.position_m[i] - b.position_m[i]).powi(2))
        .sum();
    (squares.sqrt() / POSITION_SCALE_M + (a.gripper - b.gripper).abs()) as f32
}

/// Energy of action sequences by exact kinematics.
#[derive(Debug, Clone, Copy)]
pub struct PoseEnergy {
    /// Where the hand is.
    pub from: Pose,
    /// Where it should be.
    pub to: Pose,
}

impl Energy for PoseEnergy {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energy = |sample| {
            let mut pose = self.from;
            for step in 0..sequences.horizon() {
                let action = sequences.action(sample, step);
                let action = std::array::from_fn(|i| f64::from(action[i]));
                pose = pose.apply(&Action::from_array(action));
            }
            distance(&pose, &self.to)
        };
        Ok((0..sequences.samples()).map(energy).collect())
    }
}
