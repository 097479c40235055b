//! End-effector poses and the actions that change them.
//!
//! Conventions of the official code (`notebooks/utils/mpc_utils.py`): a pose is
//! `[x, y, z, rx, ry, rz, g]`, position in metres in the robot base frame, orientation as
//! extrinsic xyz Euler angles in radians (`R = Rz(rz) · Ry(ry) · Rx(rx)`), and the gripper's
//! closedness from 0 (open) to 1 (closed). An action has the same seven components as deltas:
//! translations and the gripper add, the rotation pre-multiplies.

use nalgebra::{Isometry3, Matrix3, UnitQuaternion, Vector3};
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
    pub fn rotation(&self) -> Matrix3<f64> {
        euler::to_matrix(self.euler_rad)
    }

    /// The orientation as a unit quaternion.
    pub fn orientation(&self) -> UnitQuaternion<f64> {
        euler::to_quaternion(self.euler_rad)
    }

    /// The transform from the end effector's frame to the base's, m; the gripper is left out.
    pub fn isometry(&self) -> Isometry3<f64> {
        Isometry3::from_parts(Vector3::from(self.position_m).into(), self.orientation())
    }

    /// The pose of an end effector whose frame is `transform` in the base frame, m.
    pub fn from_isometry(transform: &Isometry3<f64>, gripper: f64) -> Self {
        Pose {
            position_m: transform.translation.vector.into(),
            euler_rad: euler::from_quaternion(&transform.rotation),
            gripper,
        }
    }

    /// Distance of the two positions, m.
    pub fn distance_m(&self, other: &Pose) -> f64 {
        (Vector3::from(self.position_m) - Vector3::from(other.position_m)).norm()
    }

    /// Angle of the shortest turn from one orientation to the other, rad, in `[0, π]`; 0 for
    /// orientations given by the same angles.
    pub fn angle_rad(&self, other: &Pose) -> f64 {
        if self.euler_rad == other.euler_rad {
            return 0.0;
        }
        self.orientation().angle_to(&other.orientation())
    }

    /// The pose after `action` (`compute_new_pose` of the official code): the gripper is
    /// clipped to `[0, 1]`, nothing else is bounded.
    pub fn apply(&self, action: &Action) -> Pose {
        let rotation = euler::to_matrix(action.rotation_rad) * self.rotation();
        let mut position_m = self.position_m;
        for (p, d) in position_m.iter_mut().zip(action.translation_m) {
            *p += d;
        }
        Pose {
            position_m,
            euler_rad: euler::from_matrix(&rotation),
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
            rotation_rad: euler::from_matrix(&rotation),
            gripper: end.gripper - self.gripper,
        }
    }

    /// This pose seen from a frame given as `[x, y, z, rx, ry, rz]` in the same base frame
    /// (`transform_frame` of the official data loader); the gripper stays.
    pub fn seen_from(&self, [x, y, z, a, b, c]: [f64; 6]) -> Pose {
        let inverse = euler::to_matrix([a, b, c]).transpose();
        let [px, py, pz] = self.position_m;
        let position = inverse * Vector3::new(px - x, py - y, pz - z);
        Pose {
            position_m: position.into(),
            euler_rad: euler::from_matrix(&(inverse * self.rotation())),
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

    /// Length of the translation, m.
    pub fn length_m(&self) -> f64 {
        Vector3::from(self.translation_m).norm()
    }

    /// The rotation as a unit quaternion.
    pub fn turn(&self) -> UnitQuaternion<f64> {
        euler::to_quaternion(self.rotation_rad)
    }

    /// Angle of the rotation, rad, in `[0, π]`.
    pub fn angle_rad(&self) -> f64 {
        self.turn().angle()
    }

    /// The part `fraction` of the way: translation and rotation, the latter about the same axis;
    /// the gripper goes all the way.
    #[must_use]
    pub fn part(&self, fraction: f64) -> Action {
        Action {
            translation_m: self.translation_m.map(|v| v * fraction),
            rotation_rad: euler::from_quaternion(&self.turn().powf(fraction)),
            gripper: self.gripper,
        }
    }
}
