//! The scenario's limits against the node's, and the arm against the scenario's.

use std::path::Path;

use foresight_kinematics::{franka_hand, Fr3};
use franka_node::{ArmConfig, NodeConfig};

use super::Check;
use crate::envelope::EnvelopeConfig;
use crate::link::TimedState;
use crate::se3::{angle_rad, distance_m};
use crate::streamer::{STREAM_HZ, TRACKING_ERROR_M, TRACKING_ERROR_RAD};
use crate::zenoh_arm::ZenohArmConfig;

/// The Franka Hand's end effector within this is what models are trained with, m and rad.
const SAME_TOOL: f64 = 2e-3;

/// What the planner may ask for in one action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Per axis, m.
    pub translation_m: f64,
    /// Per axis, rad; 0 when rotations aren't searched.
    pub rotation_rad: f64,
}

/// A node's limits of one arm.
#[derive(Debug, Clone)]
pub struct NodeLimits {
    arm: Option<ArmConfig>,
    source: String,
}

impl NodeLimits {
    /// franka-node's defaults.
    ///
    /// # Errors
    /// Never in practice: franka-node refuses its own defaults.
    pub fn defaults() -> Result<Self, String> {
        let config: NodeConfig = "[[arm]]\nname = \"arm\"\nhost = \"robot\"\n"
            .parse()
            .map_err(|e: franka_node::ConfigError| e.to_string())?;
        Ok(NodeLimits {
            arm: config.arms.into_iter().next(),
            source: "franka-node's defaults (give --node-config for the node's own)".into(),
        })
    }

    /// The limits of `arm` in a node's configuration file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path, arm: &str) -> Result<Self, String> {
        let config = NodeConfig::from_path(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let found = config.arms.into_iter().find(|a| a.name == arm);
        let missing = || format!("{}: no [[arm]] named \"{arm}\"", path.display());
        Ok(NodeLimits {
            arm: Some(found.ok_or_else(missing)?),
            source: path.display().to_string(),
        })
    }
}

/// Whether the arm ends where models think it does.
pub(super) fn end_effector(state: &TimedState) -> Check {
    let Ok(arm) = Fr3::new() else {
        return Check::fail("end effector", "no kinematic model", "reinstall");
    };
    let tool = arm.measured_tool(&state.joints_rad(), &state.placement);
    let hand = franka_hand();
    let t = tool.translation;
    if distance_m(&tool, &hand) < SAME_TOOL && angle_rad(&tool, &hand) < SAME_TOOL {
        return Check::pass("end effector", "the Franka Hand's");
    }
    Check::warn(
        "end effector",
        format!("flange to TCP is [{:.4}, {:.4}, {:.4}] m, not the Franka Hand's", t.x, t.y, t.z),
        "set the end effector in Desk to Franka Hand; poses, the table clearance and models count from its TCP",
    )
}

/// Whether the arm is where it may be.
pub(super) fn in_box(state: &TimedState, envelope: &EnvelopeConfig) -> Check {
    let p = state.placement.translation.vector;
    let found = format!("hand at [{:.3}, {:.3}, {:.3}] m", p.x, p.y, p.z);
    let position = [p.x, p.y, p.z];
    if envelope.workspace.contains(&position, 0.0) {
        return Check::pass("workspace", format!("{found}, inside the box"));
    }
    if envelope
        .workspace
        .contains(&position, envelope.outside_tolerance_m)
    {
        return Check::warn(
            "workspace",
            format!("{found}, just outside the box"),
            "the first action leads it back; guide the arm in by hand if that way is not clear",
        );
    }
    Check::fail(
        "workspace",
        format!("{found}, outside the box"),
        "guide the arm into safety.workspace by hand, `foresight robot home`, or correct the box; every action is refused until then",
    )
}

/// Whether the fingertips keep off the table.
pub(super) fn table(envelope: &EnvelopeConfig) -> Check {
    let found = format!(
        "tool stays {:.0} mm above a table at z = {:.3} m",
        (envelope.floor_m() - envelope.table_height_m) * 1e3,
        envelope.table_height_m
    );
    if envelope.floor_m() - envelope.table_height_m < 0.005 {
        let remedy = "raise safety.table_clearance_m: an arm placed 5 mm off the model touches";
        return Check::warn("table", found, remedy);
    }
    Check::pass("table", found)
}

