//! Goals that are said: understood before anything moves, their latents made where each begins.

use std::sync::{Arc, Mutex};

use foresight_predictor::goal_head::sentence::{understand, Part, Understood};
use foresight_predictor::goal_head::GoalHead;
use foresight_predictor::Latent;
use serde::{Deserialize, Serialize};

use super::encode::EncodedObservation;
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};

/// A stage of a sentence as it was pursued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SaidStage {
    /// The sub-goal's number.
    pub goal: usize,
    /// The sentence.
    pub sentence: String,
    /// The object it names, as understood.
    pub object: Option<String>,
    /// The disc it names.
    pub target: Option<String>,
    /// The stage.
    pub stage: String,
    /// Probabilities, by the head, that object and disc are in view.
    pub fit: [f32; 2],
    /// Where the hand should be at its end, by the head, m.
    pub place_m: [f64; 3],
    /// The goal's latent.
    #[serde(skip)]
    pub latent: Vec<f32>,
}

/// What was made of sentences so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SaidLog(Arc<Mutex<Vec<SaidStage>>>);

impl SaidLog {
    /// The stages so far, in the order in which they began.
    pub fn stages(&self) -> Vec<SaidStage> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn push(&self, stage: SaidStage) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(stage);
    }
}

/// A sub-goal that is said.
#[derive(Debug)]
struct SentenceGoal {
    sentence: String,
    understood: Understood,
    words: Vec<u32>,
    stage: usize,
    /// Whether the sentence is pursued from here on: then it must fit what is seen.
    first: bool,
}

/// An episode's sub-goals that are said.
#[derive(Debug)]
pub struct SentenceGoals<'a> {
    head: &'a GoalHead,
    goals: Vec<Option<SentenceGoal>>,
    log: SaidLog,
    refused: Mutex<Option<RunError>>,
}

impl<'a> SentenceGoals<'a> {
    /// Those of an episode; `None` where nothing is said.
    ///
    /// # Errors
    /// [`RunError::NotUnderstood`] for a sentence that isn't, [`RunError::Input`] without a head.
    pub fn of(
        spec: &EpisodeSpec,
        head: Option<&'a GoalHead>,
        log: SaidLog,
    ) -> RunResult<Option<Self>> {
        let subgoals = &spec.loaded.scenario.subgoal;
        if subgoals.iter().all(|goal| goal.say.is_none()) {
            return Ok(None);
        }
        let head = head.ok_or_else(|| {
            RunError::Input(
                "a sentence is a goal for models with a goal head alone; train one with `foresight \
                 train-goals DATA --model DIR`"
                    .into(),
            )
        })?;
        let mut goals: Vec<Option<SentenceGoal>> = Vec::new();
        for (number, subgoal) in subgoals.iter().enumerate() {
            let Some(sentence) = spec.sentence(number) else {
                goals.push(None);
                continue;
            };
            let before = goals.last().and_then(Option::as_ref);
            let first = before.is_none_or(|b| b.sentence != sentence);
            let named = subgoal.stage.as_ref();
            let stage = head
                .config()
                .stages
                .iter()
                .position(|s| Some(&s.name) == named);
            let understood = heard(head, &sentence)?;
            let words = head.config().numbers(&understood.words);
            goals.push(Some(SentenceGoal {
                words: words.map_err(|_| RunError::NotUnderstood(sentence.clone()))?,
                stage: stage.unwrap_or_default(),
                sentence,
                understood,
                first,
            }));
        }
        Ok(Some(SentenceGoals {
            head,
            goals,
            log,
            refused: Mutex::new(None),
        }))
    }

    /// Whether a sub-goal is said.
    pub fn is_said(&self, goal: usize) -> bool {
        self.goals.get(goal).is_some_and(Option::is_some)
    }

    /// The latent of a goal that is said, begun where `encoded` is seen; `None` for the others. One that
    /// doesn't fit what is seen is refused: [`SentenceGoals::refused`].
    pub fn latent(&self, goal: usize, encoded: &EncodedObservation) -> Option<Latent> {
        let said = self.goals.get(goal)?.as_ref()?;
        let made = self
            .head
            .goal(&encoded.latent, &encoded.pose, &said.words, said.stage);
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                self.refuse(RunError::Imagination(error.to_string()));
                return None;
            }
        };
        let name = |part: &Option<Part>| part.as_ref().map(Part::name);
        let (object, target) = (name(&said.understood.object), name(&said.understood.target));
        if said.first {
            if let Some(what) = self.missing([&object, &target], made.fit) {
                self.refuse(RunError::NotUnderstood(what));
            }
        }
        self.log.push(SaidStage {
            goal,
            sentence: said.sentence.clone(),
            object,
            target,
            stage: self.head.config().stages[said.stage].name.clone(),
            fit: made.fit,
            place_m: made.place_m,
            latent: made.latent.values.clone(),
        });
        Some(made.latent)
    }

    /// What of a sentence isn't in view, in words.
    fn missing(&self, names: [&Option<String>; 2], fit: [f32; 2]) -> Option<String> {
        let least = self.head.config().least_fit;
        let at = (0..2).find(|i| fit[*i] < least[*i])?;
        let what = match names[at] {
            Some(name) => format!("no {name} in view"),
            None => "what was said doesn't fit what is in view".into(),
        };
        Some(format!(
            "{what} ({:.0} % sure that there is, {:.0} % is asked)",
            100.0 * fit[at],
            100.0 * least[at]
        ))
    }

    fn refuse(&self, why: RunError) {
        *self.refused.lock().unwrap_or_else(|e| e.into_inner()) = Some(why);
    }

    /// Why a goal can't be pursued, once.
    pub fn refused(&self) -> Option<RunError> {
        self.refused
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .take()
    }
}

/// What a head understands of a sentence.
///
/// # Errors
/// [`RunError::NotUnderstood`] says what is wrong with it.
pub fn heard(head: &GoalHead, sentence: &str) -> RunResult<Understood> {
    let config = head.config();
    understand(sentence, &config.vocabulary, config.most_words)
        .map_err(|e| RunError::NotUnderstood(e.to_string()))
}
