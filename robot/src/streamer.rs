//! One goal pose becomes a stream of small targets: the pure core shared by both arms.
//!
//! A node accepts a target only near the previous one and near the measured arm. The setpoint
//! therefore travels along a straight line to the goal under a speed and an acceleration limit
//! (trapezoid), waits whenever it would run further ahead of the arm than the tracking-error bound allows, and
//! is pulled back when something holds the arm. At the goal it keeps repeating the goal: the
//! hold target.
//!
//! In continuous motion ([`Streamer::turn_to`]) the next goal is given before the last is reached, and
//! the setpoint turns to it without a stop (`path.rs`). Its accelerations are then ramps: each target is
//! the mean of the last few setpoints, which keeps to every limit that they keep to and lies between
//! them.

use std::collections::VecDeque;

use nalgebra::{Isometry3, Unit};

use crate::envelope::EnvelopeConfig;
use crate::path::{braking_rate, Path, Turn};
use crate::se3::{self, angle_rad, distance_m};

/// Targets per second.
pub const STREAM_HZ: f64 = 50.0;
/// How far a target may lead the measured arm, m. The guard's limit is 0.05; the rest is for
/// the age of the measurement (0.2 m/s for 40 ms is 8 mm).
pub const TRACKING_ERROR_M: f64 = 0.035;
/// The same for the orientation, rad; the guard's limit is 0.26.
pub const TRACKING_ERROR_RAD: f64 = 0.18;
/// The part of the acceleration limits that continuous motion uses.
const ONWARDS_SHARE: f64 = 0.93;
/// Parts of a tick that continuous motion is computed in, so that where a straight meets a turn no
/// tick's rounding adds to the acceleration.
const SUBSTEPS: u32 = 10;
/// Longest time one target may advance over, s: a late tick never makes a long step.
pub const MAX_TICK_S: f64 = 0.04;
/// An arm that keeps the setpoint waiting at that bound for this long is blocked, s.
pub const BLOCKED_S: f64 = 0.4;
/// A step from the previous target beyond this, m, is sent as an anchored target.
const ANCHOR_STEP_M: f64 = 0.04;
/// The same for the orientation, rad.
const ANCHOR_STEP_RAD: f64 = 0.2;

/// Speed and acceleration limits of the stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Top speed, m/s.
    pub speed_m_s: f64,
    /// Acceleration, m/s².
    pub acceleration_m_s2: f64,
    /// Top rotation speed, rad/s.
    pub rotation_speed_rad_s: f64,
    /// Rotational acceleration, rad/s².
    pub rotation_acceleration_rad_s2: f64,
    /// Jerk in continuous motion, m/s³.
    pub jerk_m_s3: f64,
}

impl From<&EnvelopeConfig> for Budget {
    fn from(config: &EnvelopeConfig) -> Self {
        Budget {
            speed_m_s: config.speed_m_s,
            acceleration_m_s2: config.acceleration_m_s2,
            rotation_speed_rad_s: config.rotation_speed_rad_s,
            rotation_acceleration_rad_s2: config.rotation_acceleration_rad_s2,
            jerk_m_s3: config.jerk_m_s3,
        }
    }
}

/// One target to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setpoint {
    /// Where to.
    pub placement: Isometry3<f64>,
    /// Whether its step must be measured from the arm instead of from the previous target:
    /// something pushed the arm away.
    pub anchor: bool,
    /// Whether the setpoint stands at the goal.
    pub arrived: bool,
    /// Whether the setpoint can't get on because the arm doesn't follow: something blocks it.
    pub blocked: bool,
}

impl Setpoint {
    /// The payload of a Cartesian target message.
    pub fn data(&self) -> [f64; 7] {
        se3::to_wire(&self.placement)
    }
}

/// The moving setpoint.
#[derive(Debug, Clone)]
pub struct Streamer {
    budget: Budget,
    path: Path,
    /// The goal that waits until the setpoint has braked on the old path, or can turn to it.
    next_goal: Option<Isometry3<f64>>,
    /// Whether the old path is travelled to its end first.
    onwards: bool,
    turn: Option<Turn>,
    setpoint: Isometry3<f64>,
    /// The last setpoints, which a target is the mean of: one, or several in continuous motion.
    last: VecDeque<Isometry3<f64>>,
    target: Isometry3<f64>,
    last_s: Option<f64>,
    /// How long the setpoint has hardly moved on its way, s.
    waiting_s: f64,
}

impl Streamer {
    /// A setpoint at rest at `start`.
    pub fn new(budget: Budget, start: Isometry3<f64>) -> Self {
        Streamer {
            budget,
            path: Path::still(start),
            next_goal: None,
            onwards: false,
            turn: None,
            setpoint: start,
            last: VecDeque::from([start]),
            target: start,
            last_s: None,
            waiting_s: 0.0,
        }
    }

