//! Plan and show, move nothing: one observation, one decision for each sub-goal, and what the
//! safety envelope would make of it.

use std::path::PathBuf;
use std::time::Instant;

use foresight_planner::control_loop::Plant;
use foresight_planner::{Action, Decision, Pose, SubGoal};
use foresight_robot::envelope::Admitted;
use foresight_robot::{Observation, Refusal, Viewer};
use serde::Serialize;

use crate::controllers::{ModelSource, ReadyController};
use crate::env::{Env, EnvPlant, ObservedSimulator};
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::load::LoadedScenario;
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
    /// The macro-actions that lead there, where a second level plans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macro_actions: Vec<[f64; 7]>,
    /// The action decided on.
    pub planned_action: [f64; 7],
    /// The same after the camera's action map: what the arm would be asked for.
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
    /// One decision for each sub-goal, all from the same observation.
    pub steps: Vec<DryStep>,
    /// The frame that was planned on.
    pub frame: PathBuf,
}

/// Observes once and plans towards each sub-goal. A real arm is only watched: no lease is taken and
/// no motion session begun.
///
/// # Errors
/// [`RunError`] when scenario, model, camera or disk fail.
pub fn dry_run(
    loaded: &LoadedScenario,
    source: &ModelSource,
    seed: u64,
    frame: PathBuf,
) -> RunResult<DryRun> {
    let spec = EpisodeSpec::new(loaded, seed);
    let images = spec.goal_images()?;
    let ReadyController {
        mut controller,
        observed,
        ..
    } = source.controller(&spec, &images)?;
    let (observation, observer) = observe(&spec, observed)?;
    if let Some(folder) = frame.parent() {
        std::fs::create_dir_all(folder).map_err(|e| RunError::write(folder, e))?;
    }
    let saved = observation.frame.image.save(&frame);
    saved.map_err(|e| RunError::write(&frame, e))?;
    let mut steps = Vec::new();
    for (goal, subgoal) in spec.schedule().into_iter().enumerate() {
        let started = Instant::now();
        let constraints = subgoal.gripper.constraints(0, subgoal.steps);
        let bounds = loaded.scenario.workspace_bounds();
        let constraints = constraints.within(bounds, &observation.pose);
        // However near it is already: what would be done is to be shown.
        let subgoal = SubGoal {
            advance_below: None,
            ..subgoal
        };
        controller.begin_goal(goal, &subgoal);
        let Decision::Act { distance, plan } = controller.decide(&observation, &constraints, 0)?
        else {
            continue;
        };
        let plan_seconds = started.elapsed().as_secs_f64();
        let planned = plan.first();
        let action = loaded.scenario.action_map().apply(&planned);
        let judged = observer.judge(loaded, &observation.pose, &action)?;
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
            distance,
            energy: plan.energy(),
            planned_action: planned.to_array(),
            macro_actions: plan.macro_actions.iter().map(Action::to_array).collect(),
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

/// Who observed.
enum Observer {
    Viewer(Box<Viewer>),
    Simulated([f64; 7]),
}

impl Observer {
    fn judge(
        &self,
        loaded: &LoadedScenario,
        pose: &Pose,
        action: &Action,
    ) -> RunResult<Result<Admitted, Refusal>> {
        let limits = loaded.scenario.safety;
        Ok(match self {
            Observer::Viewer(viewer) => viewer.judge(limits, pose, action)?,
            Observer::Simulated(joints_rad) => {
                let envelope = foresight_robot::Envelope::new(limits)
                    .map_err(foresight_robot::ArmError::from)?;
                envelope.admit(pose, joints_rad, action)
            }
        })
    }
}

fn observe(
    spec: &EpisodeSpec,
    observed: Option<ObservedSimulator>,
) -> RunResult<(Observation, Observer)> {
    match spec.loaded.scenario.robot.kind {
        RobotKind::Franka => {
            let viewer = Viewer::connect(&spec.loaded.franka())?;
            let observation = viewer.look()?;
            Ok((observation, Observer::Viewer(Box::new(viewer))))
        }
        RobotKind::Sim => {
            let mut env = Env::in_virtual_time(spec)?;
            let observation = EnvPlant::new(&mut env, spec, observed, None)?.observe()?;
            let joints_rad = observation.joints_rad;
            Ok((observation, Observer::Simulated(joints_rad)))
        }
    }
}
