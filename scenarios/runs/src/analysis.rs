//! What a finished run looks like to the model that planned it: where the imagined future and
//! the real one part, and what the energy looked like around each decision.

use std::path::Path;

use foresight_planner::{plane_through, Action, ActionSequences, Pose, WorkspaceBounds};
use foresight_predictor::goal_distance::{GoalWeighting, GoalWeights};
use foresight_predictor::{Latent, WorldModel};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::gallery::Gallery;
use crate::run::RunError;
use crate::trace::StepTrace;

/// Points along each axis of an energy plane.
const PLANE_SIDE: usize = 15;
/// Models with more parameters than this look back only at what was predicted and reached: an
/// encoder pass of theirs takes seconds, a plane of energies minutes.
const LIGHT_PARAMETERS: usize = 50_000_000;

/// A run as the model sees it afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hindsight {
    /// The model's name.
    pub model: String,
    /// Where the frames come from that imagined latents are recognised by; empty without them.
    pub gallery: String,
    /// Every step.
    pub steps: Vec<StepHindsight>,
}

/// One step; all distances are L1 between layer-normalised latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepHindsight {
    /// The step.
    pub step: u32,
    /// From what was seen before the action to the goal.
    pub seen_to_goal: f32,
    /// From what the model predicted for the executed action to the goal: what it hoped for.
    pub predicted_to_goal: f32,
    /// From what came to the goal.
    pub reached_to_goal: f32,
    /// From what was predicted to what came: how wrong it was.
    pub predicted_to_reached: f32,
    /// From what was seen before to what came: how wrong it would be to expect no change.
    pub seen_to_reached: f32,
    /// Distance of the recognised frame to the predicted latent.
    pub nearest_distance: Option<f32>,
    /// Energies over Δx (slowest) and Δy through the action; empty when not computed.
    pub plane_xy: Vec<f32>,
    /// The same over Δx and Δz.
    pub plane_xz: Vec<f32>,
    /// Points along each axis of the planes.
    pub plane_side: usize,
    /// The planes reach from minus to plus this, m.
    pub plane_half_width_m: f64,
}

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Depth<'a> {
    /// Frames to recognise imagined latents by.
    pub gallery: Option<&'a Gallery>,
    /// Whether to compute the energy around each decision.
    pub planes: bool,
    /// How the decisions weighed differences to the goal.
    pub weighting: GoalWeighting,
    /// Where the hand was allowed to go.
    pub room: WorkspaceBounds,
}

/// Whether a model is small enough to be asked thousands of things after each run.
pub fn is_light(model: &WorldModel) -> bool {
    let config = model.config();
    let block = |width: usize, ratio: f64| (4.0 + 2.0 * ratio) * (width * width) as f64;
    let encoder = &config.encoder;
    let mut parameters = encoder.depth as f64 * block(encoder.embed_dim, encoder.mlp_ratio);
    if let Some(p) = &config.predictor {
        parameters += p.depth as f64 * block(p.predictor_embed_dim, p.mlp_ratio);
    }
    parameters < LIGHT_PARAMETERS as f64
}

/// Looks back at a run.
///
/// `frames` are what was seen before each step and after the last one, `goals` the goal images.
/// Returns the hindsight and, with a gallery, the recognised frame of every step.
///
/// # Errors
/// [`RunError::Imagination`] when the model can't be asked.
pub fn look_back(
    model: &WorldModel,
    steps: &[StepTrace],
    frames: &[RgbImage],
    goals: &[RgbImage],
    depth: Depth<'_>,
) -> Result<(Hindsight, Vec<RgbImage>), RunError> {
    let encode = |images: &[RgbImage]| -> Result<Vec<Latent>, RunError> {
        let images: Vec<&RgbImage> = images.iter().collect();
        let encoded = model.encode(&images);
        encoded.map_err(|e| RunError::Imagination(e.to_string()))
    };
    let seen = encode(frames)?;
    let goals = encode(goals)?;
    let half_width_m = model.config().action_space.max_translation_m;
    let mut hindsight = Hindsight {
        model: model.config().name.clone(),
        gallery: depth.gallery.map_or_else(String::new, |g| g.origin.clone()),
        steps: Vec::new(),
    };
    let mut recognised = Vec::new();
    // What was aimed at: the sub-goal, and the weights its pursuit began with.
    let mut aim: Option<(usize, GoalWeights)> = None;
    for (i, step) in steps.iter().enumerate() {
        let (Some(before), Some(after), Some(goal)) =
            (seen.get(i), seen.get(i + 1), goals.get(step.subgoal_index))
        else {
            break;
        };
        let pose = Pose::from_array(step.pose);
        let action = Action::from_array(step.planned_action());
        let predicted = predict(model, before, &pose, &action)?;
        let nearest = depth.gallery.and_then(|g| g.nearest(&predicted));
        // Only planes ask for weights, and measuring those takes rollouts.
        let stale = aim
            .as_ref()
            .is_none_or(|(goal, _)| *goal != step.subgoal_index);
        if depth.planes && stale {
            let slack = depth.room.relative_to(&pose);
            let weights = model
                .energy(before, &pose, goal, model.budget())
                .weights(depth.weighting, Some(&slack))
                .map_err(|e| RunError::Imagination(e.to_string()))?;
            aim = Some((step.subgoal_index, weights));
        }
        let plane = |up: usize| -> Result<Vec<f32>, RunError> {
            if !depth.planes {
                return Ok(Vec::new());
            }
            let energy = model.energy(before, &pose, goal, model.budget());
            let energy = match &aim {
                Some((_, weights)) => energy.with_weights(weights),
                None => energy,
            };
            plane_through(&energy, &action, [0, up], PLANE_SIDE, half_width_m)
                .map_err(|e| RunError::Imagination(e.to_string()))
        };
        hindsight.steps.push(StepHindsight {
            step: step.step,
            seen_to_goal: before.distance(goal),
            predicted_to_goal: predicted.distance(goal),
            reached_to_goal: after.distance(goal),
            predicted_to_reached: predicted.distance(after),
            seen_to_reached: before.distance(after),
            nearest_distance: nearest.map(|(_, distance)| distance),
            plane_xy: plane(1)?,
            plane_xz: plane(2)?,
            plane_side: PLANE_SIDE,
            plane_half_width_m: half_width_m,
        });
        recognised.extend(nearest.map(|(image, _)| image.clone()));
    }
    Ok((hindsight, recognised))
}

/// The latent the model expects after one action.
fn predict(
    model: &WorldModel,
    from: &Latent,
    pose: &Pose,
    action: &Action,
) -> Result<Latent, RunError> {
    let mut sequences = ActionSequences::zeros(1, 1);
    for (value, component) in sequences.action_mut(0, 0).iter_mut().zip(action.to_array()) {
        *value = component as f32;
    }
    let mut imagined = model
        .rollout(from, pose, None, &sequences, 0)
        .map_err(|e| RunError::Imagination(e.to_string()))?;
    Ok(Latent {
        values: imagined.latents.pop().unwrap_or_default(),
        tokens: from.tokens,
    })
}

impl Hindsight {
    /// Reads `hindsight.json`; `None` when it is missing or from another version.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}
