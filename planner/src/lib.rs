//! Poses, actions and the search for action sequences; no tensors, no I/O.
//!
//! [`pose`] and [`euler`] are the vocabulary, [`energy`] what a search minimises, [`search`]
//! the shape every search has, [`cem`] the released one and iCEM, [`mppi`] another, [`halving`]
//! and [`refine`] wrap any of them; [`control_loop`] is the loop that executes one action of each plan
//! and plans again, [`schedule`] the sub-goals it works through, [`room`] where the hand may go.

pub mod baseline;
pub mod cem;
pub mod control_loop;
pub mod energy;
pub mod euler;
pub mod gaussian;
pub mod halving;
pub mod landscape;
pub mod mppi;
pub mod noise;
pub mod pose;
pub mod refine;
pub mod room;
pub mod schedule;
pub mod search;
pub mod space;

pub use cem::{CemConfig, Momentum};
pub use energy::{ActionSequences, Energy, EnergyError, Gradients};
pub use gaussian::WarmStart;
pub use halving::Halved;
pub use landscape::Landscape;
pub use mppi::MppiConfig;
pub use noise::{Noise, SeededNoise};
pub use pose::{Action, Pose};
pub use refine::Refined;
pub use room::{Room, Slack};
pub use schedule::{GripperRule, SubGoal};
pub use search::{
    solve, Answer, Iteration, Plan, PlanError, Proposal, Question, Search, SearchMethod,
};
pub use space::{Component, Constraints, Dimension, SearchSpace};
