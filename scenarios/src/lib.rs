//! Scenario files, episodes and their success.
//!
//! A file becomes a [`LoadedScenario`], that and a seed an [`EpisodeSpec`] (scene, goals, limits);
//! [`episode`] lets a controller ([`controllers`]) drive an environment ([`mod@env`]), [`evaluate()`]
//! plays many episodes in virtual time. Whoever wants to see or record steps is an
//! [`Observer`](episode::Observer); the crates above this one record, replay and report.
//!
//! ```
//! use foresight_scenarios::{EpisodeSpec, LoadedScenario};
//!
//! let file = concat!(env!("CARGO_MANIFEST_DIR"), "/reach.toml");
//! let scenario = LoadedScenario::read(file.as_ref())?;
//! let goals = EpisodeSpec::new(&scenario, 4).goal_images()?;
//! assert_eq!(goals.len(), scenario.scenario.subgoal.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod action_map;
pub mod alarm;
pub mod anchors;
pub mod calibrate;
mod check;
pub mod controllers;
pub mod decision_latency;
pub mod demonstrations;
pub mod dry_run;
pub mod env;
pub mod episode;
pub mod episode_spec;
pub mod error;
pub mod evaluate;
pub mod fault_kind;
pub mod faults;
pub mod foreseen;
pub mod load;
pub mod monitor;
pub mod naming;
pub mod physics;
mod reach;
pub mod recovery;
pub mod reference;
pub mod say;
pub mod scenario;
pub mod schema;
pub mod success;
pub mod variation;

pub use controllers::ModelSource;
pub use episode_spec::EpisodeSpec;
pub use error::{RunError, RunResult};
pub use evaluate::{evaluate, Evaluation, EvaluationOptions};
pub use foresight_settings::SettingsError as ScenarioError;
pub use load::LoadedScenario;
pub use scenario::Scenario;
pub use variation::Variation;
