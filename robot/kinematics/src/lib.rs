//! FR3 forward kinematics, Jacobian, joint limits and damped-least-squares inverse kinematics.
//!
//! The chain's constants come from franka-rs' model of the FR3 (`franka::Model::from_urdf`), read
//! once at construction; evaluation is a handful of rigid transforms, so that an inverse
//! kinematics step fits in a 1 kHz control tick many times over.
//!
//! Frames: the robot's base (`link0`); the TCP is franka's `O_T_EE` with the Franka Hand: the
//! flange, 0.1034 m along its z and yawed by −45°. Joint angles are in rad, lengths in m.
//!
//! ```
//! use foresight_kinematics::{Fr3, READY};
//!
//! let arm = Fr3::new()?;
//! let tcp = arm.tcp_pose(&READY);
//! assert!((tcp.translation.vector.x - 0.307).abs() < 1e-3);
//! # Ok::<(), foresight_kinematics::KinematicsError>(())
//! ```

mod chain;
pub mod hand;
mod ik;
mod limits;

pub use chain::{franka_hand, Fr3, Jacobian, KinematicsError, LinkPoses};
pub use ik::{IkError, IkOptions};
pub use limits::{joint_limits_rad, JOINT_VELOCITY_LIMITS_RAD_S};

/// The usual start of a Franka arm: elbow up, hand pointing down, away from every limit, rad.
pub const READY: [f64; 7] = [
    0.0,
    -std::f64::consts::FRAC_PI_4,
    0.0,
    -3.0 * std::f64::consts::FRAC_PI_4,
    0.0,
    std::f64::consts::FRAC_PI_2,
    std::f64::consts::FRAC_PI_4,
];
