//! Closedness and width: the one place that maps between what a planner says and what the
//! Franka Hand understands, and decides between a grasp and a move.
//!
//! **A closing presses.** Whatever its size, it means "close until something stops the fingers, then
//! press". Models learn actions as differences of measured states, so around an object 5 cm wide a
//! search rightly plans a closing of 0.38, which is what will be measured; fingers sent *to that
//! width* would stop at the object and hold nothing. Recordings are made the same way: what they
//! measure after a closing is the object's width, or 1 where there was nothing. An opening goes to
//! the width asked for, and so a half closed hand is reached by opening.

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
    /// Closings of at least this much closedness press; smaller ones leave the gripper alone, so that
    /// a search's noise doesn't close the hand. An object 7 cm wide asks for 0.125.
    pub press_from: f64,
    /// How long a move or a grasp may take, s, before the action goes on without it.
    pub timeout_s: f64,
    /// What a closing means; not for scenario files.
    #[serde(skip)]
    #[schemars(skip)]
    pub closing: Closing,
}

/// What a closing means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Closing {
    /// Close until something stops the fingers, and press.
    #[default]
    Press,
    /// Go to that width and hold nothing: to follow what another robot's fingers did.
    ToWidth,
}

impl Default for GripperConfig {
    fn default() -> Self {
        GripperConfig {
            force_n: 30.0,
            dead_band: 0.05,
            press_from: 0.1,
            timeout_s: 2.5,
            closing: Closing::Press,
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
    /// Closing is a grasp from any width to the stop: a move would end at the first resistance
    /// without holding. While a grasp is on, closing further and small changes leave it alone, so
    /// that an object in hand isn't let go by a delta of nothing. Opening is a move to the width
    /// asked for.
    pub fn command(&mut self, change: f64, measured_width_m: f64) -> Option<GripperCommand> {
        if !change.is_finite() || change.abs() < self.config.dead_band {
            return None;
        }
        if change > 0.0 && self.config.closing == Closing::Press {
            if change < self.config.press_from || self.grasping {
                return None;
            }
            self.grasping = true;
            self.commanded = 1.0;
            return Some(GripperCommand {
                kind: GripperKind::Grasp,
                width_m: 0.0,
                force_n: self.config.force_n,
            });
        }
        let wanted = (closedness(measured_width_m) + change).clamp(0.0, 1.0);
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
