//! The Franka Hand: two fingers driven by one belt, with a speed and a force.
//!
//! The drive is a reference width that moves at the hand's speed towards what was commanded.
//! Both fingers follow it on springs; the reference never leads them by more than the commanded
//! force allows, so fingers that meet something press with that force and no more, and two
//! fingers can only be displaced together against twice the spring (the belt of the real hand).

use foresight_kinematics::hand::STROKE_M;
use serde::{Deserialize, Serialize};

/// Speed of the width, m/s: each finger moves at half of it.
pub const WIDTH_SPEED_M_S: f64 = 0.1;
/// Force of a plain move and of holding still, N.
pub const MOVE_FORCE_N: f64 = 15.0;
/// Largest force of a grasp, N.
pub const MAX_FORCE_N: f64 = 70.0;
/// Spring between the drive and each finger, N/m.
pub(crate) const FINGER_STIFFNESS_N_M: f64 = 20_000.0;
/// Damper of the same, N·s/m: about critical for a finger's mass.
pub(crate) const FINGER_DAMPING_N_S_M: f64 = 120.0;
/// A finger with its share of the drive, kg.
pub(crate) const FINGER_MASS_KG: f64 = 0.15;

/// What the hand reports.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GripperState {
    /// Distance between the pads, from the finger joints, m.
    pub width_m: f64,
    /// The width last commanded, m.
    pub commanded_m: f64,
    /// The widest the hand opens, m.
    pub max_width_m: f64,
    /// Whether the fingers are on their way.
    pub moving: bool,
    /// Whether a grasp command has come to rest with both pads on the object.
    pub grasped: bool,
}

/// The drive of the hand.
#[derive(Debug, Clone)]
pub(crate) struct Drive {
    /// Where the fingers should end up, m.
    pub commanded_m: f64,
    /// Where the drive is now, m.
    reference_m: f64,
    /// How hard it may press, N.
    force_n: f64,
    /// Whether the command is a grasp.
    pub grasping: bool,
    /// Whether commands change nothing.
    pub blocked: bool,
}

impl Drive {
    pub(crate) fn new(width_m: f64) -> Self {
        Drive {
            commanded_m: width_m,
            reference_m: width_m,
            force_n: MOVE_FORCE_N,
            grasping: false,
            blocked: false,
        }
    }

    pub(crate) fn command(&mut self, width_m: f64, force_n: f64, grasping: bool) {
        if self.blocked {
            return;
        }
        self.commanded_m = width_m.clamp(0.0, STROKE_M);
        self.force_n = force_n.clamp(1.0, MAX_FORCE_N);
        self.grasping = grasping;
    }

    /// From now on the fingers stay `width_m` apart, pressing on what is between them as before.
    pub(crate) fn block(&mut self, width_m: f64) {
        if !self.grasping {
            self.commanded_m = width_m;
        }
        self.blocked = true;
    }

    /// Advances by `dt_s` and returns the position each finger should take, m from the middle.
    pub(crate) fn advance(&mut self, actual_width_m: f64, dt_s: f64) -> f64 {
        let step = WIDTH_SPEED_M_S * dt_s;
        self.reference_m += (self.commanded_m - self.reference_m).clamp(-step, step);
        let lead = 2.0 * self.force_n / FINGER_STIFFNESS_N_M;
        self.reference_m = self
            .reference_m
            .clamp(actual_width_m - lead, actual_width_m + lead);
        self.reference_m / 2.0
    }

    /// Puts the drive where a grasp of `width_m` would have brought it.
    pub(crate) fn pressing(width_m: f64, force_n: f64) -> Self {
        Drive {
            commanded_m: 0.0,
            reference_m: width_m - 2.0 * force_n / FINGER_STIFFNESS_N_M,
            force_n,
            grasping: true,
            blocked: false,
        }
    }
}
