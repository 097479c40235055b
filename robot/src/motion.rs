//! The wait for the end of a motion, on any clock: both arms follow a motion with this and only
//! do what it says.
//!
//! A motion ends when the arm has settled. On the way it may turn out to be blocked: then the
//! setpoint is led back to where the arm stands, so that it doesn't go on pressing. An arm that
//! can't come to rest presses on something that gives, and backs off upwards a few times before
//! it is given up on.

use nalgebra::Isometry3;

use crate::se3::distance_m;
use crate::settle::{retreat, Settle, SettleConfig, SettleSample, MAX_RETREATS};

/// How long one motion may take before the wait for it ends, s.
const MOTION_TIMEOUT_S: f64 = 12.0;

/// What is seen of the arm at one moment.
pub(crate) struct MotionSample<'a> {
    /// The arm's clock, s.
    pub time_s: f64,
    /// Where it is measured.
    pub measured: &'a Isometry3<f64>,
    /// Its fastest joint, rad/s, absolute.
    pub joint_speed_rad_s: f64,
    /// Whether the setpoint stands at its goal.
    pub arrived: bool,
    /// Whether the setpoint can't get on because the arm doesn't follow.
    pub blocked: bool,
    /// Whether the gripper has done what it was told.
    pub gripper_done: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MotionStep {
    /// Look again.
    Wait,
    /// Lead the setpoint there instead, then look again.
    Lead(Isometry3<f64>),
    /// The motion is over.
    Over {
        /// Whether the arm came to rest.
        settled: bool,
        /// Whether something was in the way.
        blocked: bool,
    },
}

/// One motion being waited for.
pub(crate) struct Motion {
    settle: Settle,
    config: SettleConfig,
    /// How long the arm may stand unsettled at its goal, s.
    patience_s: f64,
    goal: Isometry3<f64>,
    started_s: Option<f64>,
    arrived_s: Option<f64>,
    blocked: bool,
    retreats: u32,
}

impl Motion {
    /// A motion to `goal`; the gripper may take up to `gripper_timeout_s` of it.
    pub(crate) fn new(goal: Isometry3<f64>, config: SettleConfig, gripper_timeout_s: f64) -> Self {
        Motion {
            settle: Settle::new(config),
            config,
            patience_s: config.timeout_s + gripper_timeout_s,
            goal,
            started_s: None,
            arrived_s: None,
            blocked: false,
            retreats: 0,
        }
    }

    /// Takes one look.
    pub(crate) fn next(&mut self, look: &MotionSample<'_>) -> MotionStep {
        let started_s = *self.started_s.get_or_insert(look.time_s);
        if look.blocked {
            self.goal = *look.measured;
            self.blocked = true;
        }
        let arrived = look.arrived && !look.blocked;
        if arrived {
            self.arrived_s.get_or_insert(look.time_s);
        }
        let p = look.measured.translation.vector;
        let sample = SettleSample {
            time_s: look.time_s,
            position_m: [p.x, p.y, p.z],
            joint_speed_rad_s: look.joint_speed_rad_s,
            distance_m: distance_m(look.measured, &self.goal),
            commanded: arrived && look.gripper_done,
        };
        if self.settle.update(&sample) {
            return MotionStep::Over {
                settled: true,
                blocked: self.blocked,
            };
        }
        let quiet_s = self.arrived_s.map_or(0.0, |at| look.time_s - at);
        if quiet_s > self.patience_s || look.time_s - started_s > MOTION_TIMEOUT_S {
            if self.retreats == MAX_RETREATS {
                return MotionStep::Over {
                    settled: false,
                    blocked: self.blocked,
                };
            }
            self.retreats += 1;
            self.blocked = true;
            (self.started_s, self.arrived_s) = (Some(look.time_s), None);
            self.settle = Settle::new(self.config);
            self.goal = retreat(look.measured);
            return MotionStep::Lead(self.goal);
        }
        if look.blocked {
            return MotionStep::Lead(self.goal);
        }
        MotionStep::Wait
    }
}

#[cfg(test)]
#[path = "../tests/unit/motion.rs"]
mod tests;
