//! All integration tests of this crate, linked once.

mod bundled;
mod calibrate;
mod episodes;
mod layers;
mod malformed;
mod played;
mod record;
mod replay;
#[path = "../../../tests/support/require.rs"]
mod require;
mod timeline;
