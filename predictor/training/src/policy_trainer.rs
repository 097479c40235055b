//! Behaviour cloning: the action a demonstrator took, told from what was seen and what came later.

use candle_core::{Device, Result, Tensor};
use serde::Serialize;

use crate::head_variables::HeadVariables;
use crate::objectives::outside_blocks;
use crate::train_state::TrainState;
use crate::trained_layers::TrainedLayers;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::policy::{self, PolicyConfig, ANSWERS, STEP_SCALE_M};

/// A batch of moments of demonstrations; the goal is a later frame of the same demonstration
/// (hindsight).
#[derive(Debug, Clone)]
pub(crate) struct PolicyBatch {
    /// Normalised latents of the moments, `[B, N, D]`.
    pub now: Tensor,
    /// Normalised latents of the later frames, `[B, N, D]`.
    pub goal: Tensor,
    /// Poses, `[B, 7]`.
    pub states: Tensor,
    /// Actions taken, as many a moment as the policy answers with.
    pub actions: Vec<[f32; 7]>,
}

/// The parts of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct PolicyLosses {
    /// Mean absolute error, translations in units of a step's bound.
    pub total: f64,
    /// That of the gripper alone.
    pub gripper: f64,
}

/// A policy's parameters, gradients and optimiser.
#[derive(Debug)]
pub(crate) struct PolicyTrainer {
    config: PolicyConfig,
    state: TrainState,
}

impl PolicyTrainer {
    /// Trains `parameters`, laid out as [`policy::layout`].
    pub(crate) fn new(config: PolicyConfig, parameters: Parameters) -> Self {
        PolicyTrainer {
            config,
            state: TrainState::new(parameters),
        }
    }

    /// Parameters, gradients and optimiser.
    pub(crate) fn state(&self) -> &TrainState {
        &self.state
    }

    /// Parameters, gradients and optimiser, to update or restore them.
    pub(crate) fn state_mut(&mut self) -> &mut TrainState {
        &mut self.state
    }

    /// Losses of a batch; its gradients replace those of the last call.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub(crate) fn compute_gradients(&mut self, batch: &PolicyBatch) -> Result<PolicyLosses> {
        self.state.clear()?;
        let (loss, losses, heads) = self.losses(batch)?;
        self.state.collect(&heads, &loss.backward()?)?;
        Ok(losses)
    }

    /// Losses of a batch without touching anything.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub(crate) fn evaluate(&self, batch: &PolicyBatch) -> Result<PolicyLosses> {
        Ok(self.losses(batch)?.1)
    }

    fn losses(&self, batch: &PolicyBatch) -> Result<(Tensor, PolicyLosses, HeadVariables)> {
        let heads = self.state.heads(outside_blocks)?;
        let latents = [&batch.now, &batch.goal];
        let layers = TrainedLayers {
            network: &self.config.network,
            state: &self.state,
            heads: &heads,
        };
        let told = policy::answers(&self.config, &layers, latents, &batch.states)?;
        let taken: Vec<f32> = batch
            .actions
            .iter()
            .flat_map(|a| {
                let [x, y, z] = [a[0], a[1], a[2]].map(|v| v / STEP_SCALE_M);
                [x, y, z, a[6]]
            })
            .collect();
        let told = told.reshape((batch.actions.len(), ANSWERS))?;
        let taken = Tensor::from_vec(taken, told.dims2()?, &Device::Cpu)?;
        let off = (told - taken)?.abs()?;
        let loss = off.mean_all()?;
        let gripper = off.narrow(1, ANSWERS - 1, 1)?.mean_all()?;
        let losses = PolicyLosses {
            total: f64::from(loss.to_scalar::<f32>()?),
            gripper: f64::from(gripper.to_scalar::<f32>()?),
        };
        Ok((loss, losses, heads))
    }
}