    /// Sends the setpoint to `goal`. A moving setpoint first brakes on its old path.
    pub fn set_goal(&mut self, goal: Isometry3<f64>) {
        self.abandon_turn();
        (self.next_goal, self.onwards) = (Some(goal), false);
        self.waiting_s = 0.0;
    }

    /// Sends the setpoint to `goal` by way of the goal it travels to, without a stop there where the
    /// limits and the time left allow it. From now on motion is continuous.
    pub fn turn_to(&mut self, goal: Isometry3<f64>) {
        let tick_s = 1.0 / STREAM_HZ;
        let jerk = self.budget.jerk_m_s3 * tick_s;
        let smoothed = (2.0 * self.budget.acceleration_m_s2 / jerk).ceil().max(1.0);
        while self.last.len() < smoothed as usize {
            self.last.push_back(self.setpoint);
        }
        (self.next_goal, self.onwards) = (Some(goal), true);
        self.waiting_s = 0.0;
    }

    /// How long until the setpoint has to brake for its goal, s: a goal that is to be turned to has
    /// to be known by then.
    pub fn brakes_in_s(&self) -> f64 {
        let now_s = match &self.turn {
            Some(turn) => turn.brakes_in_s(&self.path, &self.budget()),
            None => self.path.brakes_in_s(&self.budget()),
        };
        let end = self.turn.map_or(self.path.to, |turn| turn.next.to);
        let then = self.next_goal.map(|goal| Path::new(end, goal));
        now_s + then.map_or(0.0, |path| path.brakes_in_s(&self.budget()))
    }

    /// The limits in use: a little less acceleration in continuous motion, for the ticks where
    /// straights and turns meet.
    fn budget(&self) -> Budget {
        let share = if self.last.len() > 1 {
            ONWARDS_SHARE
        } else {
            1.0
        };
        Budget {
            acceleration_m_s2: share * self.budget.acceleration_m_s2,
            rotation_acceleration_rad_s2: share * self.budget.rotation_acceleration_rad_s2,
            ..self.budget
        }
    }

