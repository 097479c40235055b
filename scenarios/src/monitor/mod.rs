//! The monitor: notices that the world did something else than an action should have done.
//!
//! After every action the reached latent is held against the predicted one, token by token
//! ([`TokenScale`]): the error is whitened by what successful runs show, its logarithm explained by
//! how much this action was expected to change this token, and the rest standardised by sub-goal
//! and token. The fingers are held against where successful runs had them ([`ScalarScale`]). Each of
//! these channels is taken over one action and over two; the largest, as a share of what clean
//! episodes reach, is the [`score`](Fitted::score), and its threshold a split conformal one: of n
//! successful episodes that fitted nothing, at most the asked share goes above it.

mod fit;
mod fitted;
mod scales;
mod transition;
mod watching;
mod whitening;

pub use crate::alarm::{Alarm, MonitorConfig, OnAlarm, SurpriseMap};
pub use fit::{conformal_threshold, fit, FitHeader};
pub use fitted::{weights_sha256, Fitted, StepScore};
pub use scales::{ScalarScale, TokenScale};
pub(crate) use transition::expect;
pub use transition::{expected_action, Expectation, Transition};
pub use watching::{goal_file, own_file, GoalCheck, Monitor, Watched};
pub use whitening::Whitening;
