//! One executed action as a monitor sees it.

use foresight_planner::{Action, Pose};
use foresight_predictor::{Latent, WorldModel};
use serde::{Deserialize, Serialize};

use crate::action_map::ActionMap;
use crate::controllers::EncodedObservation;
use crate::error::RunResult;

/// What reached latents are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// What the predictor expects of the action.
    #[default]
    Action,
    /// What the same predictor expects of standing still: a baseline.
    NoAction,
    /// Nothing but the distance to the goal: a baseline.
    GoalDistance,
    /// The last sub-goal's latent, at an episode's end: what `latent` success is judged by.
    Goal,
}

/// What was seen, expected and reached around one action.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Index of the sub-goal pursued.
    pub subgoal: usize,
    /// Steps executed before this one towards it.
    pub subgoal_step: u32,
    /// What the arm was sent, in the axes plans are made in.
    pub action: Action,
    /// The gripper's closedness before and after.
    pub closedness: [f64; 2],
    /// The latent `[N, D]` before the action.
    pub before: Latent,
    /// The latent expected after it, `[N, D]`.
    pub expected: Latent,
    /// The latent reached, `[N, D]`.
    pub reached: Latent,
    /// Distance to the sub-goal's latent before and after.
    pub goal_distance: [f32; 2],
}

/// The action whose outcome is to be expected when `planned` was decided on and `sent` got through
/// the envelope.
pub fn expected_action(planned: &Action, sent: &Action, map: &ActionMap) -> Action {
    if map.apply(planned) == *sent {
        *planned
    } else {
        map.undo(sent)
    }
}

/// The latent that `expectation` has of `action` where `before` was seen from `pose`.
///
/// # Errors
/// [`crate::RunError::Imagination`] when the model fails.
pub(crate) fn expect(
    model: &WorldModel,
    expectation: Expectation,
    before: &Latent,
    pose: &Pose,
    extrinsics: Option<[f32; 6]>,
    action: &Action,
) -> RunResult<Latent> {
    let action = match expectation {
        Expectation::Action => *action,
        Expectation::NoAction => Action::default(),
        // Its evidence is two distances; nothing is imagined.
        Expectation::GoalDistance | Expectation::Goal => return Ok(before.clone()),
    };
    let seen = EncodedObservation {
        latent: before.clone(),
        pose: *pose,
    };
    Ok(seen.foresee(model, extrinsics, &action)?.latent)
}

impl Transition {
    /// The end of an episode held against the latent of its goal, as [`Expectation::Goal`] does.
    pub fn at_end(goal: &Latent, last: &Latent, closedness: f64) -> Self {
        let distance = last.distance(goal);
        Transition {
            subgoal: 0,
            subgoal_step: 0,
            action: Action::default(),
            closedness: [0.0, closedness],
            before: goal.clone(),
            expected: goal.clone(),
            reached: last.clone(),
            goal_distance: [distance; 2],
        }
    }

    /// Fills in what `expectation` has of the action.
    ///
    /// # Errors
    /// [`crate::RunError::Imagination`] when the model fails.
    pub fn expecting(
        mut self,
        model: &WorldModel,
        expectation: Expectation,
        pose: &Pose,
        extrinsics: Option<[f32; 6]>,
    ) -> RunResult<Self> {
        let (before, action) = (&self.before, &self.action);
        self.expected = expect(model, expectation, before, pose, extrinsics, action)?;
        Ok(self)
    }
}
