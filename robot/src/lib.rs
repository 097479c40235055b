//! The arm and the camera over zenoh: client, target streamer, safety envelope, and the simulator behind the same keys.
//!
//! A planner sees [`Arm`]. Behind it, an action passes the [`Envelope`], becomes a 50 Hz stream
//! in the [`streamer`], and reaches either a franka-node over zenoh ([`ZenohArm`]) or a
//! simulator in this process ([`VirtualArm`]). [`SimServer`] is that simulator behind
//! franka-node's own keys, state machine, watchdogs and guard.
//!
//! ```
//! use foresight_planner::Action;
//! use foresight_robot::{Arm, EnvelopeConfig, VirtualArm, VirtualArmConfig, WorkspaceBox};
//! use foresight_sim::SceneDistribution;
//!
//! let scene = SceneDistribution::default().sample(1);
//! let workspace = WorkspaceBox { min_m: [0.3, -0.3, 0.0], max_m: [0.7, 0.3, 0.5] };
//! let envelope = EnvelopeConfig::new(workspace);
//! let mut arm = VirtualArm::new(&scene, envelope, VirtualArmConfig::default())?;
//! let up = Action::from_array([0.0, 0.0, 0.03, 0.0, 0.0, 0.0, 0.0]);
//! let moved = arm.execute(&up)?;
//! assert!(moved.settled && moved.refusal.is_none());
//! assert!(moved.error_m < 0.002);
//! # Ok::<(), foresight_robot::ArmError>(())
//! ```

mod action_gate;
pub mod arm;
pub mod capture;
pub mod certificates;
pub mod doctor;
mod driver;
pub mod envelope;
pub mod frame;
mod frame_sync;
pub mod gripper;
mod handover;
pub mod link;
mod motion;
mod path;
pub mod se3;
pub mod sequence;
mod server;
pub mod settle;
pub mod streamer;
mod viewer;
mod virtual_arm;
mod worker;
mod zenoh_arm;

pub use arm::{Arm, ArmError, ArmResult, Execution, Observation};
pub use driver::Driver;
pub use envelope::{Adjustment, Envelope, EnvelopeConfig, EnvelopeError, Refusal, WorkspaceBox};
pub use foresight_kinematics::hand;
pub use frame::{Frame, FrameError};
pub use franka_node::GRIPPER_GRASPED;
pub use gripper::{GripperConfig, GripperPolicy};
pub use handover::Handover;
pub use link::{LinkConfig, TlsConfig};
pub use server::{InjectedFault, SimServer, SimServerConfig, TwinCamera};
pub use settle::{Settle, SettleConfig};
pub use streamer::{Budget, Streamer};
pub use viewer::Viewer;
pub use virtual_arm::{VirtualArm, VirtualArmConfig};
pub use zenoh_arm::{ZenohArm, ZenohArmConfig};
