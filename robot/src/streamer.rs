//! One goal pose becomes a stream of small targets: the pure core shared by both arms.
//!
//! A node accepts a target only near the previous one and near the measured arm. The setpoint
//! therefore travels along a straight line to the goal under a speed and an acceleration limit
//! (trapezoid), waits whenever it would run further ahead of the arm than the tracking-error bound allows, and
//! is pulled back when something holds the arm. At the goal it keeps repeating the goal: the
//! hold target.

use nalgebra::Isometry3;

use crate::envelope::EnvelopeConfig;
use crate::se3::{self, angle_rad, distance_m};

/// Targets per second.
pub const STREAM_HZ: f64 = 50.0;
/// How far a target may lead the measured arm, m. The guard's limit is 0.05; the rest is for
/// the age of the measurement (0.2 m/s for 40 ms is 8 mm).
pub const TRACKING_ERROR_M: f64 = 0.035;
/// The same for the orientation, rad; the guard's limit is 0.26.
pub const TRACKING_ERROR_RAD: f64 = 0.18;
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
}

impl From<&EnvelopeConfig> for Budget {
    fn from(config: &EnvelopeConfig) -> Self {
        Budget {
            speed_m_s: config.speed_m_s,
            acceleration_m_s2: config.acceleration_m_s2,
            rotation_speed_rad_s: config.rotation_speed_rad_s,
            rotation_acceleration_rad_s2: config.rotation_acceleration_rad_s2,
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

/// A straight way from one placement to another, travelled once.
#[derive(Debug, Clone, Copy)]
struct Path {
    from: Isometry3<f64>,
    to: Isometry3<f64>,
    /// Fraction travelled, 0..=1.
    progress: f64,
    /// Fraction per second.
    rate: f64,
}

/// The moving setpoint.
#[derive(Debug, Clone)]
pub struct Streamer {
    budget: Budget,
    path: Path,
    /// The goal that waits until the setpoint has braked on the old path.
    next_goal: Option<Isometry3<f64>>,
    setpoint: Isometry3<f64>,
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
            setpoint: start,
            last_s: None,
            waiting_s: 0.0,
        }
    }

    /// Sends the setpoint to `goal`. A moving setpoint first brakes on its old path.
    pub fn set_goal(&mut self, goal: Isometry3<f64>) {
        self.next_goal = Some(goal);
        self.waiting_s = 0.0;
    }

    /// Puts the setpoint, at rest, where the arm is: before a session starts.
    pub fn reset(&mut self, measured: Isometry3<f64>) {
        *self = Streamer::new(self.budget, measured);
    }

    /// The placement the setpoint stands at or travels to.
    pub fn goal(&self) -> Isometry3<f64> {
        self.next_goal.unwrap_or(self.path.to)
    }

    /// Whether the setpoint stands at the goal.
    pub fn arrived(&self) -> bool {
        self.next_goal.is_none() && self.path.progress >= 1.0
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
        let previous = self.setpoint;
        if within_tracking_error(&self.setpoint, measured) {
            self.advance(elapsed_s, measured);
        } else {
            self.pull_back(measured);
        }
        // A tenth of a slow tick: an arm that creeps along is not blocked.
        let still = distance_m(&previous, &self.setpoint) < 0.1 * TRACKING_ERROR_M * elapsed_s
            && angle_rad(&previous, &self.setpoint) < 0.1 * TRACKING_ERROR_RAD * elapsed_s;
        self.waiting_s = if still && !self.arrived() {
            self.waiting_s + elapsed_s
        } else {
            0.0
        };
        let anchor = distance_m(&previous, &self.setpoint) > ANCHOR_STEP_M
            || angle_rad(&previous, &self.setpoint) > ANCHOR_STEP_RAD;
        Setpoint {
            placement: self.setpoint,
            anchor,
            arrived: self.arrived(),
            blocked: self.blocked(),
        }
    }

    /// One tick along the path, not beyond the tracking-error bound.
    fn advance(&mut self, elapsed_s: f64, measured: &Isometry3<f64>) {
        if self.path.rate <= 0.0 || self.path.progress >= 1.0 {
            if let Some(goal) = self.next_goal.take() {
                self.path = Path::new(self.setpoint, goal);
            }
        }
        let (top, acceleration) = self.path.limits(&self.budget);
        let left = 1.0 - self.path.progress;
        let wanted = if self.next_goal.is_some() {
            self.path.rate - acceleration * elapsed_s
        } else {
            (self.path.rate + acceleration * elapsed_s)
                .min(top)
                .min(braking_rate(left, acceleration, elapsed_s))
        };
        self.path.rate = wanted.max(0.0);
        let mut step = (self.path.rate * elapsed_s).min(left);
        // The last hundredth of a millimetre would take for ever at the braking curve's end.
        if self.next_goal.is_none() && self.path.remaining_is_negligible() {
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
        self.next_goal = None;
    }
}

impl Path {
    fn new(from: Isometry3<f64>, to: Isometry3<f64>) -> Self {
        let progress = if distance_m(&from, &to) < 1e-9 && angle_rad(&from, &to) < 1e-9 {
            1.0
        } else {
            0.0
        };
        Path {
            from,
            to,
            progress,
            rate: 0.0,
        }
    }

    fn still(at: Isometry3<f64>) -> Self {
        Path::new(at, at)
    }

    fn at(&self, progress: f64) -> Isometry3<f64> {
        if progress >= 1.0 {
            return self.to;
        }
        let (a, b) = (self.from.translation.vector, self.to.translation.vector);
        let rotation = self
            .from
            .rotation
            .try_slerp(&self.to.rotation, progress, 1e-9)
            .unwrap_or(self.to.rotation);
        Isometry3::from_parts(a.lerp(&b, progress).into(), rotation)
    }

    /// Top rate, 1/s, and acceleration, 1/s², of the progress: the slower of translation and
    /// rotation.
    fn limits(&self, budget: &Budget) -> (f64, f64) {
        let length = distance_m(&self.from, &self.to).max(1e-6);
        let angle = angle_rad(&self.from, &self.to).max(1e-6);
        (
            (budget.speed_m_s / length).min(budget.rotation_speed_rad_s / angle),
            (budget.acceleration_m_s2 / length).min(budget.rotation_acceleration_rad_s2 / angle),
        )
    }

    fn remaining_is_negligible(&self) -> bool {
        let left = 1.0 - self.progress;
        left * distance_m(&self.from, &self.to) < 1e-4
            && left * angle_rad(&self.from, &self.to) < 1e-3
    }
}

/// The highest rate from which ticks of `elapsed_s`, each slower by `acceleration * elapsed_s`,
/// still come to rest within `left`: `n` such ticks cover `acceleration · elapsed² · n(n+1)/2`.
fn braking_rate(left: f64, acceleration: f64, elapsed_s: f64) -> f64 {
    let tick = acceleration * elapsed_s.max(1e-3);
    let ticks = (0.25 + 2.0 * left / (tick * elapsed_s.max(1e-3))).sqrt() - 0.5;
    tick * ticks
}

/// Whether a target at `place` would be within the tracking-error bound of the measured arm.
fn within_tracking_error(place: &Isometry3<f64>, measured: &Isometry3<f64>) -> bool {
    distance_m(place, measured) <= TRACKING_ERROR_M
        && angle_rad(place, measured) <= TRACKING_ERROR_RAD
}
