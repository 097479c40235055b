//! Someone who watches an arm while something else happens to it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use foresight_robot::{Viewer, ZenohArmConfig};
use franka_node::{Phase, FLAG_HOLDING};
use nalgebra::Vector3;

/// Speeds are taken over this long, ns: the stamps of single states jitter.
const WINDOW_NS: u64 = 40_000_000;

/// A viewer of an arm: it takes no lease and sends nothing.
pub struct Watch(Viewer);

/// What was seen since watching began, up to some moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How long it has been watched.
    pub after: Duration,
    /// The node's phase.
    pub phase: Option<Phase>,
    /// Whether the node holds the arm because no targets come.
    pub holding: bool,
    /// How fast the hand is, m/s, over the last [`WINDOW_NS`].
    pub speed_m_s: f64,
    /// How fast it was at most, m/s.
    pub fastest_m_s: f64,
    /// How far it has come, m.
    pub path_m: f64,
}

impl Seen {
    /// Whether the session is over.
    pub fn stopped(&self) -> bool {
        matches!(self.phase, Some(Phase::Idle | Phase::Faulted))
    }
}

impl Watch {
    /// Watches the arm of `config`.
    pub fn new(config: &ZenohArmConfig) -> Watch {
        Watch(Viewer::connect(config).expect("a viewer"))
    }

    /// Watches until `done`; `None` when that takes longer than `seconds`.
    pub fn until(&self, seconds: f64, mut done: impl FnMut(&Seen) -> bool) -> Option<Seen> {
        let started = Instant::now();
        let mut track: VecDeque<(u64, Vector3<f64>)> = VecDeque::new();
        let (mut path_m, mut fastest_m_s) = (0.0, 0.0_f64);
        let monitor = self.0.monitor();
        let mut seen_ns = monitor.state().map_or(0, |s| s.node_ns());
        while started.elapsed().as_secs_f64() < seconds {
            let Some(state) = monitor.next_state(seen_ns, Duration::from_millis(100)) else {
                continue;
            };
            seen_ns = state.node_ns();
            let here = state.placement.translation.vector;
            path_m += track.back().map_or(0.0, |(_, there)| (here - there).norm());
            track.push_back((seen_ns, here));
            while track.len() > 2 && track[1].0 + WINDOW_NS <= seen_ns {
                track.pop_front();
            }
            let (then, there) = track[0];
            let passed_s = (seen_ns - then).max(WINDOW_NS) as f64 * 1e-9;
            let speed_m_s = (here - there).norm() / passed_s;
            fastest_m_s = fastest_m_s.max(speed_m_s);
            let seen = Seen {
                after: started.elapsed(),
                phase: state.phase(),
                holding: state.msg.flags.get() & FLAG_HOLDING != 0,
                speed_m_s,
                fastest_m_s,
                path_m,
            };
            if done(&seen) {
                return Some(seen);
            }
        }
        None
    }

    /// Waits until the hand moves at `speed_m_s`.
    pub fn wait_fast(&self, speed_m_s: f64) {
        let mut fastest_m_s = 0.0;
        let moving = self.until(30.0, |seen| {
            fastest_m_s = seen.fastest_m_s;
            seen.speed_m_s > speed_m_s
        });
        assert!(
            moving.is_some(),
            "{fastest_m_s:.3} m/s is the fastest it moved"
        );
    }

    /// Where the hand is, m.
    pub fn position(&self) -> Vector3<f64> {
        let state = self.0.state().expect("a state");
        state.placement.translation.vector
    }
}
