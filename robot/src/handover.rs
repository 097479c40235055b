//! Deciding in motion: when to look, how long a decision may take, and whether it came in time.
//!
//! The look for the next decision is made so long before the setpoint has to brake that the decision
//! can still take over without a stop; how long that is was measured on the last decisions. One that
//! comes later than that allowed is dropped: the arm comes to rest at the end of the action under way.

use std::collections::VecDeque;

use foresight_planner::{Action, Pose};
use nalgebra::Isometry3;

/// Decisions whose time is remembered; the longest of them is expected of the next one.
const REMEMBERED: usize = 8;
/// How much earlier than it has to brake the setpoint is told to turn, s: turning needs room.
const TURN_S: f64 = 0.06;
/// How much later than expected a decision may come, s.
const SLACK_S: f64 = 0.1;

/// What was measured of a decision that took over in motion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Handover {
    /// From the frame's capture to the first target of the new action: camera, encoder, search, s.
    pub latency_s: f64,
    /// The part of it after the look: encoder, search, s.
    pub decided_s: f64,
    /// How long that might have taken; a decision that takes longer is dropped, s.
    pub allowed_s: f64,
}

/// A look made in motion, in seconds of one clock.
#[derive(Debug, Clone, Copy)]
struct MovingLook {
    looked_s: f64,
    captured_s: f64,
    allowed_s: f64,
}

/// Paces looks and decisions.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    /// How long the last decisions took, s.
    decided_s: VecDeque<f64>,
    /// Where the action under way leads.
    goal: Option<Isometry3<f64>>,
    look: Option<MovingLook>,
}

impl Pacer {
    /// That expects the first decision to take `decided_s`.
    pub(crate) fn new(decided_s: f64) -> Self {
        Pacer {
            decided_s: VecDeque::from([decided_s]),
            goal: None,
            look: None,
        }
    }

    /// How long the next decision is expected to take, s.
    pub(crate) fn expected_s(&self) -> f64 {
        self.decided_s.iter().fold(0.0, |most, s| s.max(most))
    }

    /// Learns how long a decision took.
    pub(crate) fn took(&mut self, decided_s: f64) {
        self.decided_s.push_back(decided_s);
        if self.decided_s.len() > REMEMBERED {
            self.decided_s.pop_front();
        }
    }

    /// Whether to look now for what follows a setpoint that has to brake in `brakes_in_s`.
    pub(crate) fn look_due(&self, brakes_in_s: f64) -> bool {
        brakes_in_s <= self.expected_s() + TURN_S
    }

    /// An action to `goal` is under way and stays so while the next one is decided on.
    pub(crate) fn under_way_to(&mut self, goal: Isometry3<f64>) {
        (self.goal, self.look) = (Some(goal), None);
    }

    /// Nothing is under way any more.
    pub(crate) fn rest(&mut self) {
        (self.goal, self.look) = (None, None);
    }

    /// Whether an action is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.goal.is_some()
    }

    /// What the hand will still do after it was measured at `pose`. The fingers are left alone.
    pub(crate) fn committed(&self, pose: &Pose) -> Option<Action> {
        let goal = Pose::from_isometry(&self.goal?, pose.gripper);
        Some(pose.action_to(&goal))
    }

    /// A frame of `captured_s` is looked at now, and the setpoint has to brake in `brakes_in_s`.
    pub(crate) fn looked(&mut self, now_s: f64, captured_s: f64, brakes_in_s: f64) {
        self.look = Some(MovingLook {
            looked_s: now_s,
            captured_s,
            allowed_s: self.expected_s().max(brakes_in_s) + SLACK_S,
        });
    }

    /// When the last look in motion was made, s.
    pub(crate) fn looked_s(&self) -> Option<f64> {
        self.look.map(|look| look.looked_s)
    }

    /// The decision on the last look in motion is there; `None` when it came too late.
    pub(crate) fn decided(&mut self, now_s: f64) -> Option<Handover> {
        let look = self.look.take()?;
        let decided_s = now_s - look.looked_s;
        self.took(decided_s);
        (decided_s <= look.allowed_s).then_some(Handover {
            latency_s: now_s - look.captured_s,
            decided_s,
            allowed_s: look.allowed_s,
        })
    }
}

#[cfg(test)]
#[path = "../tests/unit/handover.rs"]
mod tests;
