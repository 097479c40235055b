//! Poses, actions and the search for action sequences; no tensors, no I/O.

pub mod energy;
pub mod euler;
pub mod pose;

pub use energy::{ActionSequences, Energy, EnergyError};
pub use pose::{Action, Pose};
