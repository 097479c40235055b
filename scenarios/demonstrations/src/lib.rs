//! Demonstrations in the simulator: the data the bundled model learns from.
//!
//! A scripted demonstrator that sees the simulator's truth drives a
//! [`VirtualArm`](foresight_robot::VirtualArm), through the same envelope, streamer and guard as any
//! planner. Each step is one action; after it the arm settles, and frame, pose, gripper and truth
//! are recorded. An episode is a pure function of its seed, whatever the number of workers. What
//! is drawn how often is a table of the scenario file:
//! [`foresight_scenarios::demonstrations`].

mod episode_config;
mod policy;
mod record;
mod scene_setup;
mod script;
mod summary;

pub use record::{record_all, record_episode, RecordError, RecordingPlan};
pub use summary::RecordingSummary;
