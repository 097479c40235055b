//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod classification;
mod episodes;
mod foreseen;
mod old_runs;
mod played;
mod pose_error;
mod replay;
#[path = "../../../../tests/support/require.rs"]
mod require;
mod timeline;
mod trajectory_csv;
