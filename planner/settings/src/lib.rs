//! One vocabulary for settings: TOML tables laid over one another, and what is wrong with them.
//!
//! A value of settings comes together from layers, each laid over the one before: a preset or
//! defaults, a file, changes from the command line (`--set planner.samples=200`). Whatever is wrong
//! is a [`Diagnostic`]: where, what, and what to do about it; [`Located`] adds the line of the file
//! or the change that it came with.
//!
//! ```
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Search {
//!     samples: usize,
//!     spread: f64,
//! }
//!
//! let defaults = "samples = 800\nspread = 0.5";
//! let search: Search = foresight_settings::layered(defaults, None, &["samples=200".into()])?;
//! assert_eq!((search.samples, search.spread), (200, 0.5));
//!
//! let wrong = foresight_settings::layered::<Search>(defaults, None, &["sample=200".into()]);
//! let message = wrong.err().map(|e| e.to_string()).unwrap_or_default();
//! assert!(message.contains("did you mean `samples`"), "{message}");
//! # Ok::<(), foresight_settings::SettingsError>(())
//! ```

mod change;
mod diagnostic;
mod layers;
mod presets;
mod renamed;

pub use change::Change;
pub use diagnostic::{Diagnostic, Located, Location, Remedies, SettingsError};
pub use layers::{
    inner_table, lay_over, lay_under, layered, layered_with, parse, read, read_text, Complete,
    Table,
};
pub use presets::Presets;
pub use renamed::{rename, Renamed};
