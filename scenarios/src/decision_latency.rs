//! How long a decision takes on this machine: encoding a frame, and searching from what is foreseen of
//! it.

use std::time::Instant;

use foresight_planner::{Action, Constraints};
use foresight_robot::Observation;

use crate::controllers::{EncodedObservation, ModelSource};
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::load::LoadedScenario;

/// Decisions that are timed.
const REPEATS: u32 = 5;

/// Seconds of the slowest of a few decisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionLatency {
    /// Encoding the frame.
    pub encode_s: f64,
    /// Foreseeing what is under way, and searching.
    pub plan_s: f64,
}

/// Times decisions towards the first sub-goal on `look`; nothing moves.
///
/// # Errors
/// [`RunError`] when goals or model can't be used.
pub fn decision_latency(
    loaded: &LoadedScenario,
    source: &ModelSource,
    look: &Observation,
) -> RunResult<DecisionLatency> {
    let spec = EpisodeSpec::new(loaded, loaded.scenario.seed);
    let mut controller = source.controller(&spec, &spec.goal_images()?)?.controller;
    if let Some(first) = spec.schedule().first() {
        controller.begin_goal(0, first);
    }
    let constraints = Constraints {
        committed: Some(Action::default()),
        ..Constraints::with_gripper(0.0).within(loaded.scenario.workspace_bounds(), &look.pose)
    };
    let mut slowest = DecisionLatency {
        encode_s: 0.0,
        plan_s: 0.0,
    };
    // What is done once a goal, and the encoding, which is kept.
    controller.decide(look, &constraints, 0)?;
    for step in 1..=REPEATS {
        if let Some(eyes) = source.eyes() {
            let started = Instant::now();
            EncodedObservation::new(&eyes.model, look)
                .map_err(|e| RunError::model(&eyes.dir, e))?;
            slowest.encode_s = slowest.encode_s.max(started.elapsed().as_secs_f64());
        }
        let started = Instant::now();
        controller.decide(look, &constraints, step)?;
        slowest.plan_s = slowest.plan_s.max(started.elapsed().as_secs_f64());
    }
    Ok(slowest)
}
