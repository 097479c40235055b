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
//! let defaults = foresight_settings::parse("samples = 800\nspread = 0.5")?;
//! let layered = |change: &str| {
//!     foresight_settings::layered::<Search>(&defaults, &[], None, &[change.to_owned()])
//! };
//! let (search, _) = layered("samples=200")?;
//! assert_eq!((search.samples, search.spread), (200, 0.5));
//!
//! let message = layered("sample=200").err().map(|e| e.to_string());
//! assert!(message.is_some_and(|m| m.contains("did you mean `samples`")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod change;
mod diagnostic;
mod layers;
mod presets;
mod renamed;
mod source_table;

pub use change::Change;
pub use diagnostic::{Diagnostic, Located, Location, Remedies, SettingsError};
pub use layers::{check, layered, read_text, Dialect};
pub use presets::Presets;
pub use renamed::{rename, Renamed};
pub use source_table::{inner_table, lay_over, lay_under, parse, read, SourceTable};
