//! What really happened, from the physics alone.

use serde::{Deserialize, Serialize};

/// The object's true state. Lengths in m, the base frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// The simulator's clock, s.
    pub time_s: f64,
    /// The middle of the object.
    pub object_position_m: [f64; 3],
    /// The object's orientation, xyzw.
    pub object_quaternion_xyzw: [f64; 4],
    /// Speed of the object's middle, m/s.
    pub object_speed_m_s: f64,
    /// How fast it turns, rad/s.
    pub object_angular_speed_rad_s: f64,
    /// Its lowest point above the table's top, m; negative when it fell off.
    pub object_height_m: f64,
    /// Angle between its own z axis and the vertical, rad.
    pub tilt_rad: f64,
    /// `tilt_rad` is below [`GroundTruth::UPRIGHT_TILT_RAD`].
    pub upright: bool,
    /// Both finger pads press on it.
    pub held: bool,
    /// Its lowest point is more than [`GroundTruth::LIFTED_HEIGHT_M`] above the table.
    pub lifted: bool,
    /// Hand or fingers touch it anywhere.
    pub touching_gripper: bool,
    /// The table touches it.
    pub on_table: bool,
    /// It neither moves nor turns noticeably.
    pub at_rest: bool,
    /// From its middle to the target's, in the table's plane, m.
    pub target_distance_m: f64,
    /// From its middle to the TCP, m.
    pub hand_distance_m: f64,
    /// The scene's other objects, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherObject>,
}

/// The true state of an object that the task is not about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherObject {
    /// What it is called, such as `red cup`.
    pub name: String,
    /// Its middle.
    pub position_m: [f64; 3],
    /// Its orientation, xyzw.
    pub quaternion_xyzw: [f64; 4],
    /// How far its middle is from where it stood at first, in the table's plane, m.
    pub moved_m: f64,
    /// Both finger pads press on it.
    pub held: bool,
}

impl GroundTruth {
    /// Tilt below which an object stands upright, rad (10°).
    pub const UPRIGHT_TILT_RAD: f64 = 0.1745;
    /// Height from which an object counts as lifted, m.
    pub const LIFTED_HEIGHT_M: f64 = 0.005;
    /// Speed below which an object is at rest, m/s.
    pub const REST_SPEED_M_S: f64 = 0.005;
    /// Turning speed below which an object is at rest, rad/s.
    pub const REST_ANGULAR_SPEED_RAD_S: f64 = 0.1;

    /// Whether the object stands upright on the table within `radius_m` of the target's middle, at
    /// rest and let go.
    pub fn placed_within(&self, radius_m: f64) -> bool {
        self.target_distance_m <= radius_m
            && self.upright
            && self.at_rest
            && self.on_table
            && !self.held
            && !self.lifted
    }
}
