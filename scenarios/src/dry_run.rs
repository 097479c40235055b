//! Plan and show, move nothing: one look, one decision for each sub-goal, and what the safety
//! envelope would make of it.

use std::path::PathBuf;
use std::time::Instant;

use foresight_planner::control_loop::Imagination;
use foresight_planner::search::solve;
use foresight_planner::{Action, Pose, SeededNoise};
use foresight_robot::envelope::Admitted;
use foresight_robot::{Arm, Observation, Refusal, Viewer};
use serde::Serialize;

use crate::controllers::ModelSource;
use crate::env::{self, Env};
use crate::episode_spec::EpisodeSpec;
use crate::load::LoadedScenario;
use crate::run::RunError;
use crate::scenario::RobotKind;

/// What would happen first towards one sub-goal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryStep {
    /// The sub-goal's name.
    pub subgoal: String,
    /// The observation's distance to it.
    pub distance: f32,
    /// Lowest energy found.
    pub energy: Option<f32>,
    /// The action decided on, after the scenario's map.
    pub action: [f64; 7],
    /// What the envelope would send; `None` when it refuses.
    pub sent: Option<[f64; 7]>,
    /// Where that would lead.
    pub goal_pose: Option<[f64; 7]>,
    /// What the envelope changes or refuses, in words.
    pub remarks: Vec<String>,
    /// Wall time of the decision, s.
    pub plan_seconds: f64,
}

/// What a dry run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The measured pose.
    pub pose: [f64; 7],
    /// How far apart the frame's capture and the nearest state are, ms.
    pub pose_age_ms: f64,
    /// One decision for each sub-goal, all from the same look.
    pub steps: Vec<DryStep>,
    /// The frame that was planned on.
    pub frame: PathBuf,
}

/// Looks once and plans towards each sub-goal. A real arm is only watched: no lease is taken and
/// no motion session begun.
///
/// # Errors
/// [`RunError`] when scenario, model, camera or disk fail.
pub fn dry_run(
    loaded: &LoadedScenario,
    source: &ModelSource,
    seed: u64,
    frame: PathBuf,
) -> Result<DryRun, RunError> {
    let instance = EpisodeSpec::new(loaded, seed);
    let images = instance.goal_images()?;
    let world = source.with_goals(&instance, &images)?;
    let (observation, eyes) = look(&instance)?;
    if let Some(folder) = frame.parent() {
        std::fs::create_dir_all(folder).map_err(|e| RunError::write(folder, e))?;
    }
    let saved = observation.frame.image.save(&frame);
    saved.map_err(|e| RunError::write(&frame, std::io::Error::other(e)))?;
    let failed = |e: String| RunError::Imagination(e);
    let context = world
        .look(&observation)
        .map_err(|e| failed(e.to_string()))?;
    let method = loaded.scenario.planner.method();
    let mut steps = Vec::new();
    for (goal, subgoal) in instance.schedule().iter().enumerate() {
        let started = Instant::now();
        let mut constraints = subgoal.gripper.constraints(0, subgoal.steps);
        constraints.slack = Some(loaded.scenario.room().around(&observation.pose));
        let aim = world
            .aim(&context, &observation.pose, goal, constraints.slack)
            .map_err(|e| failed(e.to_string()))?;
        let energy = world.energy(&context, &observation.pose, &aim);
        let mut search = method.begin(&constraints);
        let mut noise = SeededNoise::new(seed, 0);
        let plan = solve(search.as_mut(), energy.as_ref(), &mut noise)
            .map_err(|e| failed(e.to_string()))?;
        let plan_seconds = started.elapsed().as_secs_f64();
        let planned = plan.actions.first().copied().unwrap_or_default();
        let action = env::mapped(&planned, loaded.scenario.robot.action_map_xy.as_ref());
        let judged = eyes.judge(loaded, &observation.pose, &action)?;
        let (sent, goal_pose, remarks) = match judged {
            Ok(admitted) => (
                Some(admitted.sent.to_array()),
                Some(admitted.goal.to_array()),
                admitted.changed.iter().map(ToString::to_string).collect(),
            ),
            Err(refusal) => (None, None, vec![format!("refused: {refusal}")]),
        };
        steps.push(DryStep {
            subgoal: subgoal.name.clone(),
            distance: world.distance(&context, goal),
            energy: plan.energy(),
            action: action.to_array(),
            sent,
            goal_pose,
            remarks,
            plan_seconds,
        });
    }
    Ok(DryRun {
        scenario: loaded.scenario.name.clone(),
        seed,
        pose: observation.pose.to_array(),
        pose_age_ms: observation.pose_age_ms,
        steps,
        frame,
    })
}

/// Who looked.
enum Eyes {
    Viewer(Box<Viewer>),
    Simulated([f64; 7]),
}

impl Eyes {
    fn judge(
        &self,
        loaded: &LoadedScenario,
        pose: &Pose,
        action: &Action,
    ) -> Result<Result<Admitted, Refusal>, RunError> {
        let limits = loaded.scenario.safety;
        Ok(match self {
            Eyes::Viewer(viewer) => viewer.judge(limits, pose, action)?,
            Eyes::Simulated(joints_rad) => {
                let envelope = foresight_robot::Envelope::new(limits)
                    .map_err(foresight_robot::ArmError::from)?;
                envelope.admit(pose, joints_rad, action)
            }
        })
    }
}

fn look(instance: &EpisodeSpec) -> Result<(Observation, Eyes), RunError> {
    match instance.loaded.scenario.robot.kind {
        RobotKind::Franka => {
            let viewer = Viewer::connect(&env::franka(&instance.loaded))?;
            let observation = viewer.look()?;
            Ok((observation, Eyes::Viewer(Box::new(viewer))))
        }
        RobotKind::Sim => {
            let Env::Virtual(mut arm) = Env::in_virtual_time(instance)? else {
                return Err(RunError::Input("no simulator".into()));
            };
            let observation = arm.observe()?;
            let joints_rad = arm.simulator().arm().q;
            Ok((observation, Eyes::Simulated(joints_rad)))
        }
    }
}
