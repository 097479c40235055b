//! The true dynamics as a cost model: every candidate is tried out in a copy of the simulator and
//! its picture encoded. Only the encoder is left of the model, so what still fails is the encoder's,
//! the energy's or the schedule's fault, not the predictor's. Slow: hundreds of simulated motions a
//! decision.

use foresight_planner::{Action, ActionSequences, CostModel, Energy, EnergyError, RelativeBounds};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::{Latent, PredictorError, WorldModel};
use foresight_robot::{Arm, EnvelopeConfig, Observation, VirtualArm, VirtualArmConfig};
use foresight_sim::Simulator;
use rayon::prelude::*;

use super::encode::EncodedObservation;
use crate::action_map::ActionMap;
use crate::env::{virtual_arm_config, ObservedSimulator};
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};

/// A model's encoder with an episode's goals encoded, and the simulator for a predictor.
#[derive(Debug)]
pub struct TrueDynamics<'a> {
    model: &'a WorldModel,
    /// The latents of the goal images.
    goals: Vec<Latent>,
    /// How differences to them are weighed.
    weighting: GoalWeighting,
    observed: ObservedSimulator,
    // What a copy of the simulator needs to be driven like the original.
    envelope: EnvelopeConfig,
    config: VirtualArmConfig,
    action_map: ActionMap,
}

/// An observation, and the simulator it was made in.
pub struct TrueState {
    seen: EncodedObservation,
    simulator: Simulator,
}

/// A goal of [`TrueDynamics`], with what its latent's entries count while it is pursued.
#[derive(Debug)]
pub struct TrueGoal {
    number: usize,
    weights: GoalWeights,
}

impl<'a> TrueDynamics<'a> {
    /// Towards `goals`, in copies of an episode's arm.
    pub fn new(model: &'a WorldModel, goals: Vec<Latent>, spec: &EpisodeSpec) -> Self {
        let scenario = &spec.loaded.scenario;
        TrueDynamics {
            model,
            goals,
            weighting: scenario.goal_weighting(),
            observed: ObservedSimulator::default(),
            envelope: scenario.safety,
            config: virtual_arm_config(spec),
            action_map: scenario.action_map(),
        }
    }

    /// Where the environment has to leave its simulator at every observation.
    pub fn observed(&self) -> ObservedSimulator {
        self.observed.clone()
    }

    /// What `keep` returns of the latents `[N, D]` really seen after the steps of each sequence for
    /// which `look` says yes, in sample order.
    fn rollout<R: Send>(
        &self,
        from: &Simulator,
        sequences: &ActionSequences,
        look: impl Fn(usize) -> bool + Sync,
        keep: impl Fn(Vec<Vec<f32>>) -> R + Sync,
    ) -> Result<Vec<R>, PredictorError> {
        let failed = |e: &dyn std::fmt::Display| PredictorError::Model(e.to_string());
        (0..sequences.samples())
            .into_par_iter()
            .map(|sample| {
                let mut arm = VirtualArm::with_simulator(from.clone(), self.envelope, self.config)
                    .map_err(|e| failed(&e))?;
                let mut seen = Vec::new();
                for step in 0..sequences.horizon() {
                    let asked = self.action_map.apply(&sequences.action_at(sample, step));
                    arm.execute(&asked).map_err(|e| failed(&e))?;
                    if look(step) {
                        let observation = arm.observe().map_err(|e| failed(&e))?;
                        let encoded = EncodedObservation::new(self.model, &observation)?;
                        seen.push(encoded.latent.values);
                    }
                }
                Ok(keep(seen))
            })
            .collect()
    }
}

impl CostModel for TrueDynamics<'_> {
    type Observation = Observation;
    type Encoded = TrueState;
    type GoalContext = TrueGoal;
    type Error = RunError;

    fn encode(&self, observation: &Observation) -> RunResult<TrueState> {
        let needs = || RunError::Input("true dynamics need a simulator in virtual time".into());
        Ok(TrueState {
            simulator: self.observed.get().ok_or_else(needs)?,
            seen: EncodedObservation::new(self.model, observation)?,
        })
    }

    fn foresee(&self, _: TrueState, _: &Action) -> RunResult<TrueState> {
        Err(RunError::Input(
            "true dynamics begin at rest; set motion = \"stop_and_go\"".into(),
        ))
    }

    fn distance(&self, state: &TrueState, goal: usize) -> f32 {
        state.seen.latent.distance(&self.goals[goal])
    }

    fn begin_goal(
        &self,
        goal: usize,
        state: &TrueState,
        bounds: Option<&RelativeBounds>,
    ) -> RunResult<TrueGoal> {
        let latents = [&state.seen.latent, &self.goals[goal]].map(|l| &l.values[..]);
        let space = &self.model.config().action_space;
        let weights = GoalWeights::by_moving(self.weighting, latents, space, bounds, |moves| {
            let last = |step| step + 1 == moves.horizon();
            self.rollout(&state.simulator, moves, last, |seen| seen.concat())
        });
        Ok(TrueGoal {
            number: goal,
            weights: weights?,
        })
    }

    fn energy<'a>(&'a self, state: &'a TrueState, goal: &'a TrueGoal) -> impl Energy + 'a {
        TrueEnergy {
            dynamics: self,
            from: &state.simulator,
            distance: GoalDistance::weighed(&self.goals[goal.number].values, &goal.weights),
        }
    }
}

/// Distance between the goal and what is really seen after the actions.
struct TrueEnergy<'a> {
    dynamics: &'a TrueDynamics<'a>,
    from: &'a Simulator,
    distance: GoalDistance<'a>,
}

impl Energy for TrueEnergy<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let last = |step| step + 1 == sequences.horizon();
        self.dynamics
            .rollout(self.from, sequences, last, |seen| {
                seen.iter().map(|latent| self.distance.of(latent)).sum()
            })
            .map_err(|e| EnergyError(Box::new(e)))
    }

    fn energies_along(
        &self,
        sequences: &ActionSequences,
        weights: &[f32],
    ) -> Result<Vec<f32>, EnergyError> {
        let all = |_| true;
        self.dynamics
            .rollout(self.from, sequences, all, |seen| {
                let steps = seen.iter().zip(weights);
                steps.map(|(z, weight)| weight * self.distance.of(z)).sum()
            })
            .map_err(|e| EnergyError(Box::new(e)))
    }
}
