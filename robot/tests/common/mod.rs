//! What the arm tests share.

#![allow(dead_code)]

use std::time::{Duration, Instant};

use foresight_planner::Action;
use foresight_robot::{EnvelopeConfig, WorkspaceBox};
use foresight_sim::{Scene, SceneDistribution};

pub fn scene(seed: u64) -> Scene {
    SceneDistribution::default().sample(seed)
}

pub fn workspace() -> WorkspaceBox {
    WorkspaceBox {
        min_m: [0.35, -0.25, 0.0],
        max_m: [0.65, 0.25, 0.35],
    }
}

pub fn envelope() -> EnvelopeConfig {
    EnvelopeConfig::new(workspace())
}

pub fn action(dx: f64, dy: f64, dz: f64, gripper: f64) -> Action {
    Action::from_array([dx, dy, dz, 0.0, 0.0, 0.0, gripper])
}

/// Polls until `done`, or panics after `timeout`; returns how long it took.
pub fn wait_until(what: &str, timeout: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < timeout,
            "{what}: not within {timeout:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}
