//! Behaviour cloning: the action a demonstrator took, and where the gripper moved next, told from
//! what was seen and what came later.

use candle_core::{Device, Result, Tensor};
use serde::Serialize;

use crate::head_variables::HeadVariables;
use crate::train_state::TrainState;
use crate::trained_layers::TrainedLayers;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::policy::{self, PolicyConfig, ANSWERS, STEP_SCALE_M};

/// A batch of moments of demonstrations; the goal is a later frame of the same demonstration
/// (hindsight).
#[derive(Debug, Clone)]
pub(crate) struct PolicyBatch {
    /// Normalised pixels of the moments, `[B, 3, H, W]`.
    pub now: Tensor,
    /// Normalised pixels of the later frames, `[B, 3, H, W]`.
    pub goal: Tensor,
    /// Poses as the policy is told them, `[B, 7]`.
    pub states: Tensor,
    /// What it should answer: as many actions a moment as it has answers.
    pub actions: Vec<[f32; 7]>,
}

/// The parts of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct PolicyLosses {
    /// The sum of the others.
    pub total: f64,
    /// Mean absolute error of translations, in units of a step's bound: a demonstrator's noise doesn't
    /// move a median.
    pub translation: f64,
    /// Mean squared error of the gripper's movement: its answer is then how sure it is, where a median
    /// would say nothing until it is more likely than not.
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
        let heads = self.state.heads(|_| true)?;
        let layers = TrainedLayers {
            network: None,
            state: &self.state,
            heads: &heads,
        };
        let pictures = [&batch.now, &batch.goal];
        let told = policy::answers(&self.config, &layers, pictures, &batch.states)?;
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
        let off = (told - taken)?;
        let translation = off.narrow(1, 0, ANSWERS - 1)?.abs()?.mean_all()?;
        let gripper = off.narrow(1, ANSWERS - 1, 1)?.sqr()?.mean_all()?;
        let loss = (&translation + &gripper)?;
        let number = |t: &Tensor| Ok::<_, candle_core::Error>(f64::from(t.to_scalar::<f32>()?));
        let losses = PolicyLosses {
            total: number(&loss)?,
            translation: number(&translation)?,
            gripper: number(&gripper)?,
        };
        Ok((loss, losses, heads))
    }
}
