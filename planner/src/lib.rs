//! Poses, actions and the search for action sequences; no tensors; no I/O but a look at
//! whether a file is a Git-LFS pointer.
//!
//! [`Pose`] and [`Action`] are the vocabulary, [`Energy`] what a search minimises, [`Search`] the
//! shape every search has: it asks for candidates to be evaluated and is told what came of them.
//! [`CemConfig`] makes the released one and iCEM, [`MppiConfig`] another, [`SuccessiveHalving`] and
//! [`GradientRefinement`] wrap any of them; [`PlannerConfig`] is all of it as settings.
//! A [`Controller`] decides on actions, [`Mpc`] by searching a [`CostModel`]; [`control_loop`]
//! executes one action of each decision and decides again, [`SubGoal`]s are what it works through,
//! [`WorkspaceBounds`] where the hand may go.
//!
//! ```
//! use foresight_planner::{
//!     solve, ActionSequences, CemConfig, Constraints, Energy, EnergyError, SearchMethod, SeededNoise,
//! };
//!
//! /// How far the first action is from 5 cm along x.
//! struct Along;
//!
//! impl Energy for Along {
//!     fn energies(&self, candidates: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
//!         Ok((0..candidates.samples())
//!             .map(|s| (candidates.action(s, 0)[0] - 0.05).abs())
//!             .collect())
//!     }
//! }
//!
//! let mut search = CemConfig::fast().begin(&Constraints::default());
//! let plan = solve(&mut *search, &Along, &mut SeededNoise::new(1, 0))?;
//! assert!((plan.actions[0].translation_m[0] - 0.05).abs() < 0.01);
//! # Ok::<(), foresight_planner::PlanError>(())
//! ```

mod baseline;
mod bounds;
mod cem;
mod config;
pub mod control_loop;
mod controller;
mod energy;
pub mod euler;
mod gaussian;
pub mod git_lfs;
mod halving;
mod landscape;
mod macro_search;
mod mpc;
mod mppi;
mod noise;
mod objective;
mod pose;
pub mod pose_units;
mod presets;
mod refine;
mod schedule;
mod search;
mod space;

pub use baseline::{RandomActions, StandStill};
pub use bounds::{RelativeBounds, WorkspaceBounds};
pub use cem::{Cem, CemConfig};
pub use config::{
    Baseline, ObjectiveSteps, PlannerConfig, RefitMethod, MAX_RESIDUAL_POWER, OLD_KEYS,
};
pub use controller::{Controller, Decision, Pursuit};
pub use energy::{ActionSequences, Energy, EnergyError, Gradients};
pub use gaussian::{Momentum, WarmStart};
pub use halving::SuccessiveHalving;
pub use landscape::{grid_point, plane_through, Landscape};
pub use macro_search::{FirstLevel, LevelTwoSearch, MacroRange, MacroSearch, WaypointSource};
pub use mpc::{CostModel, Mpc};
pub use mppi::MppiConfig;
pub use noise::{Noise, SeededNoise};
pub use objective::Objective;
pub use pose::{actions_between, Action, Pose};
pub use presets::PRESETS;
pub use refine::GradientRefinement;
pub use schedule::{GripperRule, SubGoal};
pub use search::{
    lowest, sequence, solve, ActionArrays, Candidates, Evaluation, Iteration, Plan, PlanError,
    Request, Search, SearchMethod,
};
pub use space::{Component, Constraints, Dimension, SearchSpace};
