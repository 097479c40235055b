//! All integration tests of this crate, linked once.

mod fixtures;
mod mpc;
mod parity_cem;
mod parity_pose;
mod search;
