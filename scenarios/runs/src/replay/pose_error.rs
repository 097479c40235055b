//! How far a replayed pose is from the recorded one.

use foresight_planner::Pose;
use serde::Serialize;

/// A difference of two poses.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct PoseError {
    /// Distance of the positions, mm.
    pub position_mm: f64,
    /// Angle between the orientations, °.
    pub rotation_deg: f64,
    /// Difference of closedness.
    pub gripper: f64,
}

impl PoseError {
    /// The difference of two poses.
    pub fn between(a: &Pose, b: &Pose) -> Self {
        PoseError {
            position_mm: 1000.0 * a.distance_m(b),
            rotation_deg: a.angle_rad(b).to_degrees(),
            gripper: (a.gripper - b.gripper).abs(),
        }
    }

    /// The larger of each.
    pub fn max(self, other: Self) -> Self {
        PoseError {
            position_mm: self.position_mm.max(other.position_mm),
            rotation_deg: self.rotation_deg.max(other.rotation_deg),
            gripper: self.gripper.max(other.gripper),
        }
    }
}

/// The largest difference that counts as reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tolerance {
    /// Position, mm.
    pub position_mm: f64,
    /// Rotation, °.
    pub rotation_deg: f64,
    /// Closedness.
    pub gripper: f64,
}

impl Tolerance {
    /// Whether a difference is within it.
    pub fn allows(&self, error: &PoseError) -> bool {
        error.position_mm <= self.position_mm
            && error.rotation_deg <= self.rotation_deg
            && error.gripper <= self.gripper
    }
}
