//! An imagination that is told the goal poses: what the schedule, the limits and the physics
//! allow when nothing is lost in images. An upper bound to hold a world model against.

use foresight_planner::{ActionSequences, Energy, EnergyError, Pose};

/// A position off by this much weighs as much as a gripper off by all its stroke, m.
const POSITION_SCALE_M: f64 = 0.05;

/// A pose to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OracleGoal {
    /// The pose.
    pub pose: Pose,
    /// Whether the hand holds the object there: then closing further than the pose says costs
    /// nothing, because the object stops the fingers.
    pub grasping: bool,
}

impl OracleGoal {
    /// Distance of a pose: position in units of 5 cm plus closedness.
    pub fn distance(&self, pose: &Pose) -> f32 {
        let off = |i: usize| pose.position_m[i] - self.pose.position_m[i];
        let squares: f64 = (0..3).map(|i| off(i).powi(2)).sum();
        let open = self.pose.gripper - pose.gripper;
        let gripper = if self.grasping {
            open.max(0.0)
        } else {
            open.abs()
        };
        (squares.sqrt() / POSITION_SCALE_M + gripper) as f32
    }
}

/// Energy of action sequences by exact kinematics.
#[derive(Debug, Clone, Copy)]
pub struct PoseEnergy {
    /// Where the hand is.
    pub from: Pose,
    /// Where it should be.
    pub to: OracleGoal,
}

impl Energy for PoseEnergy {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energy = |sample| {
            let mut pose = self.from;
            for step in 0..sequences.horizon() {
                pose = pose.apply(&sequences.action_at(sample, step));
            }
            self.to.distance(&pose)
        };
        Ok((0..sequences.samples()).map(energy).collect())
    }
}
