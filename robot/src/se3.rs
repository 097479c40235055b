//! Rigid transforms (SE(3)) to and from what goes over the wire, and how far apart two are.

use foresight_planner::euler;
use nalgebra::{Isometry3, Matrix3, Quaternion, Translation3, UnitQuaternion};

/// Position xyz, m, and unit quaternion xyzw: the payload of a Cartesian target.
pub fn to_wire(transform: &Isometry3<f64>) -> [f64; 7] {
    let p = transform.translation.vector;
    let q = transform.rotation.coords;
    [p.x, p.y, p.z, q.x, q.y, q.z, q.w]
}

/// The transform of a Cartesian target's payload; `None` when a component is not finite or the
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

/// The transform of a column-major 4×4 matrix (`O_T_EE`); `None` when a component is not
/// finite.
pub fn from_column_major(m: &[f64; 16]) -> Option<Isometry3<f64>> {
    if m.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let rotation = Matrix3::new(m[0], m[4], m[8], m[1], m[5], m[9], m[2], m[6], m[10]);
    Some(Isometry3::from_parts(
        Translation3::new(m[12], m[13], m[14]),
        euler::matrix_to_quaternion(rotation),
    ))
}

/// The column-major 4×4 matrix of a transform.
pub fn to_column_major(transform: &Isometry3<f64>) -> [f64; 16] {
    let m = transform.to_homogeneous();
    std::array::from_fn(|i| m[(i % 4, i / 4)])
}

/// Distance of two transforms' origins, m.
pub fn distance_m(a: &Isometry3<f64>, b: &Isometry3<f64>) -> f64 {
    (a.translation.vector - b.translation.vector).norm()
}

/// Angle between two transforms' orientations, rad, in `[0, π]`.
pub fn angle_rad(a: &Isometry3<f64>, b: &Isometry3<f64>) -> f64 {
    a.rotation.angle_to(&b.rotation)
}
