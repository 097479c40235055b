//! Demonstrations in the simulator: the data the bundled model learns from.
//!
//! A scripted demonstrator that sees the simulator's truth drives a
//! [`VirtualArm`](foresight_robot::VirtualArm), through the same envelope, streamer and guard as any
//! planner. Each step is one action; after it the arm settles, and frame, pose, gripper and truth
//! are recorded. An episode is a pure function of its seed, whatever the number of workers. What
//! is drawn how often is a table of the scenario file:
//! [`foresight_scenarios::demonstrations`].
//!
//! ```
//! use foresight_demonstrations::{record_episode, RecordingPlan};
//!
//! let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../pick_and_place.toml");
//! let mut plan = RecordingPlan::from_scenario(file.as_ref())?;
//! plan.steps = 2;
//! let recorded = record_episode(&plan, 1_000_000)?;
//! assert_eq!(recorded.episode.frames.len(), 3);
//! # Ok::<(), foresight_demonstrations::RecordError>(())
//! ```

mod branch;
mod contact_script;
mod episode_config;
mod error;
pub mod live;
mod policy;
mod record;
mod scene_setup;
mod script;
mod stage;
mod summary;
mod task_text;
mod track;

pub use error::RecordError;
pub use record::{record_all, record_episode, RecordingPlan};
pub use summary::RecordingSummary;
