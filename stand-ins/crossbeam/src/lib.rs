//! `crossbeam::utils`, which is all that `ringbuffer-spsc` names.

pub use crossbeam_utils as utils;
