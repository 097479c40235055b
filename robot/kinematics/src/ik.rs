//! Inverse kinematics by damped least squares.
//!
//! Seven joints for six coordinates leave one freedom: the elbow. It is spent on staying near a
//! posture, by a step in the Jacobian's null space, so that the same hand pose always comes with
//! (nearly) the same arm, whatever way led there. Pictures of goals depend on that.

use nalgebra::{Isometry3, SMatrix, SVector, Vector6};

use crate::{joint_limits_rad, Fr3, READY};

/// How an inverse kinematics problem is solved.
#[derive(Debug, Clone, PartialEq)]
pub struct IkOptions {
    /// Joint angles the free motion of the elbow pulls towards, rad.
    pub posture: [f64; 7],
    /// Share of the way to the posture taken an iteration, 0 to 1; 0 leaves the elbow alone.
    pub posture_gain: f64,
    /// Distance kept from every joint limit, rad.
    pub limit_margin_rad: f64,
    /// Largest position error accepted, m.
    pub tolerance_m: f64,
    /// Largest rotation error accepted, rad.
    pub tolerance_rad: f64,
    /// The elbow has converged once an iteration moves no joint further than this, rad.
    pub posture_tolerance_rad: f64,
    /// Iterations before giving up.
    pub max_iterations: usize,
}

impl Default for IkOptions {
    fn default() -> Self {
        IkOptions {
            posture: READY,
            posture_gain: 0.5,
            limit_margin_rad: 0.02,
            tolerance_m: 1e-7,
            tolerance_rad: 1e-7,
            posture_tolerance_rad: 1e-5,
            max_iterations: 200,
        }
    }
}

/// Why no joint angles were found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IkError {
    /// The pose can't be reached within the joint limits.
    #[error("the pose at [{:.3}, {:.3}, {:.3}] m can't be reached: the nearest found is off by {error_m:.4} m and {error_rad:.4} rad; move the target into the arm's reach (about 0.3 to 0.75 m from the base)", position_m[0], position_m[1], position_m[2])]
    Unreachable {
        /// The TCP position asked for, m.
        position_m: [f64; 3],
        /// What was left of the position error, m.
        error_m: f64,
        /// What was left of the rotation error, rad.
        error_rad: f64,
    },
    /// The target holds NaN or infinity.
    #[error("the target pose holds a number that is not finite")]
    NotFinite,
}

/// No joint moves further than this in one iteration, rad: linearisation holds no longer.
const MAX_JOINT_STEP_RAD: f64 = 0.25;

impl Fr3 {
    /// Joint angles that bring the TCP to `target` (base frame), starting from `seed` (rad).
    ///
    /// # Errors
    /// [`IkError::Unreachable`] when no solution within the limits is found,
    /// [`IkError::NotFinite`] for a target that is not a pose.
    pub fn solve_ik(
        &self,
        target: &Isometry3<f64>,
        seed: &[f64; 7],
        options: &IkOptions,
    ) -> Result<[f64; 7], IkError> {
        if !is_finite(target) || seed.iter().any(|q| !q.is_finite()) {
            return Err(IkError::NotFinite);
        }
        let mut q = *seed;
        let mut errors = (f64::INFINITY, f64::INFINITY);
        for _ in 0..options.max_iterations {
            let (next, error_m, error_rad) = self.ik_step(target, &q, options);
            errors = (error_m, error_rad);
            let moved = (0..7).fold(0.0_f64, |m, i| m.max((next[i] - q[i]).abs()));
            let reached = error_m <= options.tolerance_m && error_rad <= options.tolerance_rad;
            if reached && moved <= options.posture_tolerance_rad {
                return Ok(q);
            }
            q = next;
        }
        let (tcp, _) = self.tcp_and_jacobian(&q);
        let error = pose_error(&tcp, target);
        let (error_m, error_rad) = split_norms(&error);
        if error_m <= options.tolerance_m.max(1e-6) && error_rad <= options.tolerance_rad.max(1e-6)
        {
            return Ok(q);
        }
        Err(IkError::Unreachable {
            position_m: target.translation.vector.into(),
            error_m: error_m.min(errors.0),
            error_rad: error_rad.min(errors.1),
        })
    }

    /// One damped step from `q` towards `target`: the next angles, and how far `q` was off in m
    /// and rad. A control loop with a slowly moving target calls this once a tick.
    pub fn ik_step(
        &self,
        target: &Isometry3<f64>,
        q: &[f64; 7],
        options: &IkOptions,
    ) -> ([f64; 7], f64, f64) {
        let (tcp, jacobian) = self.tcp_and_jacobian(q);
        let error = pose_error(&tcp, target);
        let (error_m, error_rad) = split_norms(&error);

        // Damping fades with the error: robust far away, quadratic convergence close by.
        let damping = 1e-9 + 1e-2 * error.norm_squared().min(1.0);
        let gram = jacobian * jacobian.transpose() + SMatrix::<f64, 6, 6>::identity() * damping;
        // The Gram matrix plus a positive multiple of the identity is positive definite.
        let Some(cholesky) = gram.cholesky() else {
            return (*q, error_m, error_rad);
        };
        let towards_posture =
            SVector::<f64, 7>::from_fn(|i, _| options.posture_gain * (options.posture[i] - q[i]));
        // J⁺e + (I − J⁺J)p = J⁺(e − Jp) + p
        let correction = cholesky.solve(&(error - jacobian * towards_posture));
        let mut step = jacobian.tr_mul(&correction) + towards_posture;
        let largest = step.amax();
        if largest > MAX_JOINT_STEP_RAD {
            step *= MAX_JOINT_STEP_RAD / largest;
        }
        let mut next = *q;
        for (i, (low, high)) in joint_limits_rad().iter().enumerate() {
            next[i] = (q[i] + step[i]).clamp(
                low + options.limit_margin_rad,
                high - options.limit_margin_rad,
            );
        }
        (next, error_m, error_rad)
    }
}

/// From `here` to `target` in base axes: metres, then a rotation vector in rad.
fn pose_error(here: &Isometry3<f64>, target: &Isometry3<f64>) -> Vector6<f64> {
    let linear = target.translation.vector - here.translation.vector;
    let angular = (target.rotation * here.rotation.inverse()).scaled_axis();
    Vector6::new(
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z,
    )
}

fn split_norms(error: &Vector6<f64>) -> (f64, f64) {
    (
        error.fixed_rows::<3>(0).norm(),
        error.fixed_rows::<3>(3).norm(),
    )
}

fn is_finite(pose: &Isometry3<f64>) -> bool {
    pose.translation.vector.iter().all(|x| x.is_finite())
        && pose.rotation.coords.iter().all(|x| x.is_finite())
}
