//! Scenario files, the runner, success checks, the run folder.
//!
//! A file becomes a [`LoadedScenario`], that and a seed an [`EpisodeSpec`] (scene, goals, limits);
//! [`run()`] plays it once and leaves a run folder, [`evaluate()`] plays many in virtual time. In
//! both, [`episode`] lets a controller ([`controllers`]) drive an environment ([`env`]).

pub mod action_map;
pub mod animation;
pub mod calendar;
pub mod calibrate;
mod check;
pub mod controllers;
pub mod demonstrate;
pub mod dry_run;
pub mod env;
pub mod episode;
pub mod episode_spec;
pub mod evaluate;
pub mod folder;
pub mod gallery;
pub mod hindsight;
pub mod lettering;
pub mod load;
pub mod poses;
pub mod probe;
pub mod reference;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schema;
pub mod success;
pub mod timeline;
pub mod trace;
pub mod variation;

pub use controllers::ModelSource;
pub use episode_spec::EpisodeSpec;
pub use evaluate::{evaluate, evaluate_into, Evaluation, EvaluationOptions};
pub use foresight_settings::SettingsError as ScenarioError;
pub use load::LoadedScenario;
pub use run::{run, RunError, RunOptions, RunResult};
pub use scenario::Scenario;
pub use variation::Variation;
