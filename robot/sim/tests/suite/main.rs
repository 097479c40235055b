//! All integration tests of this crate, linked once.

mod demo;
mod grasping;
mod motion;
