//! What is done about an alarm: hold, retreat, or go back to the sub-goal that can mend it.

use foresight_planner::{Action, GripperRule, Pose};
use foresight_robot::{Arm, Observation};

use crate::env::Env;
use crate::episode_spec::EpisodeSpec;
use crate::error::RunResult;
use crate::scenario::Start;

/// Actions that a retreat may take.
const RETREAT_ACTIONS: u32 = 12;
/// The hand is back within this, m.
const BACK_M: f64 = 0.005;
/// The largest part of a way taken at once, m.
const PART_M: f64 = 0.07;
/// How far the opening hand rises before it tries again, m.
const RISE_M: f64 = 0.06;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// Nothing is lost: the hand still holds, or has let go where it should.
    GoOn,
    /// Begin again at this sub-goal.
    From(usize),
    /// No sub-goal can bring back what was lost.
    Hopeless,
}

/// What mends an alarm that was raised while sub-goal `goal` was pursued.
pub fn mending(spec: &EpisodeSpec, goal: usize, look: &Observation) -> Mending {
    let scenario = &spec.loaded.scenario;
    let rules: Vec<GripperRule> = scenario.subgoal.iter().map(|g| g.gripper).collect();
    let closes = |r: &GripperRule| matches!(r, GripperRule::Close | GripperRule::CloseLast);
    let opens = |r: &GripperRule| matches!(r, GripperRule::Open | GripperRule::OpenLast);
    let grasp = rules.iter().position(closes);
    let free = rules.contains(&GripperRule::Free);
    let release = grasp.and_then(|g| rules.iter().skip(g).position(opens).map(|n| g + n));
    if look.grasped || release.is_some_and(|release| goal >= release) {
        Mending::GoOn
    } else if grasp.is_some() || (free && scenario.start != Start::InHand) {
        Mending::From(0)
    } else {
        Mending::Hopeless
    }
}

/// Brings the hand back to where it last stood without an alarm, by ordinary actions: through
/// the envelope, the fingers as they are.
///
/// # Errors
/// [`crate::RunError::Arm`] when the arm can't be driven.
pub fn retreat(arm: &mut dyn Arm, to: &Pose) -> RunResult<String> {
    let mut far_m = f64::INFINITY;
    for _ in 0..RETREAT_ACTIONS {
        let here = arm.observe()?.pose;
        let mut action = here.action_to(to);
        action.gripper = 0.0;
        far_m = action.length_m();
        if far_m < BACK_M {
            return Ok("retreated to the last safe pose".into());
        }
        let execution = arm.execute(&action.part((PART_M / far_m).min(1.0)))?;
        if let Some(refusal) = execution.refusal {
            return Ok(format!("retreat refused: {refusal}"));
        }
        if execution.blocked {
            break;
        }
    }
    Ok(format!(
        "retreat ended {:.1} cm from the last safe pose",
        100.0 * far_m
    ))
}

/// Opens the hand, rises, and says what the sub-goals look like now.
///
/// # Errors
/// [`crate::RunError::Arm`] when the arm can't be driven.
pub fn begin_again(env: &mut Env, spec: &EpisodeSpec) -> RunResult<EpisodeSpec> {
    for gripper in [-1.0, 0.0] {
        let rise = Action {
            translation_m: [0.0, 0.0, RISE_M],
            gripper,
            ..Action::default()
        };
        env.arm().execute(&rise)?;
    }
    env.wait(0.5)?;
    Ok(match env.scene_now() {
        Some((scene, truth)) => spec.anew(scene, &truth),
        None => spec.clone(),
    })
}
