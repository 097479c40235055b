//! What a finished run looks like to the model that planned it: where the imagined future and
//! the real one part, and what the energy looked like around each decision.

use std::path::Path;

use foresight_planner::{plane_through, Action, ActionSequences, Pose, WorkspaceBounds};
use foresight_predictor::goal_distance::{GoalWeighting, GoalWeights};
use foresight_predictor::{Latent, LevelTwo, WorldModel};
use foresight_scenarios::controllers::LoadedModel;
use foresight_scenarios::{EpisodeSpec, RunError};
use image::RgbImage;

use crate::analysis_record::{RunAnalysis, StepAnalysis};
use crate::folder::{save, write_json};
use crate::nearest_neighbour::NearestNeighbours;
use crate::read::RunData;
use crate::trace::StepTrace;
use crate::waypoints::Foreseer;

/// Points along each axis of an energy plane.
const PLANE_SIDE: usize = 15;
/// Models with more parameters than this look back only at what was predicted and reached: an
/// encoder pass of theirs takes seconds, a plane of energies minutes.
const LIGHT_PARAMETERS: usize = 50_000_000;

/// How much is computed about a run after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnalysisDepth {
    /// What was predicted and what came.
    Brief,
    /// Also the energy around each decision and the frames imagined latents are recognised as,
    /// when the model is small enough.
    Full,
}

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct AnalysisOptions<'a> {
    /// Frames to recognise imagined latents by.
    pub gallery: Option<&'a NearestNeighbours>,
    /// Whether to compute the energy around each decision.
    pub planes: bool,
    /// How the decisions weighed differences to the goal.
    pub weighting: GoalWeighting,
    /// Where the camera stood, for models that take its pose: see
    /// [`EpisodeSpec::extrinsics_for`].
    pub extrinsics: Option<[f64; 6]>,
    /// Where the hand was allowed to go.
    pub room: WorkspaceBounds,
    /// The second level of the model, where it planned at two.
    pub level_two: Option<&'a LevelTwo>,
}

/// Whether a model is small enough to be asked thousands of things after each run.
fn is_light(model: &WorldModel) -> bool {
    let config = model.config();
    let block = |width: usize, ratio: f64| (4.0 + 2.0 * ratio) * (width * width) as f64;
    let encoder = &config.encoder;
    let mut parameters = encoder.depth as f64 * block(encoder.embed_dim, encoder.mlp_ratio);
    if let Some(p) = &config.predictor {
        parameters += p.depth as f64 * block(p.predictor_embed_dim, p.mlp_ratio);
    }
    parameters < LIGHT_PARAMETERS as f64
}

/// Looks back at a run with the model that planned it, as its scenario says.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_own(
    run: &Path,
    instance: &EpisodeSpec,
    loaded: &LoadedModel,
    depth: AnalysisDepth,
) -> Result<(), RunError> {
    let model = &loaded.model;
    let data = RunData::read(run).map_err(RunError::Input)?;
    let full = depth == AnalysisDepth::Full && is_light(model);
    let gallery = if full {
        let path_m: Vec<[f64; 3]> = data.steps.iter().map(|s| s.reached_pose).map(xyz).collect();
        NearestNeighbours::posed(model, instance, &path_m)?
    } else {
        None
    };
    let options = AnalysisOptions {
        gallery: gallery.as_ref().filter(|g| !g.is_empty()),
        planes: full,
        weighting: instance.loaded.scenario.goal_weighting(),
        extrinsics: instance.extrinsics_for(model)?,
        room: instance.loaded.scenario.workspace_bounds(),
        level_two: loaded.level_two.as_ref(),
    };
    analyse(run, &data, model, options)
}

fn xyz(pose: [f64; 7]) -> [f64; 3] {
    [pose[0], pose[1], pose[2]]
}

/// Looks back at the run in the folder `run`, read as `data`, and writes `hindsight.json` and
/// `imagined/` there, replacing older ones.
///
/// # Errors
/// [`RunError::Input`] when frames are missing, [`RunError::Imagination`] when the model can't be
/// asked, [`RunError::Write`] when the disk refuses.
pub fn analyse(
    run: &Path,
    data: &RunData,
    model: &WorldModel,
    options: AnalysisOptions<'_>,
) -> Result<(), RunError> {
    let frames: Vec<RgbImage> = data.frames.iter().flatten().cloned().collect();
    if frames.len() < data.frames.len() {
        return Err(RunError::Input(format!("{} lacks frames", run.display())));
    }
    let goals = RunData::model_goals(run);
    let (analysis, recognised) = compare(model, &data.steps, &frames, &goals, options)?;
    write_json(&run.join("hindsight.json"), &analysis)?;
    for (step, pictures) in analysis.steps.iter().zip(recognised) {
        let name = format!("imagined/{:04}", step.step);
        if let Some(image) = pictures.foreseen {
            save(&image, &run.join(format!("{name}.png")))?;
        }
        for (waypoint, image) in pictures.waypoints.iter().enumerate() {
            if let Some(image) = image {
                save(image, &run.join(format!("{name}-{waypoint}.png")))?;
            }
        }
    }
    Ok(())
}

