//! Extrinsic xyz Euler angles, with the same choices as the official code's SciPy calls.
//!
//! SciPy goes from the matrix to a quaternion and from there to angles (Bernardes and Viollet,
//! *Quaternion to Euler angles conversion: a direct, general and computationally efficient
//! method*, 2022). Following the same path reproduces its answers near gimbal lock too, where
//! the third angle is set to zero.
//!
//! Products of rotations are taken on matrices, as there; angles, axes and parts of a turn on unit
//! quaternions. nalgebra's `Rotation3` is kept out of it: its angles come from an arc cosine, which
//! is NaN for equal rotations whose trace rounds above 3, and it has no axis at half a turn.

use std::f64::consts::{FRAC_PI_2, PI};

use nalgebra::{Matrix3, Rotation3, UnitQuaternion};

/// How near pitch must be to ±90° for the gimbal-lock branch, rad.
const GIMBAL_TOLERANCE_RAD: f64 = 1e-7;

/// `R = Rz(c) · Ry(b) · Rx(a)` of the angles `[a, b, c]`, rad.
pub fn to_matrix([a, b, c]: [f64; 3]) -> Matrix3<f64> {
    Rotation3::from_euler_angles(a, b, c).into_inner()
}

/// The unit quaternion of the angles `[a, b, c]`, rad.
pub fn to_quaternion(angles: [f64; 3]) -> UnitQuaternion<f64> {
    matrix_to_quaternion(to_matrix(angles))
}

/// The unit quaternion of a rotation matrix.
pub fn matrix_to_quaternion(rotation: Matrix3<f64>) -> UnitQuaternion<f64> {
    UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(rotation))
}

/// The angles of a unit quaternion, as [`from_matrix`] gives them.
pub fn from_quaternion(rotation: &UnitQuaternion<f64>) -> [f64; 3] {
    from_matrix(rotation.to_rotation_matrix().matrix())
}

/// The angles `[a, b, c]`, rad, each in `[-π, π]`, with `R = Rz(c) · Ry(b) · Rx(a)` for a rotation
/// matrix `R`; in gimbal lock `c` is 0.
pub fn from_matrix(rotation: &Matrix3<f64>) -> [f64; 3] {
    let [x, y, z, w] = quaternion(rotation);
    let (a, b, c, d) = (w - y, x + z, y + w, z - x);
    let half_sum = b.atan2(a);
    let half_difference = d.atan2(c);
    let pitch = 2.0 * c.hypot(d).atan2(a.hypot(b));
    let (first, third) = if pitch.abs() <= GIMBAL_TOLERANCE_RAD {
        (2.0 * half_sum, 0.0)
    } else if (pitch - PI).abs() <= GIMBAL_TOLERANCE_RAD {
        (-2.0 * half_difference, 0.0)
    } else {
        (half_sum - half_difference, half_sum + half_difference)
    };
    [first, pitch - FRAC_PI_2, third].map(wrap)
}

/// One turn back into `[-π, π]`.
fn wrap(angle: f64) -> f64 {
    if angle < -PI {
        angle + 2.0 * PI
    } else if angle > PI {
        angle - 2.0 * PI
    } else {
        angle
    }
}

/// The unit quaternion `[x, y, z, w]` of a rotation matrix, computed from its largest component.
fn quaternion(m: &Matrix3<f64>) -> [f64; 4] {
    let trace = m.trace();
    let candidates = [m[(0, 0)], m[(1, 1)], m[(2, 2)], trace];
    let mut largest = 0;
    for (index, value) in candidates.iter().enumerate() {
        if *value > candidates[largest] {
            largest = index;
        }
    }
    let mut q = [0.0; 4];
    if largest == 3 {
        q[0] = m[(2, 1)] - m[(1, 2)];
        q[1] = m[(0, 2)] - m[(2, 0)];
        q[2] = m[(1, 0)] - m[(0, 1)];
        q[3] = 1.0 + trace;
    } else {
        let (i, j, k) = (largest, (largest + 1) % 3, (largest + 2) % 3);
        q[i] = 1.0 - trace + 2.0 * m[(i, i)];
        q[j] = m[(j, i)] + m[(i, j)];
        q[k] = m[(k, i)] + m[(i, k)];
        q[3] = m[(k, j)] - m[(j, k)];
    }
    let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
    q.map(|v| v / norm)
}
