//! Poses, actions and the search for action sequences; no tensors, no I/O.
//!
//! [`pose`] and [`euler`] are the vocabulary, [`energy`] what a search minimises, [`search`]
//! the shape every search has, [`cem`] the released one, [`mpc`] the loop that executes one
//! action of each plan and plans again, [`schedule`] the sub-goals it works through.

pub mod baseline;
pub mod cem;
pub mod energy;
pub mod euler;
pub mod mpc;
pub mod noise;
pub mod pose;
pub mod schedule;
pub mod search;
pub mod space;

pub use cem::{CemConfig, Momentum};
pub use energy::{ActionSequences, Energy, EnergyError};
pub use noise::{Noise, SeededNoise};
pub use pose::{Action, Pose};
pub use schedule::{GripperRule, SubGoal};
pub use search::{solve, Iteration, Plan, PlanError, Search, SearchMethod};
pub use space::{Component, Constraints, Dimension, SearchSpace};
