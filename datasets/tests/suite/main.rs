//! All integration tests of this crate, linked once.

mod clip_source;
mod conversion;
mod damaged_files;
mod episodes;
mod mutate;
mod own_robot;
mod parity_droid;
#[path = "../../../tests/support/require.rs"]
mod require;
mod support;
mod uneven_videos;
mod videos;
