//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod bundled;
mod calibrate;
mod continuous;
mod controllers;
mod layers;
mod malformed;
mod monitor;
mod sentences;
mod several;
mod success;
mod variation;
