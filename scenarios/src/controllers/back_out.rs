//! An open hand that something stops backs out the way it came, instead of pressing on.
//!
//! A single picture hardly tells fingers that stand on an object from fingers around it, and what
//! proposes actions from pictures presses on. That the hand did not move where it was sent tells it.

use foresight_planner::{Action, Pose};

/// An action shorter than this says nothing when the hand stays, m.
const LEAST_ASKED_M: f64 = 0.01;
/// The share of an action that a hand moves at most where something stops it.
const STOPPED_SHARE: f64 = 0.3;
/// How far the hand backs out at least, m.
const BACK_OUT_M: f64 = 0.04;
/// A hand more closed than this may hold something, which the table stops as it should.
const OPEN: f64 = 0.1;

/// Where the hand was since the pursuit of a goal began, and how far it was last sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail {
    been: Vec<Pose>,
    asked_m: Option<f64>,
}

impl Trail {
    /// The action that backs out where the hand, at `pose` now, was stopped on its way.
    pub(super) fn back_out(&mut self, pose: &Pose) -> Option<Action> {
        let asked_m = self.asked_m.take().filter(|asked| *asked >= LEAST_ASKED_M);
        let moved_m = self.been.last().map(|last| last.action_to(pose).length_m());
        let stopped = asked_m
            .zip(moved_m)
            .is_some_and(|(asked, moved)| moved < STOPPED_SHARE * asked);
        self.been.push(*pose);
        if !stopped || pose.gripper > OPEN {
            return None;
        }
        let mut ways = self.been.iter().rev().map(|from| pose.action_to(from));
        let way = ways.find(|way| way.length_m() >= BACK_OUT_M)?;
        Some(Action {
            translation_m: way.translation_m,
            ..Action::default()
        })
    }

    /// Remembers what the hand is told to do now.
    pub(super) fn sent(&mut self, action: &Action) {
        self.asked_m = Some(action.length_m());
    }
}

#[cfg(test)]
#[path = "../../tests/unit/controllers_back_out.rs"]
mod tests;
