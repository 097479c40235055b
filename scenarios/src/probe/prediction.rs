//! The predictor's error one step ahead, against predicting no change: in all steps, and in
//! those where something is touched.

use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::{Latent, WorldModel};
use rayon::prelude::*;
use serde::Serialize;

use super::{latents, Recordings};
use crate::error::{RunError, RunResult};

/// Most episodes looked at.
const EPISODES: usize = 150;
/// An object that moves by more between two steps was moved, m.
const MOVED_M: f32 = 0.005;
/// Gripper movement that counts as an event, closedness.
const GRIPPER_EVENT: f32 = 0.1;

/// Errors over some steps.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Errors {
    /// Steps.
    pub steps: usize,
    /// Mean L1 distance of the predicted latent to the one that came.
    pub predicted: f64,
    /// Mean L1 distance of the latent before to the one that came: predicting no change.
    pub persistence: f64,
}

impl Errors {
    /// `predicted / persistence`: below 1 is better than doing nothing.
    pub fn ratio(&self) -> f64 {
        self.predicted / self.persistence.max(f64::MIN_POSITIVE)
    }
}

/// One-step errors on held-out recordings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PredictionErrors {
    /// All steps.
    pub all: Errors,
    /// Steps in which the gripper moves.
    pub gripper: Errors,
    /// Steps in which the object moves.
    pub object_moves: Errors,
    /// Steps in which the object gets into the hand or out of it.
    pub grasp_or_release: Errors,
}

/// Measures on the recordings.
///
/// # Errors
/// When they don't fit the model.
pub fn measure(model: &WorldModel, set: &Recordings) -> RunResult<PredictionErrors> {
    let mut steps: Vec<(usize, f32, f32)> = Vec::new();
    for episode in set.episodes().take(EPISODES) {
        let all: Vec<usize> = episode.collect();
        let latents = latents(model, set, &all)?;
        let errors = (0..all.len().saturating_sub(1))
            .into_par_iter()
            .map(|i| {
                let (now, next) = (&latents[i], &latents[i + 1]);
                let predicted = ahead(model, set, all[i], now)?.distance(next);
                Ok((all[i], predicted, now.distance(next)))
            })
            .collect::<RunResult<Vec<_>>>()?;
        steps.extend(errors);
    }
    let over = |chosen: &dyn Fn(usize) -> bool| {
        let mut errors = Errors::default();
        for (_, predicted, still) in steps.iter().filter(|(step, _, _)| chosen(*step)) {
            errors.steps += 1;
            errors.predicted += f64::from(*predicted);
            errors.persistence += f64::from(*still);
        }
        let count = errors.steps.max(1) as f64;
        errors.predicted /= count;
        errors.persistence /= count;
        errors
    };
    let object = |step: usize| set.object(step).unwrap_or_default();
    Ok(PredictionErrors {
        all: over(&|_| true),
        gripper: over(&|s| set.action(s)[6].abs() > GRIPPER_EVENT),
        object_moves: over(&|s| {
            let (a, b) = (object(s).0, object(s + 1).0);
            let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            squares.sqrt() > MOVED_M
        }),
        grasp_or_release: over(&|s| object(s).1 != object(s + 1).1),
    })
}

/// The latent the model expects after a recorded step's action.
fn ahead(model: &WorldModel, set: &Recordings, step: usize, now: &Latent) -> RunResult<Latent> {
    let mut action = ActionSequences::zeros(1, 1);
    action.action_mut(0, 0).copy_from_slice(&set.action(step));
    let pose = Pose::from_array(set.state(step).map(f64::from));
    let imagined = model
        .rollout(now, &pose, None, &action, 0)
        .map_err(|e| RunError::Imagination(e.to_string()))?;
    Ok(Latent {
        values: imagined.latents.into_iter().next().unwrap_or_default(),
        tokens: now.tokens,
    })
}
