//! Poses, actions and the search for action sequences; no tensors, no I/O.
//!
//! [`pose`] and [`euler`] are the vocabulary, [`energy`] what a search minimises, [`search`]
//! the shape every search has, [`cem`] the released one and iCEM, [`mppi`] another, [`halving`]
//! and [`refine`] wrap any of them. A [`Controller`] decides on actions, [`Mpc`] by searching a
//! [`CostModel`]; [`control_loop`] executes one action of each decision and decides again,
//! [`schedule`] are the sub-goals it works through, [`room`] says where the hand may go.

pub mod baseline;
pub mod cem;
pub mod control_loop;
pub mod controller;
pub mod energy;
pub mod euler;
pub mod gaussian;
pub mod halving;
pub mod landscape;
pub mod mpc;
pub mod mppi;
pub mod noise;
pub mod pose;
pub mod refine;
pub mod room;
pub mod schedule;
pub mod search;
pub mod space;

pub use cem::{CemConfig, Momentum};
pub use controller::{Controller, Decision, Pursuit};
pub use energy::{ActionSequences, Energy, EnergyError, Gradients};
pub use gaussian::WarmStart;
pub use halving::Halved;
pub use landscape::Landscape;
pub use mpc::{CostModel, Mpc};
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
