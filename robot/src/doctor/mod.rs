//! Checks of an arm's surroundings before anything moves: each says pass, warn or fail, what was
//! found, and what to do about it.

mod camera;
mod latency;
mod limits;
mod node;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::envelope::EnvelopeConfig;
use crate::viewer::Viewer;
use crate::zenoh_arm::ZenohArmConfig;

pub use latency::CameraLatency;
pub use limits::{Bounds, NodeLimits};

/// How long states and frames are watched.
const WATCH: Duration = Duration::from_millis(2500);

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Pass,
    /// It works, or can't be told, but look at it.
    Warn,
    /// A run would fail, or must not be started.
    Fail,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::Pass => "pass",
            Grade::Warn => "warn",
            Grade::Fail => "fail",
        })
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it went.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do; empty when all is well.
    pub remedy: String,
}

impl Check {
    /// The same check, told to be about this camera.
    fn about(mut self, camera: &str) -> Self {
        self.found = format!("{camera}: {}", self.found);
        self
    }

    /// All is well.
    pub fn pass(name: &'static str, found: impl Into<String>) -> Self {
        Check {
            name,
            grade: Grade::Pass,
            found: found.into(),
            remedy: String::new(),
        }
    }

    /// Look at it.
    pub fn warn(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check {
            name,
            grade: Grade::Warn,
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// Mend it.
    pub fn fail(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check {
            name,
            grade: Grade::Fail,
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// What is checked.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The arm, the camera, the link.
    pub arm: ZenohArmConfig,
    /// The scenario's limits, when there is a scenario.
    pub envelope: Option<EnvelopeConfig>,
    /// What the planner may ask for, when there is a scenario.
    pub bounds: Option<Bounds>,
    /// The node's own limits; franka-node's defaults when its configuration isn't at hand.
    pub node: NodeLimits,
}

/// Examines the arm, and times its camera's frames where they come. Later checks are left out when an
/// earlier one leaves nothing to check.
pub fn examine(examination: &Examination) -> (Vec<Check>, Option<CameraLatency>) {
    let mut checks = Vec::new();
    let config = &examination.arm;
    let viewer = match Viewer::open(config) {
        Ok(viewer) => viewer,
        Err(error) => {
            let remedy = "check robot.franka.link: endpoints as tcp/HOST:7447 or tls/HOST:7447, files readable and as they say";
            checks.push(Check::fail("zenoh", error.to_string(), remedy));
            return (checks, None);
        }
    };
    let status = node::watch_status(&viewer, WATCH);
    checks.push(node::reachable(&viewer, config));
    checks.extend(node::versions(&status, config));
    let Some(state) = viewer.monitor().state() else {
        checks.push(Check::fail(
            "states",
            format!("no state on franka/{}/state", config.arm),
            "start franka-node; compare its [[arm]] name with the scenario's robot.franka.arm",
        ));
        return (checks, None);
    };
    checks.push(node::states(&viewer, &state, &status));
    checks.push(node::lease(&state, config));
    checks.push(node::clock(&viewer, &state));
    checks.push(node::robot(&state));
    checks.push(node::gripper(&viewer));
    checks.push(limits::end_effector(&state));
    if let Some(envelope) = &examination.envelope {
        checks.push(limits::in_box(&state, envelope));
        checks.push(limits::table(envelope));
        checks.extend(limits::against_node(
            envelope,
            examination.bounds.as_ref(),
            config,
            &examination.node,
        ));
    }
    checks.extend(camera::checks(&viewer, &state, config, WATCH));
    checks.push(node::kernel(config));
    let latency = latency::camera(&viewer, &state);
    (checks, latency)
}
