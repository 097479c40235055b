//! All integration tests of this crate, linked once.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

mod cameras;
mod demo;
mod disturbances;
mod grasping;
mod motion;
mod several;
