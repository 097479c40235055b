//! Episodes on disk: recorder, DROID-raw layout, index, clip sampling.
//!
//! A dataset is a folder of episodes in DROID's raw layout,
//! `LAB/{success|failure}/DATE/<episode>/{metadata_*.json, trajectory.h5, recordings/…}`.
//! [`recorder`] writes such episodes, [`episode`] reads one, [`index`] lists and checks all of
//! them, [`set`] holds a whole dataset in memory and [`clips`] draws training windows from it.
//!
//! Datasets larger than memory are read episode by episode through [`store`]; [`clip_source`]
//! draws clips from them by number.
//! Which seeds may be recorded for what is decided in one place, [`split`].

mod arrays;
pub mod clip_source;
pub mod clips;
pub mod convert;
pub mod droid;
pub mod episode;
pub mod episode_clips;
pub mod error;
pub mod extrinsics;
pub mod frames;
pub mod index;
mod inspect;
pub mod layout;
pub mod lerobot;
pub mod metadata;
pub mod mp4_header;
pub mod pairing;
mod ppm;
pub mod recorder;
pub mod sampling;
pub mod set;
pub mod split;
pub mod statistics;
pub mod store;
pub mod trajectory;
pub mod video;
pub mod view;

pub use clip_source::{ClipOptions, ClipSource, ClipWindow, EpisodeClips, TrainingClip};
pub use clips::{Clip, ClipSampler, Window, WindowWeights};
pub use episode::Episode;
pub use error::DatasetError;
pub use frames::FrameStack;
pub use index::{Index, IndexEntry, Inspection};
pub use metadata::Metadata;
pub use recorder::Recorder;
pub use sampling::{ClipShape, Sampling};
pub use set::{EpisodeSet, EpisodeSpan, LoadOptions, ObjectState, Unusable};
pub use split::Split;
pub use store::EpisodeStore;
pub use trajectory::{CommandedStep, InitialState, SimulatorTrack, Trajectory};
pub use view::View;
