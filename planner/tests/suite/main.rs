//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod bounds;
mod control_loop;
mod fixtures;
mod landscape;
mod macro_search;
mod noise;
mod parity_cem;
mod parity_pose;
mod pose_geometry;
mod presets;
mod search;
mod settings_layers;
mod settings_presets;
mod settings_renamed;
