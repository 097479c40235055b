//! Following poses: the actions that lead the arm from one recorded pose to the next.

use foresight_planner::{Action, Pose};
use foresight_robot::{Arm, ArmError, EnvelopeConfig, Execution};

/// An arm this near its last command stands there, m: the next action counts from the command,
/// so that small tracking errors don't add up (the envelope counts the same way).
const AT_COMMAND_M: f64 = 0.005;
/// Pieces one recorded step may be cut into.
const MOST_PIECES: u32 = 40;
/// How much of each limit one piece uses; all of it would be clamped by rounding.
const USE: f64 = 0.98;

/// Leads an arm along poses.
pub(crate) struct Follower {
    limits: EnvelopeConfig,
    last: Option<Execution>,
}

impl Follower {
    /// A follower within these limits.
    pub(crate) fn new(limits: EnvelopeConfig) -> Self {
        Follower { limits, last: None }
    }

    /// Moves the arm, measured at `measured`, to `target`: in one action, or in as many as the
    /// limits of one action ask for. Returns what became of each.
    ///
    /// # Errors
    /// [`ArmError`] when the arm can't be driven.
    pub(crate) fn lead(
        &mut self,
        arm: &mut dyn Arm,
        measured: &Pose,
        target: &Pose,
    ) -> Result<Vec<Execution>, ArmError> {
        let mut done = Vec::new();
        let mut at = *measured;
        let pieces = self.pieces(&self.from(&at).action_to(target));
        for left in (1..=pieces).rev() {
            let mut whole = self.from(&at).action_to(target);
            whole.gripper = target.gripper - at.gripper;
            let execution = arm.execute(&whole.part(1.0 / f64::from(left)))?;
            at = execution.reached_pose;
            let refused = execution.refusal.is_some();
            self.last = Some(execution.clone());
            done.push(execution);
            if refused {
                break;
            }
        }
        Ok(done)
    }

    /// Where the next action counts from.
    fn from(&self, measured: &Pose) -> Pose {
        match &self.last {
            Some(last) if last.error_m < AT_COMMAND_M => Pose {
                gripper: measured.gripper,
                ..last.commanded_pose
            },
            _ => *measured,
        }
    }

    fn pieces(&self, action: &Action) -> u32 {
        let t = action.translation_m;
        let axis = t.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let needed = (action.length_m() / self.limits.max_translation_m)
            .max(axis / self.limits.max_translation_axis_m)
            .max(action.angle_rad() / self.limits.max_rotation_rad)
            / USE;
        // Finite by construction of poses and limits; a cast saturates anyway.
        (needed.ceil() as u32).clamp(1, MOST_PIECES)
    }
}

#[cfg(test)]
#[path = "../../tests/unit/replay_follow.rs"]
mod tests;
