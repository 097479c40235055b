//! Behaviour cloning: the action a demonstrator took, and where the gripper moved next, told from
//! what was seen and what came later.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use serde::Serialize;

use crate::head_variables::HeadVariables;
use crate::train_state::TrainState;
use crate::trained_layers::TrainedLayers;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::policy::{self, PolicyConfig, ANSWERS, STEP_SCALE_M};

/// Moments that one core goes through together, forwards and backwards.
const PIECE: usize = 8;

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
    /// Parameters, gradients and optimiser.
    pub(crate) state: TrainState,
}

impl PolicyTrainer {
    /// Trains `parameters`, laid out as [`policy::layout`].
    pub(crate) fn new(config: PolicyConfig, parameters: Parameters) -> Self {
        PolicyTrainer {
            config,
            state: TrainState::new(parameters),
        }
    }

    /// Losses of a batch; its gradients replace those of the last call.
    pub(crate) fn compute_gradients(&mut self, batch: &PolicyBatch) -> Result<PolicyLosses> {
        self.state.clear()?;
        let heads = self.state.heads(|_| true)?;
        let pieces = self.pieces(&heads, batch, |loss| loss.backward())?;
        for (store, _) in &pieces {
            self.state.collect(&heads, store)?;
        }
        Ok(PolicyLosses::sum(
            pieces.into_iter().map(|(_, parts)| parts),
        ))
    }

    /// Losses of a batch without touching anything.
    pub(crate) fn evaluate(&self, batch: &PolicyBatch) -> Result<PolicyLosses> {
        let pieces = self.pieces(&self.state.heads(|_| true)?, batch, |_| Ok(()))?;
        Ok(PolicyLosses::sum(
            pieces.into_iter().map(|((), parts)| parts),
        ))
    }

    /// What `with` makes of the loss of every few moments, and its parts, translation and gripper: shares of the
    /// batch's.
    fn pieces<R: Send>(
        &self,
        heads: &HeadVariables,
        batch: &PolicyBatch,
        with: impl Fn(&Tensor) -> Result<R> + Sync,
    ) -> Result<Vec<(R, [f64; 2])>> {
        let layers = &TrainedLayers {
            network: None,
            state: &self.state,
            heads,
        };
        let (moments, answers) = (batch.states.dim(0)?, batch.actions.len());
        let firsts: Vec<usize> = (0..moments).step_by(PIECE).collect();
        let pieces = firsts.into_par_iter().map(|first| {
            let count = PIECE.min(moments - first);
            let few = |all: &Tensor| all.narrow(0, first, count);
            let pictures = [&few(&batch.now)?, &few(&batch.goal)?];
            let told = policy::answers(&self.config, layers, pictures, &few(&batch.states)?)?;
            let each = answers / moments;
            let taken = &batch.actions[first * each..][..count * each];
            let taken = taken.iter().flat_map(|a| {
                let [x, y, z] = [a[0], a[1], a[2]].map(|v| v / STEP_SCALE_M);
                [x, y, z, a[6]]
            });
            let taken = Tensor::from_iter(taken, &Device::Cpu)?.reshape((count * each, ANSWERS))?;
            let off = (told.reshape((count * each, ANSWERS))? - taken)?;
            let translations = (answers * (ANSWERS - 1)) as f64;
            let translation = (off.narrow(1, 0, ANSWERS - 1)?.abs()?.sum_all()? / translations)?;
            let gripper = (off.narrow(1, ANSWERS - 1, 1)?.sqr()?.sum_all()? / answers as f64)?;
            let number = |t: &Tensor| Ok::<_, candle_core::Error>(f64::from(t.to_scalar::<f32>()?));
            let parts = [number(&translation)?, number(&gripper)?];
            Ok((with(&(translation + gripper)?)?, parts))
        });
        pieces.collect()
    }
}

impl PolicyLosses {
    fn sum(parts: impl Iterator<Item = [f64; 2]>) -> Self {
        let [translation, gripper] =
            parts.fold([0.0; 2], |sum, part| [sum[0] + part[0], sum[1] + part[1]]);
        PolicyLosses {
            total: translation + gripper,
            translation,
            gripper,
        }
    }
}
