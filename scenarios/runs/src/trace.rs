//! What a run writes down of every step: one line of `plan.jsonl`, written and read here.

use std::path::Path;

use foresight_planner::{Action, Iteration};
use foresight_robot::{Adjustment, Refusal};
use foresight_sim::GroundTruth;
use serde::{Deserialize, Serialize};

use foresight_scenarios::episode::EpisodeStep;
use foresight_scenarios::faults::FaultKind;

/// One executed step. Poses and actions are `[x, y, z, rx, ry, rz, gripper]` in m, rad and
/// closedness, base frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTrace {
    /// Steps executed before this one.
    pub step: u32,
    /// Name of the sub-goal pursued.
    pub subgoal: String,
    /// Its index.
    pub subgoal_index: usize,
    /// Steps executed before this one towards it.
    pub subgoal_step: u32,
    /// Pose measured before the action.
    pub pose: [f64; 7],
    /// Joint positions measured with it, rad.
    #[serde(default)]
    pub joints_rad: Option<[f64; 7]>,
    /// Whether the arm had come to rest before the frame was captured.
    pub settled: bool,
    /// The arm's clock at that pose, s.
    pub arm_time_s: f64,
    /// When the frame was captured, ns on the clock of the arm's states.
    pub frame_captured_ns: u64,
    /// How far apart frame and pose are in time, ms.
    pub pose_age_ms: f64,
    /// Distance of the observation to the goal: L1 between latents.
    pub distance: f32,
    /// The decision.
    pub plan: PlanTrace,
    /// The action decided on, before the camera's action map; absent in older runs, where
    /// [`StepTrace::planned_action`] finds it.
    #[serde(default)]
    pub planned_action: Option<[f64; 7]>,
    /// The action the arm was asked for: the planned one after the camera's action map.
    pub action: [f64; 7],
    /// What the safety envelope made of it.
    pub sent: [f64; 7],
    /// What the envelope changed.
    pub adjustments: Vec<Adjustment>,
    /// Why it let nothing through.
    pub refusal: Option<Refusal>,
    /// Pose commanded.
    pub commanded_pose: [f64; 7],
    /// Pose measured when the arm had settled.
    pub reached_pose: [f64; 7],
    /// Distance between commanded and reached position, m.
    pub error_m: f64,
    /// Whether the arm came to rest after the action.
    pub arm_settled: bool,
    /// Whether something in the way kept the arm from getting there.
    #[serde(default)]
    pub blocked: bool,
    /// Targets the guard refused during the action.
    pub refused_targets: u64,
    /// Where the time went.
    pub seconds: StepSeconds,
    /// What was in motion while the step was decided on, or still is; absent in stop-and-go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motion: Option<MotionTrace>,
    /// What was let go wrong just before the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// The simulator's true state after the action; null on a real arm.
    pub truth: Option<GroundTruth>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanTrace {
    /// Planned actions, `[horizon]`.
    pub actions: Vec<[f64; 7]>,
    /// Lowest energy of the last iteration.
    pub energy: Option<f32>,
    /// Energies computed.
    pub evaluations: usize,
    /// What each iteration learned.
    pub iterations: Vec<IterationTrace>,
    /// Macro-actions of the second level that are still to come, from the step's pose on; empty in
    /// plans of one level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macro_actions: Vec<[f64; 7]>,
}

/// What one iteration of a search learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IterationTrace {
    /// Mean of the sampling distribution after the update, `[horizon, 7]`.
    pub mean: Vec<[f32; 7]>,
    /// Its standard deviation, `[horizon, 7]`.
    pub std: Vec<[f32; 7]>,
    /// The elites' energies, ascending.
    pub elite_energies: Vec<f32>,
    /// The elites' actions, `[elites, horizon, 7]`.
    #[serde(default)]
    pub elite_actions: Vec<Vec<[f32; 7]>>,
    /// Energies computed so far.
    pub evaluations: usize,
}

/// Wall-clock and arm time of one step, s.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepSeconds {
    /// Looking: settling and the frame.
    pub observe: f64,
    /// Encoding and searching.
    pub plan: f64,
    /// Moving, by the wall clock.
    pub execute: f64,
    /// Moving, by the arm's clock.
    pub arm: f64,
    /// The part of `arm` after the last moving target.
    pub arm_settle: f64,
}

