//! Plays scenarios and shows what happened.
//!
//! [`run()`] plays a scenario once, has it recorded in a run folder, looks back at it and writes
//! its report; [`evaluate_into`] does so for many episodes. Reports are self-contained HTML:
//! pictures and figures are inside, nothing is fetched, and there is no script. [`timeline`] writes
//! runs and replays as recordings for viewers.

mod animation;
mod bitmap_text;
mod course;
mod decision;
pub mod evaluation;
mod filmstrip;
mod gif;
mod heatmap;
pub mod landscape;
mod page;
pub mod replay_folder;
pub mod replay_pictures;
mod run;
pub mod run_page;
mod summary;
mod svg;
pub mod timeline;

pub use evaluation::evaluate_into;
pub use run::{run, RunOptions};
