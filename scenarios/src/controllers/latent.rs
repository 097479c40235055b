//! The world model as a cost model: actions cost what the predictor's last latent is away from the
//! goal's.

use std::sync::OnceLock;

use foresight_planner::{Action, CostModel, Energy, RelativeBounds};
use foresight_predictor::goal_distance::{GoalWeighting, GoalWeights};
use foresight_predictor::{Latent, LatentEnergy, WorldModel};
use foresight_robot::Observation;

use super::encode::{EncodedObservation, LastLook};
use super::sentences::SentenceGoals;
use crate::error::{RunError, RunResult};

/// A world model with an episode's goals encoded.
#[derive(Debug)]
pub struct LatentModel<'a> {
    model: &'a WorldModel,
    /// The latents of the goal images; of what is said once it is pursued.
    goals: Vec<OnceLock<Latent>>,
    /// The goals that are said.
    sentences: Option<SentenceGoals<'a>>,
    /// How differences to them are weighed.
    weighting: GoalWeighting,
    /// Where the camera stands, for predictors that take it.
    extrinsics: Option<[f32; 6]>,
    looks: LastLook,
}

/// A goal of [`LatentModel`], with what its latent's entries count while it is pursued.
#[derive(Debug)]
pub struct LatentGoal {
    number: usize,
    weights: GoalWeights,
}

impl<'a> LatentModel<'a> {
    /// Towards `goals`; `extrinsics` is the camera's pose for predictors that take it, see
    /// [`EpisodeSpec::extrinsics_for`](crate::EpisodeSpec::extrinsics_for).
    pub fn new(
        model: &'a WorldModel,
        goals: Vec<Latent>,
        weighting: GoalWeighting,
        extrinsics: Option<[f64; 6]>,
    ) -> Self {
        LatentModel {
            model,
            goals: goals.into_iter().map(OnceLock::from).collect(),
            sentences: None,
            weighting,
            extrinsics: extrinsics.map(|e| e.map(|v| v as f32)),
            looks: LastLook::default(),
        }
    }

    /// That shares its looks with whoever else encodes them.
    pub fn with_looks(self, looks: LastLook) -> Self {
        LatentModel { looks, ..self }
    }

    /// With goals that are said in place of those images.
    pub fn with_sentences(mut self, sentences: Option<SentenceGoals<'a>>) -> Self {
        if let Some(said) = &sentences {
            for (number, goal) in self.goals.iter_mut().enumerate() {
                if said.is_said(number) {
                    *goal = OnceLock::new();
                }
            }
        }
        LatentModel { sentences, ..self }
    }

    /// A goal's latent; one that is said is made of what is seen when it is first asked for. Where that
    /// can't be, the goal is what is seen, and never pursued: `begin_goal` refuses.
    pub(super) fn goal(&self, number: usize, encoded: &EncodedObservation) -> &Latent {
        let said = || self.sentences.as_ref()?.latent(number, encoded);
        self.goals[number].get_or_init(|| said().unwrap_or_else(|| encoded.latent.clone()))
    }

    /// What the encoder sees of an observation's frame, `[3, H, W]`.
    pub(super) fn pixels(&self, observation: &Observation) -> RunResult<Vec<f32>> {
        Ok(self.model.pixels(&observation.frame.image)?)
    }

    /// Whether a goal is a sentence.
    pub(super) fn says(&self, number: usize) -> bool {
        self.sentences.as_ref().is_some_and(|s| s.is_said(number))
    }

    /// Where the camera stands, for predictors that take it.
    pub(super) fn extrinsics(&self) -> Option<[f32; 6]> {
        self.extrinsics
    }

    /// The energy of action sequences that start where `encoded` was seen, towards any latent.
    pub(super) fn energy_towards<'b>(
        &'b self,
        encoded: &'b EncodedObservation,
        goal: &'b Latent,
    ) -> LatentEnergy<'b> {
        let (latent, pose) = (&encoded.latent, &encoded.pose);
        let budget = self.model.budget();
        let energy = self.model.energy(latent, pose, goal, budget);
        energy.with_extrinsics(self.extrinsics)
    }

    /// What differences to `goal` count in a pursuit that begins where `encoded` was seen, weighed as
    /// the model's own are.
    pub(super) fn weights_towards(
        &self,
        encoded: &EncodedObservation,
        goal: &Latent,
        weighting: GoalWeighting,
        bounds: Option<&RelativeBounds>,
    ) -> RunResult<GoalWeights> {
        let weights = self
            .energy_towards(encoded, goal)
            .weights(weighting, bounds);
        weights.map_err(|e| RunError::Imagination(e.to_string()))
    }

    /// How differences to goals are weighed.
    pub(super) fn weighting(&self) -> GoalWeighting {
        self.weighting
    }
}

impl CostModel for LatentModel<'_> {
    type Observation = Observation;
    type Encoded = EncodedObservation;
    type GoalContext = LatentGoal;
    type Error = RunError;

    fn encode(&self, observation: &Observation) -> RunResult<EncodedObservation> {
        Ok(self.looks.encode(self.model, observation)?)
    }

    fn foresee(
        &self,
        encoded: EncodedObservation,
        committed: &Action,
    ) -> RunResult<EncodedObservation> {
        Ok(encoded.foresee(self.model, self.extrinsics, committed)?)
    }

    fn distance(&self, encoded: &EncodedObservation, goal: usize) -> f32 {
        encoded.latent.distance(self.goal(goal, encoded))
    }

    fn begin_goal(
        &self,
        goal: usize,
        encoded: &EncodedObservation,
        bounds: Option<&RelativeBounds>,
    ) -> RunResult<LatentGoal> {
        let to = self.goal(goal, encoded);
        if let Some(why) = self.sentences.as_ref().and_then(SentenceGoals::refused) {
            return Err(why);
        }
        Ok(LatentGoal {
            number: goal,
            weights: self.weights_towards(encoded, to, self.weighting, bounds)?,
        })
    }

    fn energy<'a>(
        &'a self,
        encoded: &'a EncodedObservation,
        goal: &'a LatentGoal,
    ) -> impl Energy + 'a {
        self.energy_towards(encoded, self.goal(goal.number, encoded))
            .with_weights(&goal.weights)
    }
}
