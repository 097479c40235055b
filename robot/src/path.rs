//! The setpoint's ways: straight ones, and the turns between them.

use nalgebra::{Isometry3, Vector3};

use crate::se3::{angle_rad, distance_m};
use crate::streamer::Budget;

/// A straight way from one placement to another, travelled once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub from: Isometry3<f64>,
    pub to: Isometry3<f64>,
    /// Fraction travelled, 0..=1.
    pub progress: f64,
    /// Fraction per second.
    pub rate: f64,
}

impl Path {
    pub(crate) fn new(from: Isometry3<f64>, to: Isometry3<f64>) -> Self {
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

    pub(crate) fn still(at: Isometry3<f64>) -> Self {
        Path::new(at, at)
    }

    pub(crate) fn at(&self, progress: f64) -> Isometry3<f64> {
        if progress >= 1.0 {
            return self.to;
        }
        between(&self.from, &self.to, progress)
    }

    /// From its start to its end: translation, m, and rotation vector, rad.
    fn vector(&self) -> [Vector3<f64>; 2] {
        let turn = self.to.rotation * self.from.rotation.inverse();
        let shift = self.to.translation.vector - self.from.translation.vector;
        [shift, turn.scaled_axis()]
    }

    /// How long until a setpoint that travels as fast as it may has to brake for its end, s.
    pub(crate) fn brakes_in_s(&self, budget: &Budget) -> f64 {
        let (top, acceleration) = self.limits(budget);
        let left = (1.0 - self.progress).max(0.0);
        let peak = (acceleration * left + self.rate * self.rate / 2.0)
            .sqrt()
            .min(top);
        let speeding = (peak * peak - self.rate * self.rate).max(0.0) / (2.0 * acceleration);
        let braking = peak * peak / (2.0 * acceleration);
        let cruising = (left - speeding - braking).max(0.0);
        (peak - self.rate).max(0.0) / acceleration + cruising / peak.max(1e-9)
    }

    /// Top rate, 1/s, and acceleration, 1/s², of the progress: the slower of translation and
    /// rotation.
    pub(crate) fn limits(&self, budget: &Budget) -> (f64, f64) {
        let length = distance_m(&self.from, &self.to).max(1e-6);
        let angle = angle_rad(&self.from, &self.to).max(1e-6);
        (
            (budget.speed_m_s / length).min(budget.rotation_speed_rad_s / angle),
            (budget.acceleration_m_s2 / length).min(budget.rotation_acceleration_rad_s2 / angle),
        )
    }

    pub(crate) fn remaining_is_negligible(&self) -> bool {
        let left = 1.0 - self.progress;
        left * distance_m(&self.from, &self.to) < 1e-4
            && left * angle_rad(&self.from, &self.to) < 1e-3
    }
}

/// Largest part of a straight way that is cut off before a turn, m.
const TURN_M: f64 = 0.02;
/// The part of the acceleration limits that turns use; the rest is for the ticks where straight
/// and turn meet.
const TURN_SHARE: f64 = 0.9;
/// The part of the speed from which it could just stop at its goal that the setpoint leaves a turn with.
const OUT_SHARE: f64 = 0.8;
/// Sizes of a turn that are tried, the largest first.
const TURN_SIZES: u32 = 8;

/// The rounded way from one path to the next, so that the setpoint doesn't stop between them: a
/// parabola that leaves the first path before its end and joins the second behind its start, both
/// tangentially and at their speeds, at one constant acceleration. It stays inside the triangle of
/// these two points and the end of the first path, so inside any box that holds the three.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// The path turned to.
    pub next: Path,
    /// Where the turn begins, as progress of the first path.
    entry: f64,
    /// Where it ends, as progress of the next path.
    exit: f64,
    /// Shortest time within the acceleration and speed limits, s.
    shortest_s: f64,
    /// Fraction of the turn travelled, 0..=1; nothing before it is entered.
    progress: Option<f64>,
    /// Fraction per second.
    rate: f64,
}

impl Turn {
    /// The widest turn from `path` to `goal` that the setpoint can still slow down for; `None` when
    /// there is none, and the setpoint has to stop at the end of its path.
    pub(crate) fn between(
        path: &Path,
        goal: Isometry3<f64>,
        budget: &Budget,
        tick_s: f64,
    ) -> Option<Turn> {
        let next = Path::new(path.to, goal);
        let left = 1.0 - path.progress;
        if next.progress >= 1.0 || left <= 0.0 {
            return None;
        }
        let (top, acceleration) = path.limits(budget);
        let (next_top, next_acceleration) = next.limits(budget);
        // What is cut off each path, in seconds at its top speed.
        let most_s = (TURN_M / budget.speed_m_s)
            .min(left / top)
            .min(0.5 / next_top);
        let size = |n: u32| most_s * f64::from(n) / f64::from(TURN_SIZES);
        (1..=TURN_SIZES).rev().map(size).find_map(|cut_s| {
            let (off, on) = (cut_s * top, cut_s * next_top);
            let (shift, turn) = (path.vector(), next.vector());
            let bend = |i: usize| (turn[i] * on - shift[i] * off).norm();
            let limited = |bend: f64, limit: f64| (2.0 * bend / (TURN_SHARE * limit)).sqrt();
            // Out of the turn it must still be able to stop at the goal, or to turn again.
            let out = OUT_SHARE * braking_rate(1.0 - on, next_acceleration, tick_s);
            let shortest_s = (2.0 * cut_s)
                .max(2.0 * on / out)
                .max(limited(bend(0), budget.acceleration_m_s2))
                .max(limited(bend(1), budget.rotation_acceleration_rad_s2));
            let turn = Turn {
                next,
                entry: 1.0 - off,
                exit: on,
                shortest_s,
                progress: None,
                rate: 0.0,
            };
            let allowed = turn.approach_rate(left - off, acceleration, tick_s);
            // Entered slower than it could be, a turn takes longer: better a smaller one, or a later.
            let room = 2.0 * acceleration * (left - off).max(0.0);
            let reached = (path.rate * path.rate + room).sqrt().min(top);
            (path.rate <= allowed && reached >= 0.99 * turn.entry_rate()).then_some(turn)
        })
    }

