//! All integration tests of this crate, linked once.

mod control_loop;
mod fixtures;
mod parity_cem;
mod parity_pose;
mod pose_geometry;
mod presets;
mod search;
