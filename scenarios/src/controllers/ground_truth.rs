//! Imagination with the true dynamics: every candidate is tried out in a copy of the simulator
//! and its picture encoded. Only the encoder is left of the model, so what still fails is the
//! encoder's, the energy's or the schedule's fault, not the predictor's. Slow: hundreds of
//! simulated motions a decision.

use std::sync::{Arc, Mutex};

use foresight_planner::{ActionSequences, Energy, EnergyError, Slack};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::{ego_motion, Latent, PredictorError, WorldModel};
use foresight_robot::{Arm, EnvelopeConfig, VirtualArm, VirtualArmConfig};
use foresight_sim::Simulator;
use rayon::prelude::*;

use crate::episode_spec::EpisodeSpec;

/// The simulator as the arm's last look left it.
#[derive(Clone, Default)]
pub struct Snapshot(Arc<Mutex<Option<Simulator>>>);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Keeps a copy.
    pub fn set(&self, simulator: &Simulator) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = Some(simulator.clone());
    }

    fn get(&self) -> Option<Simulator> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// What a copy of the simulator needs to be driven like the original.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    snapshot: Snapshot,
    envelope: EnvelopeConfig,
    config: VirtualArmConfig,
}

impl Rehearsal {
    /// For an instance's arm.
    pub fn new(instance: &EpisodeSpec) -> Self {
        let scenario = &instance.loaded.scenario;
        Rehearsal {
            snapshot: Snapshot::default(),
            envelope: scenario.safety,
            config: VirtualArmConfig {
                frame_width: scenario.camera.width_px,
                frame_height: scenario.camera.height_px,
                ..VirtualArmConfig::default()
            },
        }
    }

    /// Where the env leaves its state.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The energy of action sequences at a distance to the goal.
    pub fn energy<'a>(
        &'a self,
        model: &'a WorldModel,
        distance: GoalDistance<'a>,
    ) -> TrueEnergy<'a> {
        TrueEnergy {
            rehearsal: self,
            model,
            distance,
        }
    }

    /// The weights for a pursuit of `goal` that begins with `context`, measured by rehearsed moves
    /// unless `weighting` is uniform.
    ///
    /// # Errors
    /// When a move can't be rehearsed.
    pub fn weights(
        &self,
        model: &WorldModel,
        [context, goal]: [&Latent; 2],
        weighting: GoalWeighting,
        slack: Option<&Slack>,
    ) -> Result<GoalWeights, PredictorError> {
        if weighting.is_uniform() {
            return Ok(GoalWeights::uniform());
        }
        let moves = ego_motion::probe_actions(&model.config().action_space, slack);
        let after = self
            .energy(model, GoalDistance::plain(&goal.values))
            .rehearse(&moves, <[f32]>::to_vec)?;
        let change = ego_motion::latent_sensitivity(&context.values, &after);
        Ok(GoalWeights::measure(
            &context.values,
            &goal.values,
            &change,
            weighting,
        ))
    }
}

/// Distance between the goal and what is really seen after the actions.
#[derive(Debug)]
pub struct TrueEnergy<'a> {
    rehearsal: &'a Rehearsal,
    model: &'a WorldModel,
    distance: GoalDistance<'a>,
}

impl TrueEnergy<'_> {
    /// What `keep` returns of each sequence's last latent `[N, D]`, in sample order.
    fn rehearse<R: Send>(
        &self,
        sequences: &ActionSequences,
        keep: impl Fn(&[f32]) -> R + Sync,
    ) -> Result<Vec<R>, PredictorError> {
        let Some(simulator) = self.rehearsal.snapshot.get() else {
            let what = "true dynamics need a simulator in virtual time";
            return Err(PredictorError::Model(what.into()));
        };
        (0..sequences.samples())
            .into_par_iter()
            .map(|sample| {
                let latent = self.after(&simulator, sequences, sample)?;
                Ok(keep(&latent.values))
            })
            .collect()
    }

    fn after(
        &self,
        from: &Simulator,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Result<Latent, PredictorError> {
        let failed = |e: &dyn std::fmt::Display| PredictorError::Model(e.to_string());
        let Rehearsal {
            envelope, config, ..
        } = self.rehearsal;
        let mut arm =
            VirtualArm::with_simulator(from.clone(), *envelope, *config).map_err(|e| failed(&e))?;
        for step in 0..sequences.horizon() {
            arm.execute(&sequences.action_at(sample, step))
                .map_err(|e| failed(&e))?;
        }
        let seen = arm.observe().map_err(|e| failed(&e))?;
        let latent = self.model.encode(&[&seen.frame.image])?.into_iter().next();
        latent.ok_or_else(|| failed(&"the encoder returned no latent"))
    }
}

impl Energy for TrueEnergy<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        self.rehearse(sequences, |latent| self.distance.of(latent))
            .map_err(|e| EnergyError(Box::new(e)))
    }
}