    /// The rate of the first path at which the turn may at most be entered.
    fn entry_rate(&self) -> f64 {
        2.0 * (1.0 - self.entry) / self.shortest_s
    }

    /// The highest rate of the first path from which it can slow down within `left` to enter.
    fn approach_rate(&self, left: f64, acceleration: f64, tick_s: f64) -> f64 {
        let entry = self.entry_rate();
        // What braking from there to rest would take is added to what is left.
        let beyond = entry * (entry + acceleration * tick_s) / (2.0 * acceleration);
        braking_rate(left + beyond, acceleration, tick_s).max(if left <= 0.0 { entry } else { 0.0 })
    }

    /// The setpoint on its way through the turn.
    fn at(&self, path: &Path, progress: f64) -> Isometry3<f64> {
        let (from, via, to) = (path.at(self.entry), path.to, self.next.at(self.exit));
        let (a, b) = (between(&from, &via, progress), between(&via, &to, progress));
        between(&a, &b, progress)
    }

    /// Goes on for `elapsed_s`: the path travelled after it, the turn unless it is over, and the
    /// setpoint there.
    pub(crate) fn advance(
        mut self,
        mut path: Path,
        budget: &Budget,
        elapsed_s: f64,
    ) -> (Path, Option<Turn>, Isometry3<f64>) {
        let mut left_s = elapsed_s;
        let mut progress = match self.progress {
            Some(progress) => progress,
            None => {
                let (top, acceleration) = path.limits(budget);
                let left = (self.entry - path.progress).max(0.0);
                path.rate = (path.rate + acceleration * elapsed_s)
                    .min(top)
                    .min(self.approach_rate(left, acceleration, elapsed_s));
                if path.rate * elapsed_s < left || path.rate <= 0.0 {
                    path.progress += path.rate * elapsed_s;
                    let there = path.at(path.progress);
                    return (path, Some(self), there);
                }
                left_s -= left / path.rate;
                path.progress = self.entry;
                // Entered slower than allowed, the turn takes longer.
                self.rate = 1.0 / self.shortest_s.max(2.0 * (1.0 - self.entry) / path.rate);
                0.0
            }
        };
        progress += left_s * self.rate;
        if progress < 1.0 {
            self.progress = Some(progress);
            return (path, Some(self), self.at(&path, progress));
        }
        let mut next = self.next;
        next.rate = 2.0 * self.exit * self.rate;
        let over_s = (progress - 1.0) / self.rate;
        next.progress = (self.exit + over_s * next.rate).min(1.0);
        (next, None, next.at(next.progress))
    }

    /// The same turn, slower by this factor, for an arm that lags; never so slow that it stands.
    pub(crate) fn slower(mut self, factor: f64) -> Turn {
        self.rate = (self.rate * factor).max(0.1 / self.shortest_s);
        self
    }

    /// How long until the setpoint has to brake for the end of the next path, s.
    pub(crate) fn brakes_in_s(&self, path: &Path, budget: &Budget) -> f64 {
        let (rate, left) = match self.progress {
            Some(progress) => (self.rate, 1.0 - progress),
            None => (1.0 / self.shortest_s, 1.0),
        };
        let until_s = match self.progress {
            Some(_) => 0.0,
            None => (self.entry - path.progress).max(0.0) / path.rate.max(self.entry_rate()),
        };
        let mut next = self.next;
        (next.progress, next.rate) = (self.exit, 2.0 * self.exit * rate);
        until_s + left / rate + next.brakes_in_s(budget)
    }
}

/// The highest rate from which ticks of `elapsed_s`, each slower by `acceleration * elapsed_s`,
/// still come to rest within `left`: `n` such ticks cover `acceleration · elapsed² · n(n+1)/2`.
pub(crate) fn braking_rate(left: f64, acceleration: f64, elapsed_s: f64) -> f64 {
    let tick = acceleration * elapsed_s.max(1e-3);
    let ticks = (0.25 + 2.0 * left / (tick * elapsed_s.max(1e-3))).sqrt() - 0.5;
    tick * ticks
}

/// The placement a fraction of the way from one to the other.
fn between(from: &Isometry3<f64>, to: &Isometry3<f64>, fraction: f64) -> Isometry3<f64> {
    let (a, b) = (from.translation.vector, to.translation.vector);
    let rotation = from
        .rotation
        .try_slerp(&to.rotation, fraction, 1e-9)
        .unwrap_or(to.rotation);
    Isometry3::from_parts(a.lerp(&b, fraction).into(), rotation)
}
