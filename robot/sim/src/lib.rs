//! A simulated FR3 tabletop: rigid-body physics, grasping by contact, and a software renderer.
//!
//! A [`Scene`] says what stands where (sampled from a [`SceneDistribution`] by seed), a
//! [`Simulator`] runs it in virtual time, one [`Simulator::step`] of [`Simulator::STEP_S`] after
//! the other, and [`Simulator::render`] draws what its camera sees. [`goals`] poses the same scene
//! as it should look later, for goal images; [`GroundTruth`] is what really happened, from the physics
//! alone.
//!
//! Frames and units: the robot's base frame, metres, radians, seconds; the table's top is z = 0;
//! the hand's pose is the TCP of the Franka Hand (see `foresight-kinematics`); quaternions are
//! `[x, y, z, w]`. Everything is a pure function of the scene and the commands: the same run gives
//! the same bits.
//!
//! ```
//! use foresight_sim::{SceneDistribution, Simulator};
//!
//! let scene = SceneDistribution::default().sample(1);
//! let mut simulator = Simulator::new(&scene)?;
//! let mut target = simulator.pose();
//! target.position_m[2] += 0.05;
//! simulator.set_cartesian_target(target.isometry());
//! simulator.advance(2.0);
//! assert!(simulator.pose().distance_m(&target) < 1e-3);
//! assert_eq!(simulator.render(64, 48).dimensions(), (64, 48));
//! # Ok::<(), foresight_sim::SimError>(())
//! ```

pub mod arm;
pub mod colour;
pub mod crowd;
pub mod distribution;
pub mod disturbance;
pub mod goals;
pub mod gripper;
pub mod ground_truth;
pub mod objects;
pub mod parts;
pub mod scene;

mod physics;
mod render;
mod simulator;
mod snapshot;

pub use arm::{ArmLimits, ArmState};
pub use colour::ColourName;
pub use distribution::SceneDistribution;
pub use disturbance::Disturbance;
pub use goals::{GoalState, ObjectPose};
pub use gripper::GripperState;
pub use ground_truth::{GroundTruth, OtherObject};
pub use scene::{Camera, Light, Object, ObjectKind, Scene, StartPose, TableTop, TargetDisc};
pub use simulator::{SimError, Simulator};
pub use snapshot::Snapshot;
