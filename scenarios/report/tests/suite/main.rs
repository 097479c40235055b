//! All integration tests of this crate, linked once.

mod episodes;
mod old_runs;
mod played;
mod replay;
#[path = "../../../../tests/support/require.rs"]
mod require;
mod timeline;