/// The scenario's stream against the node's guard.
pub(super) fn against_node(
    envelope: &EnvelopeConfig,
    bounds: Option<&Bounds>,
    config: &ZenohArmConfig,
    node: &NodeLimits,
) -> Vec<Check> {
    let Some(arm) = &node.arm else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    let mut over = |what: &str, ours: f64, limit: f64, unit: &str| {
        if ours > limit {
            wrong.push(format!(
                "{what} {ours:.3} {unit} over the node's {limit:.3}"
            ));
        }
    };
    over("safety.speed_m_s", envelope.speed_m_s, arm.budget[0], "m/s");
    over(
        "safety.acceleration_m_s2",
        envelope.acceleration_m_s2,
        arm.budget[1],
        "m/s²",
    );
    over(
        "safety.rotation_speed_rad_s",
        envelope.rotation_speed_rad_s,
        arm.rotation_budget[0],
        "rad/s",
    );
    over(
        "safety.rotation_acceleration_rad_s2",
        envelope.rotation_acceleration_rad_s2,
        arm.rotation_budget[1],
        "rad/s²",
    );
    over(
        "safety.jerk_m_s3",
        envelope.jerk_m_s3,
        arm.budget[2],
        "m/s³",
    );
    // A late tick may advance over two.
    let step_m = envelope.speed_m_s * 2.0 / STREAM_HZ;
    over("step between targets", step_m, arm.max_step, "m");
    if arm.max_lead > 0.0 {
        over("lead of targets", TRACKING_ERROR_M, arm.max_lead, "m");
        over(
            "turn of targets",
            TRACKING_ERROR_RAD,
            arm.max_lead_rotation,
            "rad",
        );
    }
    over(
        "robot.franka.session_reach_m",
        config.session_reach_m,
        0.9 * arm.max_deviation,
        "m",
    );
    over(
        "robot.franka.session_turn_rad",
        config.session_turn_rad,
        0.9 * arm.max_angular_deviation,
        "rad",
    );
    over(
        "safety.max_translation_m",
        envelope.max_translation_m,
        arm.max_deviation,
        "m",
    );
    over("targets per second", STREAM_HZ, arm.rate_hz, "Hz");
    let guard = if wrong.is_empty() {
        Check::pass("guard", format!("the stream fits {}", node.source))
    } else {
        Check::fail(
            "guard",
            format!("{} ({})", wrong.join("; "), node.source),
            "lower the scenario's value, or raise the node's deliberately: it would refuse targets or break the session off",
        )
    };
    let mut checks = vec![guard];
    if let Some(theirs) = &arm.workspace {
        let ours = &envelope.workspace;
        let inside =
            (0..3).all(|i| ours.min_m[i] >= theirs.min[i] && ours.max_m[i] <= theirs.max[i]);
        checks.push(if inside {
            Check::pass("node's box", "contains the scenario's")
        } else {
            Check::fail(
                "node's box",
                format!(
                    "{:?} to {:?} m doesn't contain safety.workspace",
                    theirs.min, theirs.max
                ),
                "shrink the scenario's box: targets outside the node's are refused",
            )
        });
    }
    if let Some(bounds) = bounds {
        let found = format!(
            "± {:.3} m and ± {:.3} rad an action",
            bounds.translation_m, bounds.rotation_rad
        );
        let fits = bounds.translation_m <= envelope.max_translation_axis_m + 1e-9
            && bounds.rotation_rad <= envelope.max_rotation_rad + 1e-9;
        checks.push(if fits {
            Check::pass("action bounds", found)
        } else {
            Check::warn(
                "action bounds",
                format!(
                    "{found}, but the envelope lets ± {:.3} m and {:.3} rad through",
                    envelope.max_translation_axis_m, envelope.max_rotation_rad
                ),
                "planned actions will be clamped; lower planner.box_m or raise safety.max_translation_axis_m",
            )
        });
    }
    checks
}
