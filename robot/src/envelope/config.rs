//! The limits a scenario states, and whether they make sense.

use foresight_planner::WorkspaceBounds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Farther out the arm never comes, and a box that reaches there is in other units than metres.
const MOST_M: f64 = 2.0;

/// A box in the base frame, m, inclusive at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceBox {
    /// Smallest x, y, z, m.
    pub min_m: [f64; 3],
    /// Largest x, y, z, m.
    pub max_m: [f64; 3],
}

impl WorkspaceBox {
    /// Whether a position, m, lies inside, with `slack_m` to spare outside.
    pub fn contains(&self, position_m: &[f64; 3], slack_m: f64) -> bool {
        (0..3).all(|i| {
            position_m[i] >= self.min_m[i] - slack_m && position_m[i] <= self.max_m[i] + slack_m
        })
    }
}

/// The limits of the safety envelope. Only the workspace box has no default: a box is a
/// statement about a cell that nobody else can make.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeConfig {
    /// The box the tool centre point must stay in, base frame, m.
    pub workspace: WorkspaceBox,
    /// Largest translation of one action along each axis, m.
    #[serde(default = "defaults::max_translation_axis_m")]
    pub max_translation_axis_m: f64,
    /// Largest length of one action's translation, m.
    #[serde(default = "defaults::max_translation_m")]
    pub max_translation_m: f64,
    /// Largest rotation angle of one action, rad.
    #[serde(default = "defaults::max_rotation_rad")]
    pub max_rotation_rad: f64,
    /// Largest change of the gripper's closedness in one action.
    #[serde(default = "defaults::max_gripper")]
    pub max_gripper: f64,
    /// Height of the table's top in the base frame, m.
    #[serde(default)]
    pub table_height_m: f64,
    /// How far above the table the tool centre point stays, m.
    #[serde(default = "defaults::table_clearance_m")]
    pub table_clearance_m: f64,
    /// How far every joint stays from its position limits, rad.
    #[serde(default = "defaults::joint_margin_rad")]
    pub joint_margin_rad: f64,
    /// How far outside the box the arm may stand and still be led back into it, m; further out
    /// every action is refused.
    #[serde(default = "defaults::outside_tolerance_m")]
    pub outside_tolerance_m: f64,
    /// Top speed of the target stream, m/s.
    #[serde(default = "defaults::speed_m_s")]
    pub speed_m_s: f64,
    /// Acceleration of the target stream, m/s².
    #[serde(default = "defaults::acceleration_m_s2")]
    pub acceleration_m_s2: f64,
    /// Top rotation speed of the target stream, rad/s.
    #[serde(default = "defaults::rotation_speed_rad_s")]
    pub rotation_speed_rad_s: f64,
    /// Rotational acceleration of the target stream, rad/s².
    #[serde(default = "defaults::rotation_acceleration_rad_s2")]
    pub rotation_acceleration_rad_s2: f64,
    /// Jerk of the target stream in continuous motion, m/s³.
    #[serde(default = "defaults::jerk_m_s3")]
    pub jerk_m_s3: f64,
}

/// Defaults: the paper's action box, and speeds inside franka-node's default budget
/// (0.3 m/s, 0.5 m/s², 20 m/s³, 0.5 rad/s, 1.0 rad/s²).
mod defaults {
    pub(super) fn max_translation_axis_m() -> f64 {
        0.075
    }
    pub(super) fn max_translation_m() -> f64 {
        0.13
    }
    pub(super) fn max_rotation_rad() -> f64 {
        0.26
    }
    pub(super) fn max_gripper() -> f64 {
        1.0
    }
    pub(super) fn table_clearance_m() -> f64 {
        0.012
    }
    pub(super) fn joint_margin_rad() -> f64 {
        0.08
    }
    pub(super) fn outside_tolerance_m() -> f64 {
        0.05
    }
    pub(super) fn speed_m_s() -> f64 {
        0.2
    }
    pub(super) fn acceleration_m_s2() -> f64 {
        0.5
    }
    pub(super) fn rotation_speed_rad_s() -> f64 {
        0.45
    }
    pub(super) fn rotation_acceleration_rad_s2() -> f64 {
        0.9
    }
    pub(super) fn jerk_m_s3() -> f64 {
        20.0
    }
}

