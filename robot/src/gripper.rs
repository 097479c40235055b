//! Closedness and width: the one place that maps between what a planner says and what the
//! Franka Hand understands, and decides between a grasp and a move.

use foresight_kinematics::hand::{closedness, width_m};
use franka_node::GripperKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How closedness becomes gripper commands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GripperConfig {
    /// Force of a grasp, N.
    pub force_n: f64,
    /// Changes of closedness smaller than this leave the gripper alone.
    pub dead_band: f64,
    /// How long a move or a grasp may take, s, before the action goes on without it.
    pub timeout_s: f64,
}

impl Default for GripperConfig {
    fn default() -> Self {
        GripperConfig {
            force_n: 30.0,
            dead_band: 0.05,
            timeout_s: 2.5,
        }
    }
}

/// A command to the gripper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GripperCommand {
    /// Move or grasp.
    pub kind: GripperKind,
    /// Width to go to, m.
    pub width_m: f64,
    /// Force, N; 0 for a move.
    pub force_n: f64,
}

/// Remembers what was asked of the gripper and turns closedness changes into commands.
#[derive(Debug, Clone)]
pub struct GripperPolicy {
    config: GripperConfig,
    /// The closedness last commanded.
    commanded: f64,
    /// Whether the last command was a grasp.
    grasping: bool,
}

impl GripperPolicy {
    /// A policy for a gripper that stands at `measured_width_m`.
    pub fn new(config: GripperConfig, measured_width_m: f64) -> Self {
        GripperPolicy {
            config,
            commanded: closedness(measured_width_m),
            grasping: false,
        }
    }

    /// The closedness last commanded.
    pub fn commanded(&self) -> f64 {
        self.commanded
    }

    /// Turns a change of closedness, counted from the measured width, into a command.
    ///
    /// Closing is a grasp: a move would stop at the first resistance without holding. While a
    /// grasp is on, closing further and small changes leave it alone, so that an object in hand
    /// isn't let go by a delta of nothing. Opening is a move.
    pub fn command(&mut self, change: f64, measured_width_m: f64) -> Option<GripperCommand> {
        if !change.is_finite() || change.abs() < self.config.dead_band {
            return None;
        }
        let wanted = (closedness(measured_width_m) + change).clamp(0.0, 1.0);
        if change > 0.0 {
            if wanted <= self.commanded && self.grasping {
                return None;
            }
            if wanted <= self.commanded + 1e-9 && self.commanded >= 1.0 {
                return None;
            }
            self.grasping = true;
            self.commanded = wanted;
            return Some(GripperCommand {
                kind: GripperKind::Grasp,
                width_m: width_m(wanted),
                force_n: self.config.force_n,
            });
        }
        if !self.grasping && (wanted - self.commanded).abs() < 1e-9 {
            return None;
        }
        self.grasping = false;
        self.commanded = wanted;
        Some(GripperCommand {
            kind: GripperKind::Width,
            width_m: width_m(wanted),
            force_n: 0.0,
        })
    }
}
