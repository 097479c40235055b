//! Plays scenarios and shows what happened.
//!
//! [`run()`] plays a scenario once, has it recorded in a run folder, looks back at it and writes
//! its report; [`evaluate_into`] does so for many episodes. Reports are self-contained HTML:
//! pictures and figures are inside, nothing is fetched, and there is no script. [`timeline`] writes
//! runs and replays as recordings for viewers.
//!
//! ```
//! use foresight_report::{run, RunOptions};
//! use foresight_scenarios::{episode::Unwatched, LoadedScenario, ModelSource};
//!
//! let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../reach.toml");
//! let scenario = LoadedScenario::read(file.as_ref())?;
//! let runs = tempfile::tempdir()?;
//! let options = RunOptions {
//!     seed: 1,
//!     out: runs.path().to_owned(),
//!     virtual_time: true,
//! };
//! let result = run(&scenario, &ModelSource::Oracle, &options, &mut Unwatched)?;
//! assert!(result.run_dir.join("report.html").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod animation;
mod bitmap_text;
pub mod classification;
mod course;
mod decision;
pub mod evaluation;
mod filmstrip;
pub mod foreseen;
mod gif;
mod heatmap;
pub mod landscape;
mod page;
pub mod replay_folder;
pub mod replay_pictures;
mod run;
pub mod run_page;
mod said;
mod summary;
mod svg;
pub mod timeline;

pub use evaluation::evaluate_into;
pub use run::{run, RunOptions};
