use super::*;
use nalgebra::{Rotation3, Vector3};

/// A pose with the hand pointing down.
fn down(position_m: [f64; 3]) -> Pose {
    Pose {
        position_m,
        euler_rad: euler::from_rotation(&Rotation3::from_axis_angle(
            &Vector3::x_axis(),
            std::f64::consts::PI,
        )),
        gripper: 0.0,
    }
}