/// A step in continuous motion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MotionTrace {
    /// What the hand still did after the frame whatever was decided; null where it rested.
    pub committed: Option<[f64; 7]>,
    /// From the frame's capture to the first target of this action, s.
    pub latency_s: Option<f64>,
    /// The part of it for encoding and searching, s.
    pub decided_s: Option<f64>,
    /// How long that might have taken, s.
    pub allowed_s: Option<f64>,
    /// Decisions on this step that came too late, or that the arm couldn't turn to, and were dropped.
    pub dropped: u32,
    /// Whether the action was still under way when it was time to look for the next.
    pub under_way: bool,
}

impl MotionTrace {
    fn new(step: &EpisodeStep<'_>) -> Option<Self> {
        let executed = &step.execution.execution;
        let in_motion = step.committed.is_some() || step.dropped > 0 || executed.under_way;
        in_motion.then(|| MotionTrace {
            committed: step.committed.map(|action| action.to_array()),
            latency_s: executed.handover.map(|h| h.latency_s),
            decided_s: executed.handover.map(|h| h.decided_s),
            allowed_s: executed.handover.map(|h| h.allowed_s),
            dropped: step.dropped,
            under_way: executed.under_way,
        })
    }
}

impl From<&Iteration> for IterationTrace {
    fn from(iteration: &Iteration) -> Self {
        IterationTrace {
            mean: iteration.mean.clone(),
            std: iteration.std.clone(),
            elite_energies: iteration.elite_energies.clone(),
            elite_actions: iteration.elite_actions.clone(),
            evaluations: iteration.evaluations,
        }
    }
}

impl StepTrace {
    /// What is written down of a step towards the sub-goal called `subgoal`.
    pub fn new(step: &EpisodeStep<'_>, subgoal: &str) -> Self {
        let executed = &step.execution.execution;
        StepTrace {
            step: step.number,
            subgoal: subgoal.to_owned(),
            subgoal_index: step.goal,
            subgoal_step: step.goal_step,
            pose: step.pose.to_array(),
            joints_rad: Some(step.observation.joints_rad),
            settled: step.observation.settled,
            arm_time_s: step.observation.arm_time_s,
            frame_captured_ns: step.observation.frame.captured_ns,
            pose_age_ms: step.observation.pose_age_ms,
            distance: step.distance,
            plan: PlanTrace {
                actions: arrays(&step.plan.actions),
                energy: step.plan.energy(),
                evaluations: step.plan.evaluations,
                iterations: step.plan.iterations.iter().map(Into::into).collect(),
                macro_actions: arrays(&step.plan.macro_actions),
            },
            planned_action: Some(step.plan.first().to_array()),
            action: executed.requested.to_array(),
            sent: executed.sent.to_array(),
            adjustments: executed.changed.clone(),
            refusal: executed.refusal.clone(),
            commanded_pose: executed.commanded_pose.to_array(),
            reached_pose: executed.reached_pose.to_array(),
            error_m: executed.error_m,
            arm_settled: executed.settled,
            blocked: executed.blocked,
            refused_targets: executed.refused,
            seconds: StepSeconds {
                observe: step.observe_seconds,
                plan: step.plan_seconds,
                execute: step.execute_seconds,
                arm: executed.seconds,
                arm_settle: executed.settle_seconds,
            },
            motion: MotionTrace::new(step),
            fault: step.execution.fault,
            truth: step.execution.truth.clone(),
        }
    }

    /// The action decided on, before the camera's action map.
    pub fn planned_action(&self) -> [f64; 7] {
        let first = self.plan.actions.first().copied();
        self.planned_action.or(first).unwrap_or(self.action)
    }
}

fn arrays(actions: &[Action]) -> Vec<[f64; 7]> {
    actions.iter().map(Action::to_array).collect()
}

/// Reads `plan.jsonl`. A last line cut short by an interrupted run is left out.
///
/// # Errors
/// The line that is no step or not the next one, with its number and the reason.
pub fn read(path: &Path) -> Result<Vec<StepTrace>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|e| format!("can't read {}: {e}", path.display()))?;
    let mut steps = Vec::new();
    let whole = text.ends_with('\n');
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str::<StepTrace>(line) {
            Ok(step) if step.step as usize != steps.len() => {
                return Err(format!(
                    "{}:{}: step {} stands where step {} belongs: lines were left out, repeated or \
                     moved; take the file as `run` wrote it",
                    path.display(),
                    number + 1,
                    step.step,
                    steps.len()
                ))
            }
            Ok(step) => steps.push(step),
            Err(_) if !whole && number + 1 == lines.len() => {}
            Err(e) => {
                return Err(format!(
                    "{}:{}: not a step of a run ({e}); this program writes plan.jsonl with `run`",
                    path.display(),
                    number + 1
                ))
            }
        }
    }
    Ok(steps)
}
