//! What the FR3's joints may do, from Franka's data sheet.

/// Position limits of the seven joints, rad, lower then upper.
const LIMITS_RAD: [(f64, f64); 7] = [
    (-2.7437, 2.7437),
    (-1.7837, 1.7837),
    (-2.9007, 2.9007),
    (-3.0421, -0.1518),
    (-2.8065, 2.8065),
    (0.5445, 4.5169),
    (-3.0159, 3.0159),
];

/// Speed limits of the seven joints, rad/s.
pub const JOINT_VELOCITY_LIMITS_RAD_S: [f64; 7] = [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26];

/// Position limits of the seven joints, rad, lower then upper.
pub fn joint_limits_rad() -> &'static [(f64, f64); 7] {
    &LIMITS_RAD
}
