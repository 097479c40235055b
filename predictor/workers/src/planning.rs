//! A whole decision for programs that keep their own loop: two pictures and a pose in, actions out.

use std::path::Path;

use foresight_datasets::picture;
use foresight_planner::{pose_units, solve, Action, Constraints, PlannerConfig, Pose, SeededNoise};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::WorldModel;
use foresight_settings::Change;
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// Header of a request for a plan. Its payload is the current picture's file and the goal's, PNG or JPEG, one
/// after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanHeader {
    /// Bytes of the current picture's file.
    context_bytes: usize,
    /// Pose now: x, y, z in m, extrinsic xyz Euler angles in rad, gripper from 0 (open) to 1 (closed).
    state: [f64; 7],
    /// Where the camera stands, for models that take its pose: x, y, z in m, Euler angles in rad.
    #[serde(default)]
    extrinsics: Option<[f32; 6]>,
    /// Seed of the search.
    #[serde(default)]
    seed: u64,
    /// Settings of the search as `--set` takes them, such as `planner.samples=200`; `fast` where none is given.
    #[serde(default)]
    set: Vec<String>,
}

/// A plan as it is answered, JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PlanAnswer {
    /// One action of seven components a planned step.
    actions: Vec<[f64; 7]>,
    /// Its energy.
    energy: Option<f32>,
    /// Energies that were computed.
    evaluations: usize,
    /// L1 distance of the two pictures' latents.
    distance: f32,
    /// The seed.
    seed: u64,
}

/// The plan that a request asks for.
///
/// # Errors
/// A sentence, when the request can't be used or the model fails.
pub(crate) fn plan(
    model: &WorldModel,
    header: &PlanHeader,
    payload: &[u8],
) -> Result<PlanAnswer, String> {
    let split = payload.split_at_checked(header.context_bytes);
    let (context, goal) = split.ok_or("context_bytes is more than the payload has")?;
    let pictures = [picture("context", context)?, picture("goal", goal)?];
    if header.state.iter().any(|v| !v.is_finite()) {
        return Err("state has a number that is not finite".into());
    }
    if let Some(doubt) = pose_units::doubt(&header.state) {
        return Err(format!("state {:?}: {doubt}", header.state));
    }
    let mut changes = vec![Change::flag("the model's own box", "planner.box_m", {
        model.config().action_space.max_translation_m
    })];
    changes.extend(Change::parse_all(&header.set).map_err(|e| e.to_string())?);
    let (settings, _) = PlannerConfig::changed(&changes).map_err(|e| e.to_string())?;
    let latents = model.encode(&[&pictures[0], &pictures[1]]);
    let latents = latents.map_err(|e| e.to_string())?;
    let [context, goal] = &latents[..] else {
        return Err(format!("two pictures gave {} latents", latents.len()));
    };
    let energy = model
        .energy(
            context,
            &Pose::from_array(header.state),
            goal,
            model.budget(),
        )
        .with_extrinsics(header.extrinsics);
    let weighting = GoalWeighting::residual(settings.residual_power);
    let weights = energy.weights(weighting.map_err(|e| e.to_string())?, None);
    let weights = weights.map_err(|e| e.to_string())?;
    let mut search = settings.method().begin(&Constraints::default());
    let mut noise = SeededNoise::new(header.seed, 0);
    let plan = solve(&mut *search, &energy.with_weights(&weights), &mut noise);
    let plan = plan.map_err(|e| e.to_string())?;
    Ok(PlanAnswer {
        actions: plan.actions.iter().map(Action::to_array).collect(),
        energy: plan.energy(),
        evaluations: plan.evaluations,
        distance: context.distance(goal),
        seed: header.seed,
    })
}

fn picture(name: &str, file: &[u8]) -> Result<RgbImage, String> {
    picture::decode(Path::new(name), file).map_err(|e| format!("the picture {e}"))
}
