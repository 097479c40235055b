//! Where a recording leaves the workspace.

use foresight_planner::Pose;
use foresight_robot::EnvelopeConfig;
use serde::Serialize;

/// An interval of poses outside the workspace box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutOfBoundsInterval {
    /// Its first pose.
    pub from: usize,
    /// Its last pose.
    pub to: usize,
    /// The pose farthest out.
    pub worst: usize,
    /// On which axis that one is out.
    pub axis: char,
    /// Its coordinate there, m.
    pub at_m: f64,
    /// The limit there, m.
    pub limit_m: f64,
}

impl OutOfBoundsInterval {
    /// How far beyond the limit, m.
    pub fn beyond_m(&self) -> f64 {
        (self.at_m - self.limit_m).abs()
    }
}

/// Every interval outside the limits, in order.
pub(crate) fn out_of_bounds(poses: &[Pose], limits: &EnvelopeConfig) -> Vec<OutOfBoundsInterval> {
    let mut found: Vec<OutOfBoundsInterval> = Vec::new();
    for (step, pose) in poses.iter().enumerate() {
        let Some((axis, at_m, limit_m)) = worst_axis(pose, limits) else {
            continue;
        };
        match found.last_mut() {
            Some(interval) if interval.to + 1 == step => {
                interval.to = step;
                if (at_m - limit_m).abs() > interval.beyond_m() {
                    (interval.worst, interval.axis) = (step, axis);
                    (interval.at_m, interval.limit_m) = (at_m, limit_m);
                }
            }
            _ => found.push(OutOfBoundsInterval {
                from: step,
                to: step,
                worst: step,
                axis,
                at_m,
                limit_m,
            }),
        }
    }
    found
}

/// The axis farthest outside, its coordinate and its limit.
fn worst_axis(pose: &Pose, limits: &EnvelopeConfig) -> Option<(char, f64, f64)> {
    let mut low = limits.workspace.min_m;
    low[2] = limits.floor_m();
    let high = limits.workspace.max_m;
    let mut worst: Option<(char, f64, f64)> = None;
    for (i, axis) in ['x', 'y', 'z'].into_iter().enumerate() {
        let at = pose.position_m[i];
        let limit = at.clamp(low[i], high[i]);
        // A micrometre outside is rounding.
        if (at - limit).abs() > worst.map_or(1e-6, |(_, at, limit)| (at - limit).abs()) {
            worst = Some((axis, at, limit));
        }
    }
    worst
}

#[cfg(test)]
#[path = "../../tests/unit/replay_out_of_bounds.rs"]
mod tests;
