//! The Franka Hand: where its parts are, and how far it opens.
//!
//! From franka-description's hand and finger meshes and the hand's data sheet; lengths in m.

/// From the flange to the TCP along the flange's z axis.
pub const FLANGE_TO_TCP_M: f64 = 0.1034;
/// The hand's yaw on the flange, rad.
pub const HAND_YAW_RAD: f64 = -std::f64::consts::FRAC_PI_4;
/// From the hand's frame to the fingers' along its z axis.
pub const HAND_TO_FINGERS_M: f64 = 0.0584;
/// From the TCP to the fingertips.
pub const TIP_BELOW_TCP_M: f64 = 0.009;
/// From the TCP up to the palm.
pub const PALM_ABOVE_TCP_M: f64 = 0.045;
/// Half of a finger pad's width.
pub const PAD_HALF_WIDTH_M: f64 = 0.0089;
/// Half of a finger's width, across the opening direction.
pub const FINGER_HALF_WIDTH_M: f64 = 0.0105;
/// A finger's thickness, along the opening direction.
pub const FINGER_THICKNESS_M: f64 = 0.0205;
/// Stroke: the width between the fingers when the hand is fully open.
pub const STROKE_M: f64 = 0.08;

/// Width between the fingers of a closedness: 0 is open ([`STROKE_M`]), 1 is closed (0 m).
pub fn width_m(closedness: f64) -> f64 {
    (1.0 - closedness.clamp(0.0, 1.0)) * STROKE_M
}

/// Closedness, 0 to 1, of a width between the fingers.
pub fn closedness(width_m: f64) -> f64 {
    (1.0 - width_m / STROKE_M).clamp(0.0, 1.0)
}

#[cfg(test)]
#[path = "../tests/unit/hand.rs"]
mod tests;