    /// A turn that won't be finished: its path is gone on with from where the setpoint is.
    fn abandon_turn(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.path = Path::new(self.setpoint, turn.next.to);
        }
    }

    /// Puts the setpoint, at rest, where the arm is: before a session starts.
    pub fn reset(&mut self, measured: Isometry3<f64>) {
        *self = Streamer::new(self.budget, measured);
    }

    /// The placement the setpoint stands at or travels to.
    pub fn goal(&self) -> Isometry3<f64> {
        let end = self.turn.map_or(self.path.to, |turn| turn.next.to);
        self.next_goal.unwrap_or(end)
    }

    /// Whether the setpoint stands at the goal.
    pub fn arrived(&self) -> bool {
        let travelled = self.next_goal.is_none() && self.turn.is_none();
        travelled && self.path.progress >= 1.0 && self.target == self.path.to
    }

    /// Whether the setpoint can't get on because the arm doesn't follow.
    pub fn blocked(&self) -> bool {
        self.waiting_s > BLOCKED_S
    }

    /// The next target at `now_s` of a monotonic clock, with the arm measured at `measured`.
    pub fn next(&mut self, now_s: f64, measured: &Isometry3<f64>) -> Setpoint {
        let elapsed_s = self.last_s.map_or(1.0 / STREAM_HZ, |last| {
            (now_s - last).clamp(0.0, MAX_TICK_S)
        });
        self.last_s = Some(now_s);
        let (previous, sent) = (self.setpoint, self.target);
        if within_tracking_error(&self.setpoint, measured) {
            let parts = if self.last.len() > 1 { SUBSTEPS } else { 1 };
            for _ in 0..parts {
                self.advance(elapsed_s / f64::from(parts), measured);
            }
        } else {
            self.pull_back(measured);
        }
        self.smooth();
        // A tenth of a slow tick: an arm that creeps along is not blocked.
        let still = distance_m(&previous, &self.setpoint) < 0.1 * TRACKING_ERROR_M * elapsed_s
            && angle_rad(&previous, &self.setpoint) < 0.1 * TRACKING_ERROR_RAD * elapsed_s;
        self.waiting_s = if still && !self.arrived() {
            self.waiting_s + elapsed_s
        } else {
            0.0
        };
        let anchor = distance_m(&sent, &self.target) > ANCHOR_STEP_M
            || angle_rad(&sent, &self.target) > ANCHOR_STEP_RAD;
        Setpoint {
            placement: self.target,
            anchor,
            arrived: self.arrived(),
            blocked: self.blocked(),
        }
    }

    /// One tick along the path, not beyond the tracking-error bound.
    fn advance(&mut self, elapsed_s: f64, measured: &Isometry3<f64>) {
        if self.onwards && self.turn.is_none() {
            let (path, budget) = (&self.path, &self.budget());
            let turn = |goal| Turn::between(path, goal, budget, elapsed_s);
            self.turn = self.next_goal.and_then(turn);
        }
        if let Some(turn) = self.turn {
            if turn.next.to == self.goal() {
                self.next_goal = None;
            }
            return self.advance_turn(turn, elapsed_s, measured);
        }
        let over = self.path.progress >= 1.0;
        if over || (self.path.rate <= 0.0 && !self.onwards) {
            if let Some(goal) = self.next_goal.take() {
                self.path = Path::new(self.setpoint, goal);
            }
        }
        let (top, acceleration) = self.path.limits(&self.budget());
        let left = 1.0 - self.path.progress;
        let gives_way = self.next_goal.is_some() && !self.onwards;
        let wanted = if gives_way {
            self.path.rate - acceleration * elapsed_s
        } else {
            (self.path.rate + acceleration * elapsed_s)
                .min(top)
                .min(braking_rate(left, acceleration, elapsed_s))
        };
        self.path.rate = wanted.max(0.0);
        let mut step = (self.path.rate * elapsed_s).min(left);
        // The last hundredth of a millimetre would take for ever at the braking curve's end.
        if !gives_way && self.path.remaining_is_negligible() {
            step = left;
        }
        // Wait for the arm rather than run ahead of it: the longest part of the step that stays
        // within the bound.
        for part in [1.0, 0.5, 0.25, 0.0] {
            let progress = self.path.progress + part * step;
            let there = self.path.at(progress);
            if part == 0.0 || within_tracking_error(&there, measured) {
                if part < 1.0 && elapsed_s > 0.0 {
                    self.path.rate = part * step / elapsed_s;
                }
                self.path.progress = progress;
                self.setpoint = there;
                break;
            }
        }
    }

    /// One tick through a turn or up to it, not beyond the tracking-error bound.
    fn advance_turn(&mut self, turn: Turn, elapsed_s: f64, measured: &Isometry3<f64>) {
        for part in [1.0, 0.5, 0.25, 0.0] {
            let (mut path, turn, there) = turn.advance(self.path, &self.budget(), part * elapsed_s);
            if part == 0.0 || within_tracking_error(&there, measured) {
                path.rate *= part;
                let slower = |turn: Turn| if part < 1.0 { turn.slower(part) } else { turn };
                (self.path, self.turn, self.setpoint) = (path, turn.map(slower), there);
                break;
            }
        }
    }

    /// The target: the mean of the last setpoints.
    fn smooth(&mut self) {
        self.last.rotate_left(1);
        if let Some(newest) = self.last.back_mut() {
            *newest = self.setpoint;
        }
        if self.last.iter().all(|s| *s == self.setpoint) {
            self.target = self.setpoint;
            return;
        }
        let share = 1.0 / self.last.len() as f64;
        let position = self.last.iter().map(|s| s.translation.vector * share).sum();
        let towards = self.setpoint.rotation;
        let sum = self.last.iter().fold(towards.into_inner() * 0.0, |sum, s| {
            let q = s.rotation.into_inner();
            // The two quaternions of one rotation must not cancel each other out.
            sum + if q.dot(towards.as_ref()) < 0.0 { -q } else { q }
        });
        self.target = Isometry3::from_parts(
            nalgebra::Translation3 { vector: position },
            Unit::new_normalize(sum),
        );
    }

    /// The arm is not where it was led: the setpoint returns to the bound, and the
    /// way to the goal starts anew from there.
    fn pull_back(&mut self, measured: &Isometry3<f64>) {
        let goal = self.goal();
        let lead = self.setpoint.translation.vector - measured.translation.vector;
        let position = if lead.norm() > TRACKING_ERROR_M {
            measured.translation.vector + lead * (0.95 * TRACKING_ERROR_M / lead.norm())
        } else {
            self.setpoint.translation.vector
        };
        let angle = angle_rad(measured, &self.setpoint);
        let rotation = if angle > TRACKING_ERROR_RAD {
            measured
                .rotation
                .try_slerp(
                    &self.setpoint.rotation,
                    0.95 * TRACKING_ERROR_RAD / angle,
                    1e-9,
                )
                .unwrap_or(measured.rotation)
        } else {
            self.setpoint.rotation
        };
        self.setpoint = Isometry3::from_parts(position.into(), rotation);
        self.path = Path::new(self.setpoint, goal);
        (self.next_goal, self.turn) = (None, None);
        self.last.iter_mut().for_each(|s| *s = self.setpoint);
    }
}

/// Whether a target at `place` would be within the tracking-error bound of the measured arm.
fn within_tracking_error(place: &Isometry3<f64>, measured: &Isometry3<f64>) -> bool {
    distance_m(place, measured) <= TRACKING_ERROR_M
        && angle_rad(place, measured) <= TRACKING_ERROR_RAD
}
