//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod cases;
mod conversion;
mod damaged_files;
mod episodes;
mod films;
mod length_mismatches;
mod mutate;
mod own_robot;
mod parity_droid;
#[path = "../../../tests/support/require.rs"]
mod require;
mod sampler;
mod side_by_side;
mod support;
mod videos;
