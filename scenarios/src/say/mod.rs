//! Sentences about scenes: how tasks are said, and how a sentence becomes goals.
//!
//! A sub-goal with `say` becomes as many as the model's goal head has stages ([`expand`]); their latents come
//! from the head where each begins ([`SentenceGoals`](crate::controllers::sentences::SentenceGoals)).

pub mod phrases;

use foresight_predictor::goal_head::GoalHead;
use foresight_sim::Scene;

use crate::error::{RunError, RunResult};
use crate::load::LoadedScenario;
use crate::scenario::SubGoalSpec;

/// Stands for a sentence in words drawn by the seed.
const PHRASING: &str = "{phrasing}";

/// What `say` says of a scene as it is drawn: names in place of `{object}` and `{target}`, a held-out phrasing in
/// place of `{phrasing}`.
pub fn sentence_about(say: &str, drawn: &Scene, seed: u64) -> String {
    let said = phrases::said(phrases::Act::Place, drawn, true, seed);
    phrases::filled(&say.replace(PHRASING, &said.sentence), drawn)
}

/// Pursues a sentence in place of the scenario's own sub-goals.
pub fn instead(loaded: &mut LoadedScenario, sentence: &str) {
    loaded.scenario.subgoal = vec![SubGoalSpec {
        name: "said".into(),
        steps: 1,
        image: None,
        pose: None,
        say: Some(sentence.to_owned()),
        stage: None,
        state: None,
        advance_below: None,
        gripper: foresight_planner::GripperRule::Free,
        object: 0,
        target: 0,
    }];
}

/// Gives every sub-goal that is said one sub-goal for each of the head's stages.
///
/// # Errors
/// [`RunError::Input`] when something is said to a model without a goal head, or a stage is not the head's.
pub fn expand(loaded: &mut LoadedScenario, head: Option<&GoalHead>) -> RunResult<()> {
    if loaded
        .scenario
        .subgoal
        .iter()
        .all(|goal| goal.say.is_none())
    {
        return Ok(());
    }
    let Some(head) = head else {
        return Err(RunError::Input(
            "a sentence is a goal for models with a goal head alone; train one with \
             `foresight train-goals DATA --model DIR`, or give goal images"
                .into(),
        ));
    };
    let stages = &head.config().stages;
    let mut goals = Vec::new();
    for goal in std::mem::take(&mut loaded.scenario.subgoal) {
        match (&goal.say, &goal.stage) {
            (None, _) => goals.push(goal),
            (Some(_), Some(stage)) if !stages.iter().any(|s| s.name == *stage) => {
                let names: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
                return Err(RunError::Input(format!(
                    "sub-goal {:?}: the goal head has no stage {stage:?}; it has {}",
                    goal.name,
                    names.join(", ")
                )));
            }
            (Some(_), Some(_)) => goals.push(goal),
            (Some(_), None) => goals.extend(stages.iter().map(|stage| SubGoalSpec {
                name: stage.name.clone(),
                steps: stage.steps,
                stage: Some(stage.name.clone()),
                gripper: stage.gripper,
                ..goal.clone()
            })),
        }
    }
    loaded.scenario.subgoal = goals;
    Ok(())
}