/// The frames by which a step's imagined latents are recognised.
struct Recognised {
    foreseen: Option<RgbImage>,
    waypoints: Vec<Option<RgbImage>>,
}

/// Compares what was predicted with what came, step by step.
///
/// `frames` are what was seen before each step and after the last one, `goals` the goal images.
/// Returns the analysis and, with a gallery, the recognised frames of every step.
///
/// # Errors
/// [`RunError::Imagination`] when the model can't be asked.
fn compare(
    model: &WorldModel,
    steps: &[StepTrace],
    frames: &[RgbImage],
    goals: &[RgbImage],
    depth: AnalysisOptions<'_>,
) -> Result<(RunAnalysis, Vec<Recognised>), RunError> {
    let encode = |images: &[RgbImage]| -> Result<Vec<Latent>, RunError> {
        let images: Vec<&RgbImage> = images.iter().collect();
        let encoded = model.encode(&images);
        encoded.map_err(|e| RunError::Imagination(e.to_string()))
    };
    let seen = encode(frames)?;
    let goals = encode(goals)?;
    let half_width_m = model.config().action_space.max_translation_m;
    let extrinsics = depth.extrinsics.map(|e| e.map(|v| v as f32));
    let mut analysis = RunAnalysis {
        model: model.config().name.clone(),
        gallery: depth.gallery.map_or_else(String::new, |g| g.origin.clone()),
        steps: Vec::new(),
    };
    let mut recognised = Vec::new();
    let foreseer = depth.level_two.map(|second| Foreseer {
        second,
        gallery: depth.gallery,
        extrinsics,
    });
    // What was pursued: the sub-goal, and the weights its pursuit began with.
    let mut pursued: Option<(usize, GoalWeights)> = None;
    for (i, step) in steps.iter().enumerate() {
        let (Some(before), Some(after), Some(goal)) =
            (seen.get(i), seen.get(i + 1), goals.get(step.subgoal_index))
        else {
            break;
        };
        let pose = Pose::from_array(step.pose);
        let action = Action::from_array(step.planned_action());
        let predicted = predict(model, before, &pose, extrinsics, &action)?;
        let nearest = depth.gallery.and_then(|g| g.nearest(&predicted));
        // Only planes ask for weights, and measuring those takes rollouts.
        let stale = pursued
            .as_ref()
            .is_none_or(|(goal, _)| *goal != step.subgoal_index);
        if depth.planes && stale {
            let slack = depth.room.relative_to(&pose);
            let weights = model
                .energy(before, &pose, goal, model.budget())
                .with_extrinsics(extrinsics)
                .weights(depth.weighting, Some(&slack))
                .map_err(|e| RunError::Imagination(e.to_string()))?;
            pursued = Some((step.subgoal_index, weights));
        }
        let plane = |up: usize| -> Result<Vec<f32>, RunError> {
            if !depth.planes {
                return Ok(Vec::new());
            }
            let energy = model
                .energy(before, &pose, goal, model.budget())
                .with_extrinsics(extrinsics);
            let energy = match &pursued {
                Some((_, weights)) => energy.with_weights(weights),
                None => energy,
            };
            plane_through(&energy, &action, [0, up], PLANE_SIDE, half_width_m)
                .map_err(|e| RunError::Imagination(e.to_string()))
        };
        let last = i.checked_sub(1).and_then(|i| steps.get(i));
        let waypoints = match &foreseer {
            Some(foreseer) => foreseer.waypoints(step, last, before, goal)?,
            None => Vec::new(),
        };
        let (waypoints, of_waypoints) = waypoints.into_iter().unzip();
        analysis.steps.push(StepAnalysis {
            waypoints,
            step: step.step,
            seen_to_goal: before.distance(goal),
            predicted_to_goal: predicted.distance(goal),
            reached_to_goal: after.distance(goal),
            predicted_to_reached: predicted.distance(after),
            seen_to_reached: before.distance(after),
            surprise: predicted.token_distances(after),
            surprise_grid: model.token_grid(),
            nearest_distance: nearest.map(|(_, distance)| distance),
            plane_xy: plane(1)?,
            plane_xz: plane(2)?,
            plane_side: PLANE_SIDE,
            plane_half_width_m: half_width_m,
        });
        recognised.push(Recognised {
            foreseen: nearest.map(|(image, _)| image.clone()),
            waypoints: of_waypoints,
        });
    }
    Ok((analysis, recognised))
}

/// The latent the model expects after one action.
fn predict(
    model: &WorldModel,
    from: &Latent,
    pose: &Pose,
    extrinsics: Option<[f32; 6]>,
    action: &Action,
) -> Result<Latent, RunError> {
    let mut sequences = ActionSequences::zeros(1, 1);
    for (value, component) in sequences.action_mut(0, 0).iter_mut().zip(action.to_array()) {
        *value = component as f32;
    }
    let mut imagined = model
        .rollout(from, pose, extrinsics, &sequences, 0)
        .map_err(|e| RunError::Imagination(e.to_string()))?;
    Ok(Latent {
        values: imagined.latents.pop().unwrap_or_default(),
        tokens: from.tokens,
    })
}
