//! How old a picture is when it gets here, and what was seen then.

use std::time::{Duration, Instant};

use crate::arm::Observation;
use crate::link::TimedState;
use crate::viewer::Viewer;

/// Frames whose way is timed.
const FRAMES: usize = 20;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A camera's pictures on their way here: medians over some frames, and the slowest.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraLatency {
    /// From capture to arrival, by the node's clock, s.
    pub age_s: f64,
    /// The same of the slowest frame, s.
    pub slowest_s: f64,
    /// From one frame to the next, s.
    pub period_s: f64,
    /// What was seen last.
    pub look: Observation,
}

/// Watches frames arrive; `None` where none do, or not by the node's clock.
pub(super) fn camera(viewer: &Viewer, state: &TimedState) -> Option<CameraLatency> {
    let deadline = Instant::now() + PATIENCE;
    let (mut ages_s, mut stamps) = (Vec::new(), Vec::new());
    while ages_s.len() < FRAMES {
        let newest = stamps.last().copied().unwrap_or(0);
        let left = deadline.saturating_duration_since(Instant::now());
        let next = |frame: &crate::link::RawFrame| frame.captured_ns > newest;
        let Some(frame) = viewer.monitor().next_frame(0, left, next) else {
            break;
        };
        stamps.push(frame.captured_ns);
        ages_s.extend(frame.age_ns.map(|ns| ns as f64 * 1e-9));
    }
    let between = stamps.windows(2).map(|w| (w[1] - w[0]) as f64 * 1e-9);
    let mut periods_s: Vec<f64> = between.collect();
    ages_s.sort_by(f64::total_cmp);
    periods_s.sort_by(f64::total_cmp);
    Some(CameraLatency {
        age_s: *ages_s.get(ages_s.len() / 2)?,
        slowest_s: *ages_s.last()?,
        period_s: *periods_s.get(periods_s.len() / 2)?,
        look: viewer.glance(state).ok()?,
    })
}
