//! The waypoints of a run that was planned at two levels: where each plan was to lead, and the
//! recorded frame whose latent is nearest to what was foreseen there.

use foresight_planner::{Action, ActionSequences, Pose};
use foresight_predictor::{Latent, LevelTwo};
use foresight_scenarios::RunError;
use image::RgbImage;

use crate::analysis_record::WaypointAnalysis;
use crate::nearest_neighbour::NearestNeighbours;
use crate::trace::StepTrace;

/// A macro-action shorter than this that leaves the fingers alone leads nowhere, m and closedness.
const NOWHERE: f64 = 0.005;

/// Who foresees waypoints, and by which frames they are recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreseer<'a> {
    pub(crate) second: &'a LevelTwo,
    pub(crate) gallery: Option<&'a NearestNeighbours>,
    pub(crate) extrinsics: Option<[f32; 6]>,
}

impl Foreseer<'_> {
    /// The waypoints that a step's plan leads by, from what was seen before it, each with its
    /// recognised frame. None where the plan is the one of the step before.
    pub(crate) fn waypoints(
        &self,
        step: &StepTrace,
        before: Option<&StepTrace>,
        seen: &Latent,
        goal: &Latent,
    ) -> Result<Vec<(WaypointAnalysis, Option<RgbImage>)>, RunError> {
        let way = &step.plan.macro_actions;
        let goes_on = before.is_some_and(|before| before.plan.macro_actions == *way);
        let leads = |action: &[f64; 7]| action.iter().any(|value| value.abs() > NOWHERE);
        let count = way.iter().rposition(leads).map_or(0, |last| last + 1);
        if goes_on || count == 0 {
            return Ok(Vec::new());
        }
        let mut sequences = ActionSequences::zeros(1, count);
        for (at, action) in way[..count].iter().enumerate() {
            let action = action.map(|value| value as f32);
            sequences.action_mut(0, at).copy_from_slice(&action);
        }
        let mut pose = Pose::from_array(step.pose);
        let model = &self.second.model;
        let rollout = model
            .rollout(seen, &pose, self.extrinsics, &sequences, 0)
            .map_err(|e| RunError::Imagination(e.to_string()))?;
        let waypoint = |(values, action): (Vec<f32>, &[f64; 7])| {
            pose = pose.apply(&Action::from_array(*action));
            let foreseen = Latent {
                values,
                tokens: seen.tokens,
            };
            let nearest = self.gallery.and_then(|g| g.nearest(&foreseen));
            let analysis = WaypointAnalysis {
                pose: pose.to_array(),
                to_goal: foreseen.distance(goal),
                nearest_distance: nearest.map(|(_, distance)| distance),
            };
            (analysis, nearest.map(|(image, _)| image.clone()))
        };
        Ok(rollout.latents.into_iter().zip(way).map(waypoint).collect())
    }
}
