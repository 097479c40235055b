//! Goal states: the scene posed as it should look later.
//!
//! Pure geometry, but the same geometry the physics produces: the hand takes an object at
//! [`Object::grasp_height_m`](crate::scene::Object::grasp_height_m) with the fingers
//! [`Object::grasp_width_m`](crate::scene::Object::grasp_width_m) apart, and the rubber pads keep
//! it turned as it stood. A test compares both.

use foresight_kinematics::hand::closedness;
use foresight_planner::Pose;
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use serde::{Deserialize, Serialize};

use crate::scene::Scene;

/// The hand's height over the object when it hovers, TCP above the object's top, m.
pub const HOVER_M: f64 = 0.06;
/// How high a carried object's bottom is above the table, m.
pub const CARRY_M: f64 = 0.08;
/// How far the hand has risen from a placed object, m.
pub const RELEASE_RISE_M: f64 = 0.045;
/// Between an object's corner and the TCP of a closed hand that will push it, m: half a closed
/// hand's fingers and a little air.
pub const PUSH_GAP_M: f64 = 0.03;

/// Where an object is: the middle of its extent and its orientation, base frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectPose {
    /// Position, m.
    pub position_m: [f64; 3],
    /// Orientation, xyzw.
    pub quaternion_xyzw: [f64; 4],
}

impl ObjectPose {
    /// Upright at a position, turned about z.
    pub fn upright(position_m: [f64; 3], yaw_rad: f64) -> Self {
        let (sin, cos) = (yaw_rad / 2.0).sin_cos();
        ObjectPose {
            position_m,
            quaternion_xyzw: [0.0, 0.0, sin, cos],
        }
    }

    /// Where `transform` puts the object's frame.
    pub fn from_isometry(transform: &Isometry3<f64>) -> Self {
        ObjectPose {
            position_m: transform.translation.vector.into(),
            quaternion_xyzw: transform.rotation.coords.into(),
        }
    }

    /// From the object's frame to the base's; `None` when a number is not finite or the quaternion
    /// has no direction.
    pub fn isometry(&self) -> Option<Isometry3<f64>> {
        let ([x, y, z], [i, j, k, w]) = (self.position_m, self.quaternion_xyzw);
        let rotation = UnitQuaternion::try_new(Quaternion::new(w, i, j, k), 1e-6)?;
        let finite = [x, y, z, i, j, k, w].iter().all(|c| c.is_finite());
        finite.then(|| Isometry3::from_parts(Translation3::new(x, y, z), rotation))
    }
}

/// The scene as it should look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoalState {
    /// The hand's pose and closedness.
    pub arm: Pose,
    /// Where the object is; `None` leaves it where it stands.
    pub object: Option<ObjectPose>,
    /// Whether the fingers press on the object, so that stepping on from here keeps hold of it.
    pub grasping: bool,
    /// Where the scene's other objects are, in their order; those beyond the end, and `None`, stay where
    /// they stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Option<ObjectPose>>,
}

/// The TCP at `position_m`, the object untouched, the gripper as in the scene's start.
pub fn reach(scene: &Scene, position_m: [f64; 3]) -> GoalState {
    state(scene, position_m, scene.start.gripper, standing(scene))
}

/// Open, straight above the object.
pub fn above_object(scene: &Scene) -> GoalState {
    let [x, y] = scene.object.position_m;
    open_at(scene, [x, y, scene.object.size_m[2] + HOVER_M])
}

/// Open, around the object: closing would grasp it.
pub fn at_object(scene: &Scene) -> GoalState {
    let [x, y] = scene.object.position_m;
    open_at(scene, [x, y, scene.object.grasp_height_m()])
}

/// Closed on the object where it stands.
pub fn grasped(scene: &Scene) -> GoalState {
    holding(scene, scene.object.position_m, 0.0)
}

/// Holding the object `height_m` above where it stood.
pub fn lifted(scene: &Scene, height_m: f64) -> GoalState {
    holding(scene, scene.object.position_m, height_m)
}

/// Holding the object above the target.
pub fn carried_over_target(scene: &Scene) -> GoalState {
    holding(scene, scene.target.position_m, CARRY_M)
}

/// Holding the object down on the target, not yet released.
pub fn lowered_on_target(scene: &Scene) -> GoalState {
    holding(scene, scene.target.position_m, 0.0)
}

/// The object on the target, let go, the open hand just above.
pub fn placed(scene: &Scene) -> GoalState {
    let [x, y] = scene.target.position_m;
    let z = scene.object.grasp_height_m() + RELEASE_RISE_M;
    state(scene, [x, y, z], 0.0, upright_at(scene, [x, y], 0.0))
}

/// The object `distance_m` further in the direction `heading_rad` (0 is along x) over the table,
/// the hand closed and low behind where the object stands in the scene.
pub fn pushed(scene: &Scene, heading_rad: f64, distance_m: f64) -> GoalState {
    let (sin, cos) = heading_rad.sin_cos();
    let [x, y] = scene.object.position_m;
    let [width_x, width_y, _] = scene.object.size_m;
    let behind_m = width_x.hypot(width_y) / 2.0 + PUSH_GAP_M;
    let hand = [
        x - behind_m * cos,
        y - behind_m * sin,
        scene.object.grasp_height_m(),
    ];
    let object = [x + distance_m * cos, y + distance_m * sin];
    state(scene, hand, 1.0, upright_at(scene, object, 0.0))
}

fn open_at(scene: &Scene, position_m: [f64; 3]) -> GoalState {
    state(scene, position_m, 0.0, standing(scene))
}

fn holding(scene: &Scene, xy_m: [f64; 2], bottom_m: f64) -> GoalState {
    let hand = [xy_m[0], xy_m[1], bottom_m + scene.object.grasp_height_m()];
    let closed = closedness(scene.object.grasp_width_m(scene.start.yaw_rad));
    GoalState {
        grasping: true,
        ..state(scene, hand, closed, upright_at(scene, xy_m, bottom_m))
    }
}

/// The hand turned as at the scene's start, holding nothing.
fn state(scene: &Scene, position_m: [f64; 3], gripper: f64, object: ObjectPose) -> GoalState {
    GoalState {
        arm: Pose {
            position_m,
            gripper,
            ..scene.start.pose()
        },
        object: Some(object),
        grasping: false,
        others: Vec::new(),
    }
}

fn standing(scene: &Scene) -> ObjectPose {
    upright_at(scene, scene.object.position_m, 0.0)
}

/// The object with its bottom at a height, turned as it stood: rubber pads keep it so.
fn upright_at(scene: &Scene, [x, y]: [f64; 2], bottom_m: f64) -> ObjectPose {
    let object = &scene.object;
    ObjectPose::upright([x, y, bottom_m + object.size_m[2] / 2.0], object.yaw_rad)
}
