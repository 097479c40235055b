//! All integration tests of this crate, linked once.

mod bundled;
mod calibrate;
mod layers;
mod malformed;
mod variation;
