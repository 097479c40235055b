//! Episodes on disk: recorder, stores of several formats, index, clips.
//!
//! [`open`] gives an [`EpisodeStore`], whatever a dataset's format: DROID's raw layout,
//! `LAB/{success|failure}/DATE/<episode>/{metadata_*.json, trajectory.h5, recordings/…}`, as
//! [`Recorder`] writes it too, or LeRobot's. Episodes are read one by one, so a dataset may be
//! larger than memory; a [`Subset`] is a store with some of another's. [`ClipSampler`] is the one
//! way from episodes to training clips. [`index`] lists and checks all episodes, [`convert`] makes
//! one format of another.
//!
//! Which seeds may be recorded for what is decided in one place, [`Split`].
//!
//! ```
//! use foresight_datasets::Split;
//!
//! // Seeds of evaluations are never recorded for training.
//! let seed = Split::Evaluation.seed(7)?;
//! assert_eq!(Split::of_seed(seed), Some(Split::Evaluation));
//! assert!(Split::Train.check(seed).is_err());
//! # Ok::<(), foresight_datasets::DatasetError>(())
//! ```

pub mod alignment;
mod arrays;
mod clips;
pub mod convert;
pub mod deep;
pub mod doubts;
mod draws;
mod droid;
pub mod entry;
mod episode;
mod error;
pub mod extrinsics;
pub mod film;
mod frames;
pub mod index;
pub mod inspect;
mod joined;
mod json_text;
pub mod jumps;
pub mod layout;
pub mod lerobot;
mod loose;
pub mod metadata;
pub mod mp4_header;
mod open;
pub mod picture;
mod recorder;
mod sampler;
mod sampling;
pub mod side_by_side;
mod split;
pub mod statistics;
mod store;
mod subset;
pub mod trajectory;
pub mod video;
pub mod view;

pub use clips::{ClipOptions, ClipWindow, Draws, TrainingClip};
pub use entry::IndexEntry;
pub use episode::Episode;
pub use error::{DatasetError, Result};
pub use film::{Film, FilmClip, FilmSampling};
pub use frames::{FrameShape, FrameStack};
pub use index::Index;
pub use inspect::Inspection;
pub use joined::Joined;
pub use loose::{LooseCamera, LooseEpisode, LooseEpisodes, Pictures};
pub use metadata::Metadata;
pub use open::{of_index, open, open_tolerant};
pub use recorder::Recorder;
pub use sampler::ClipSampler;
pub use sampling::{ClipShape, Sampling};
pub use side_by_side::SideBySide;
pub use split::Split;
pub use store::{EpisodeExtras, EpisodeStore, OnBadEpisode, Proprioception};
pub use subset::Subset;
pub use trajectory::{CommandedStep, InitialState, SimulatorTrack, Trajectory};
pub use view::{Half, Role, View};
