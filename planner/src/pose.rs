//! End-effector poses and the actions that change them.
//!
//! Conventions of the official code (`notebooks/utils/mpc_utils.py`): a pose is
//! `[x, y, z, rx, ry, rz, g]`, position in metres in the robot base frame, orientation as
//! extrinsic xyz Euler angles in radians (`R = Rz(rz) · Ry(ry) · Rx(rx)`), and the gripper's
//! closedness from 0 (open) to 1 (closed). An action has the same seven components as deltas:
//! translations and the gripper add, the rotation pre-multiplies.

use nalgebra::{Rotation3, Vector3};
use serde::{Deserialize, Serialize};

use crate::euler;

/// Where the end effector is, and how far its gripper is closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// Position in the robot base frame, m.
    pub position_m: [f64; 3],
    /// Extrinsic xyz Euler angles, rad: `R = Rz · Ry · Rx`.
    pub euler_rad: [f64; 3],
    /// Gripper closedness, 0 open to 1 closed.
    pub gripper: f64,
}

/// A change of pose: what one step of a plan asks for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Action {
    /// Translation along the base frame's axes, m.
    pub translation_m: [f64; 3],
    /// Rotation as extrinsic xyz Euler angles, rad; pre-multiplies the orientation.
    pub rotation_rad: [f64; 3],
    /// Change of the gripper's closedness.
    pub gripper: f64,
}

impl Pose {
    /// `[x, y, z, rx, ry, rz, g]`.
    pub fn to_array(&self) -> [f64; 7] {
        let ([x, y, z], [a, b, c]) = (self.position_m, self.euler_rad);
        [x, y, z, a, b, c, self.gripper]
    }

    /// From `[x, y, z, rx, ry, rz, g]`.
    pub fn from_array([x, y, z, a, b, c, g]: [f64; 7]) -> Self {
        Pose {
            position_m: [x, y, z],
            euler_rad: [a, b, c],
            gripper: g,
        }
    }

    /// The orientation as a rotation matrix.
    pub fn rotation(&self) -> Rotation3<f64> {
        euler::to_rotation(self.euler_rad)
    }

    /// The pose after `action` (`compute_new_pose` of the official code): the gripper is
    /// clipped to `[0, 1]`, nothing else is bounded.
    pub fn apply(&self, action: &Action) -> Pose {
        let rotation = euler::to_rotation(action.rotation_rad) * self.rotation();
        let mut position_m = self.position_m;
        for (p, d) in position_m.iter_mut().zip(action.translation_m) {
            *p += d;
        }
        Pose {
            position_m,
            euler_rad: euler::from_rotation(&rotation),
            gripper: (self.gripper + action.gripper).clamp(0.0, 1.0),
        }
    }

    /// The action that leads from `self` to `end` (`poses_to_diff` of the official code).
    pub fn action_to(&self, end: &Pose) -> Action {
        let rotation = end.rotation() * self.rotation().transpose();
        let mut translation_m = end.position_m;
        for (e, s) in translation_m.iter_mut().zip(self.position_m) {
            *e -= s;
        }
        Action {
            translation_m,
            rotation_rad: euler::from_rotation(&rotation),
            gripper: end.gripper - self.gripper,
        }
    }

    /// This pose seen from a frame given as `[x, y, z, rx, ry, rz]` in the same base frame
    /// (`transform_frame` of the official data loader); the gripper stays.
    pub fn seen_from(&self, [x, y, z, a, b, c]: [f64; 6]) -> Pose {
        let inverse = euler::to_rotation([a, b, c]).inverse();
        let [px, py, pz] = self.position_m;
        let position = inverse * Vector3::new(px - x, py - y, pz - z);
        Pose {
            position_m: position.into(),
            euler_rad: euler::from_rotation(&(inverse * self.rotation())),
            gripper: self.gripper,
        }
    }
}

/// The actions between consecutive poses (`poses_to_diffs` of the official data loader): one
/// fewer than poses.
pub fn actions_between(poses: &[Pose]) -> Vec<Action> {
    poses
        .windows(2)
        .map(|pair| pair[0].action_to(&pair[1]))
        .collect()
}

impl Action {
    /// `[dx, dy, dz, drx, dry, drz, dg]`.
    pub fn to_array(&self) -> [f64; 7] {
        let ([x, y, z], [a, b, c]) = (self.translation_m, self.rotation_rad);
        [x, y, z, a, b, c, self.gripper]
    }

    /// From `[dx, dy, dz, drx, dry, drz, dg]`.
    pub fn from_array([x, y, z, a, b, c, g]: [f64; 7]) -> Self {
        Action {
            translation_m: [x, y, z],
            rotation_rad: [a, b, c],
            gripper: g,
        }
    }
}