/// Why limits are not usable.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnvelopeError {
    /// A limit is not a positive finite number in its range.
    #[error("{name} is {value}; give a number in {low}..={high}")]
    Range {
        /// The limit's name.
        name: &'static str,
        /// What it was.
        value: f64,
        /// Smallest sensible value.
        low: f64,
        /// Largest sensible value.
        high: f64,
    },
    /// The box is empty or inside out on an axis, or so large that it is none.
    #[error("the workspace box goes from min_m {min} to max_m {max} on {axis}; give metres in the base frame, ascending, within -{MOST_M} and {MOST_M}")]
    Box {
        /// The axis.
        axis: char,
        /// Its lower end, m.
        min: f64,
        /// Its upper end, m.
        max: f64,
    },
    /// The whole box lies under the table's clearance.
    #[error("the workspace box ends at z {top} m, below the table's clearance at {floor} m; raise max_m or lower table_clearance_m")]
    UnderTable {
        /// The box's top, m.
        top: f64,
        /// Lowest allowed height, m.
        floor: f64,
    },
    /// The kinematic model could not be built.
    #[error("kinematics: {0}")]
    Kinematics(String),
}

impl EnvelopeConfig {
    /// The defaults with this box.
    pub fn new(workspace: WorkspaceBox) -> Self {
        EnvelopeConfig {
            workspace,
            max_translation_axis_m: defaults::max_translation_axis_m(),
            max_translation_m: defaults::max_translation_m(),
            max_rotation_rad: defaults::max_rotation_rad(),
            max_gripper: defaults::max_gripper(),
            table_height_m: 0.0,
            table_clearance_m: defaults::table_clearance_m(),
            joint_margin_rad: defaults::joint_margin_rad(),
            outside_tolerance_m: defaults::outside_tolerance_m(),
            speed_m_s: defaults::speed_m_s(),
            acceleration_m_s2: defaults::acceleration_m_s2(),
            rotation_speed_rad_s: defaults::rotation_speed_rad_s(),
            rotation_acceleration_rad_s2: defaults::rotation_acceleration_rad_s2(),
            jerk_m_s3: defaults::jerk_m_s3(),
        }
    }

    /// The lowest allowed height of the tool centre point, m.
    pub fn floor_m(&self) -> f64 {
        (self.table_height_m + self.table_clearance_m).max(self.workspace.min_m[2])
    }

    /// Where the envelope lets the hand go, for searches that shall not plan farther.
    pub fn workspace_bounds(&self) -> WorkspaceBounds {
        let mut min_m = self.workspace.min_m;
        min_m[2] = self.floor_m();
        WorkspaceBounds {
            min_m,
            max_m: self.workspace.max_m,
        }
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// [`EnvelopeError`] names the first limit that makes no sense.
    pub fn validate(&self) -> Result<(), EnvelopeError> {
        let ranges = [
            (
                "max_translation_axis_m",
                self.max_translation_axis_m,
                1e-4,
                0.3,
            ),
            ("max_translation_m", self.max_translation_m, 1e-4, 0.5),
            ("max_rotation_rad", self.max_rotation_rad, 0.0, 1.6),
            ("max_gripper", self.max_gripper, 0.0, 1.0),
            ("table_height_m", self.table_height_m, -2.0, 2.0),
            ("table_clearance_m", self.table_clearance_m, 0.0, 1.0),
            ("joint_margin_rad", self.joint_margin_rad, 0.0, 0.5),
            ("outside_tolerance_m", self.outside_tolerance_m, 0.0, 0.5),
            ("speed_m_s", self.speed_m_s, 1e-3, 1.0),
            ("acceleration_m_s2", self.acceleration_m_s2, 1e-2, 5.0),
            ("rotation_speed_rad_s", self.rotation_speed_rad_s, 1e-2, 2.5),
            (
                "rotation_acceleration_rad_s2",
                self.rotation_acceleration_rad_s2,
                1e-2,
                10.0,
            ),
            ("jerk_m_s3", self.jerk_m_s3, 2.0, 1000.0),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(EnvelopeError::Range {
                    name,
                    value,
                    low,
                    high,
                });
            }
        }
        let WorkspaceBox { min_m, max_m } = self.workspace;
        for (i, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
            let (min, max) = (min_m[i], max_m[i]);
            // Written so that NaN fails too.
            if !(-MOST_M <= min && min < max && max <= MOST_M) {
                return Err(EnvelopeError::Box { axis, min, max });
            }
        }
        if max_m[2] <= self.floor_m() {
            return Err(EnvelopeError::UnderTable {
                top: max_m[2],
                floor: self.floor_m(),
            });
        }
        Ok(())
    }
}
