//! Episodes on disk: recorder, DROID-raw layout, index, clip sampling.
//!
//! A dataset is a folder of episodes in DROID's raw layout,
//! `LAB/{success|failure}/DATE/<episode>/{metadata_*.json, trajectory.h5, recordings/…}`.
//! [`recorder`] writes such episodes, [`episode`] reads one, [`index`] lists and checks all of
//! them, [`set`] holds a whole dataset in memory and [`clips`] draws training windows from it.
//! Which seeds may be recorded for what is decided in one place, [`split`].

pub mod clips;
pub mod episode;
pub mod error;
pub mod frames;
pub mod index;
pub mod layout;
pub mod metadata;
pub mod recorder;
pub mod set;
pub mod split;
pub mod statistics;
pub mod trajectory;
pub mod video;

pub use clips::{Clip, ClipSampler, Window, WindowWeights};
pub use episode::Episode;
pub use error::DatasetError;
pub use frames::FrameStack;
pub use index::{Index, IndexEntry};
pub use metadata::Metadata;
pub use recorder::Recorder;
pub use set::{EpisodeSet, EpisodeSpan, LoadOptions, ObjectState, Unusable};
pub use split::Split;
pub use trajectory::{Beginning, CommandedStep, SimulatorTrack, Trajectory};
