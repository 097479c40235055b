//! Sub-goals one after the other, each with its step budget.

use serde::{Deserialize, Serialize};

use crate::space::{Component, Constraints};

/// What the gripper may do while a sub-goal is pursued.
///
/// A goal image with a closed gripper makes closing early pay, long before the fingers are
/// around the object; these rules say when closing makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GripperRule {
    /// The search decides.
    #[default]
    Free,
    /// It does not move.
    Hold,
    /// It does not move before the last step.
    HoldUntilLast,
    /// It does not move during the first so many steps.
    HoldFirst(u32),
    /// It is opened.
    Open,
    /// It is closed.
    Close,
    /// It is opened in the last step and does not move before.
    OpenLast,
    /// It is closed in the last step and does not move before.
    CloseLast,
}

impl GripperRule {
    /// The constraints of step `step` (from 0) of `steps`.
    pub fn constraints(self, step: u32, steps: u32) -> Constraints {
        let hold = Constraints::with_gripper(0.0);
        match self {
            GripperRule::Hold => hold,
            GripperRule::HoldUntilLast | GripperRule::OpenLast | GripperRule::CloseLast
                if step + 1 < steps =>
            {
                hold
            }
            GripperRule::HoldFirst(count) if step < count => hold,
            GripperRule::Free | GripperRule::HoldUntilLast | GripperRule::HoldFirst(_) => {
                Constraints::default()
            }
            GripperRule::Open | GripperRule::OpenLast => Constraints::with_gripper(-1.0),
            GripperRule::Close | GripperRule::CloseLast => Constraints::with_gripper(1.0),
        }
    }

    /// Whether the fingers are held still in step `step` (from 0) of `steps`.
    pub fn holds(self, step: u32, steps: u32) -> bool {
        self.constraints(step, steps).fixed[Component::Gripper.index()] == Some(0.0)
    }
}

/// One sub-goal of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubGoal {
    /// A name for people.
    pub name: String,
    /// Step budget; when it is spent the next sub-goal begins.
    pub steps: u32,
    /// Move on as soon as the observed latent's distance to the goal falls below this.
    pub advance_below: Option<f32>,
    /// What the gripper may do.
    pub gripper: GripperRule,
}
