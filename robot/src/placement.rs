//! One pose, three spellings: the planner's [`Pose`], nalgebra's isometry, and the wire's
//! position and quaternion.

use foresight_planner::{euler, Pose};
use nalgebra::{Isometry3, Matrix3, Quaternion, Rotation3, Translation3, UnitQuaternion};

/// The end effector's place in the base frame, m, without the gripper.
pub fn isometry(pose: &Pose) -> Isometry3<f64> {
    let [x, y, z] = pose.position_m;
    Isometry3::from_parts(
        Translation3::new(x, y, z),
        UnitQuaternion::from_rotation_matrix(&pose.rotation()),
    )
}

/// The planner's pose of a placement and a gripper closedness.
pub fn pose(placement: &Isometry3<f64>, closedness: f64) -> Pose {
    let p = placement.translation.vector;
    Pose {
        position_m: [p.x, p.y, p.z],
        euler_rad: euler::from_rotation(&placement.rotation.to_rotation_matrix()),
        gripper: closedness,
    }
}

/// Position xyz, m, and unit quaternion xyzw: the payload of a Cartesian target.
pub fn to_wire(placement: &Isometry3<f64>) -> [f64; 7] {
    let p = placement.translation.vector;
    let q = placement.rotation.coords;
    [p.x, p.y, p.z, q.x, q.y, q.z, q.w]
}

/// The placement of a Cartesian target's payload; `None` when a component is not finite or the
/// quaternion has no direction.
pub fn from_wire(data: &[f64; 7]) -> Option<Isometry3<f64>> {
    let [x, y, z, a, b, c, d] = *data;
    if data.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let quaternion = Quaternion::new(d, a, b, c);
    (quaternion.norm() > 1e-6).then(|| {
        Isometry3::from_parts(
            Translation3::new(x, y, z),
            UnitQuaternion::from_quaternion(quaternion),
        )
    })
}

/// The placement of a column-major 4×4 transform (`O_T_EE`); `None` when a component is not
/// finite.
pub fn from_column_major(m: &[f64; 16]) -> Option<Isometry3<f64>> {
    if m.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let rotation = Matrix3::new(m[0], m[4], m[8], m[1], m[5], m[9], m[2], m[6], m[10]);
    let rotation = Rotation3::from_matrix_unchecked(rotation);
    Some(Isometry3::from_parts(
        Translation3::new(m[12], m[13], m[14]),
        UnitQuaternion::from_rotation_matrix(&rotation),
    ))
}

/// The column-major 4×4 transform of a placement.
pub fn to_column_major(placement: &Isometry3<f64>) -> [f64; 16] {
    let m = placement.to_homogeneous();
    std::array::from_fn(|i| m[(i % 4, i / 4)])
}

/// Distance of two placements' positions, m.
pub fn distance_m(a: &Isometry3<f64>, b: &Isometry3<f64>) -> f64 {
    (a.translation.vector - b.translation.vector).norm()
}

/// Angle between two placements' orientations, rad.
pub fn angle_rad(a: &Isometry3<f64>, b: &Isometry3<f64>) -> f64 {
    a.rotation.angle_to(&b.rotation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_agree() {
        let start = Pose::from_array([0.5, -0.1, 0.2, 3.1, 0.05, -0.7, 0.4]);
        let placement = isometry(&start);
        let back = pose(&placement, 0.4);
        for (a, b) in start.to_array().iter().zip(back.to_array()) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        let wired = from_wire(&to_wire(&placement)).expect("finite");
        assert!(angle_rad(&placement, &wired) < 1e-7);
        let matrix = from_column_major(&to_column_major(&placement)).expect("finite");
        assert!(angle_rad(&placement, &matrix) < 1e-7);
        assert!(distance_m(&placement, &matrix) < 1e-15);
    }

    #[test]
    fn nonsense_is_none() {
        assert!(from_wire(&[f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).is_none());
        assert!(from_wire(&[0.0; 7]).is_none());
        assert!(from_column_major(&[f64::INFINITY; 16]).is_none());
    }
}
