//! A goal head's losses and gradients.

use candle_core::{Result, Tensor};
use serde::Serialize;

use crate::head_variables::HeadVariables;
use crate::objectives::outside_blocks;
use crate::train_state::TrainState;
use crate::trained_layers::TrainedLayers;
use foresight_predictor::goal_head::network::{answers, Answered, Asked, PLACE_SCALE_M};
use foresight_predictor::goal_head::GoalHeadConfig;
use foresight_predictor::parameters::Parameters;

/// What the parts of the loss count.
const PLACE_WEIGHT: f64 = 0.5;
const FIT_WEIGHT: f64 = 0.2;

/// A batch of moments, sentences and stages.
pub(crate) struct GoalBatch {
    /// What is asked.
    pub(crate) asked: Asked,
    /// Latents at the end of the stages, `[B, N, D]`.
    pub(crate) goal: Tensor,
    /// Places of the hand then, `[B, 3]`.
    pub(crate) place: Tensor,
    /// 1 where goal and place are the sentence's, 0 where the sentence is about something absent, `[B]`.
    pub(crate) true_said: Tensor,
    /// Whether object and disc are there: 0 or 1, `[B, 2]`.
    pub(crate) there: Tensor,
    /// 1 where that is known, `[B, 2]`.
    pub(crate) known: Tensor,
}

/// The parts of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct GoalLosses {
    /// All of it.
    pub(crate) total: f64,
    /// Mean L1 of the goal's latent.
    pub(crate) goal: f64,
    /// The same of taking what is seen for it.
    pub(crate) standing: f64,
    /// Mean absolute error of a coordinate of the place, m.
    pub(crate) place_m: f64,
    /// Share of the fits on the right side of a half.
    pub(crate) fit: f64,
}

/// A goal head's parameters, gradients and optimiser.
pub(crate) struct GoalTrainer {
    pub(crate) config: GoalHeadConfig,
    /// Parameters, gradients and optimiser.
    pub(crate) state: TrainState,
}

impl GoalTrainer {
    pub(crate) fn new(config: GoalHeadConfig, parameters: Parameters) -> Self {
        GoalTrainer {
            config,
            state: TrainState::new(parameters),
        }
    }

    /// Losses of a batch; its gradients replace those of the last call.
    pub(crate) fn compute_gradients(&mut self, batch: &GoalBatch) -> Result<GoalLosses> {
        self.state.clear()?;
        let (loss, losses, heads) = self.losses(batch)?;
        self.state.collect(&heads, &loss.backward()?)?;
        Ok(losses)
    }

    /// Losses of a batch without touching anything.
    pub(crate) fn evaluate(&self, batch: &GoalBatch) -> Result<GoalLosses> {
        Ok(self.losses(batch)?.1)
    }

    /// What the head answers now.
    pub(crate) fn answer(&self, asked: &Asked) -> Result<Answered> {
        self.answered(asked, &self.state.heads(outside_blocks)?)
    }

    fn answered(&self, asked: &Asked, heads: &HeadVariables) -> Result<Answered> {
        let layers = TrainedLayers {
            network: Some(&self.config.network),
            state: &self.state,
            heads,
        };
        answers(&self.config, &layers, asked)
    }

    fn losses(&self, batch: &GoalBatch) -> Result<(Tensor, GoalLosses, HeadVariables)> {
        let heads = self.state.heads(outside_blocks)?;
        let answered = self.answered(&batch.asked, &heads)?;
        let told = batch.true_said.sum_all()?.to_scalar::<f32>()?.max(1.0);
        // A mean over the entries of the moments whose sentence is true.
        let of_true = |off: Tensor| -> Result<Tensor> {
            let each = off.flatten_from(1)?.mean(1)?;
            (each * &batch.true_said)?.sum_all()? / f64::from(told)
        };
        let goal = of_true((&answered.goal - &batch.goal)?.abs()?)?;
        let standing = of_true((&batch.asked.now - &batch.goal)?.abs()?)?;
        let place = of_true((&answered.place - &batch.place)?.abs()?)?;
        let fit = cross_entropy(&answered.fit, &batch.there, &batch.known)?;
        let loss = ((&goal + (&place * PLACE_WEIGHT)?)? + (&fit * FIT_WEIGHT)?)?;
        let number =
            |tensor: &Tensor| Ok::<f64, candle_core::Error>(f64::from(tensor.to_scalar::<f32>()?));
        let losses = GoalLosses {
            total: number(&loss)?,
            goal: number(&goal)?,
            standing: number(&standing)?,
            place_m: number(&place)? * f64::from(PLACE_SCALE_M),
            fit: right(&answered.fit, &batch.there, &batch.known)?,
        };
        Ok((loss, losses, heads))
    }
}

/// Binary cross-entropy of logits, where it is known what they should say.
fn cross_entropy(logits: &Tensor, told: &Tensor, known: &Tensor) -> Result<Tensor> {
    let soft = ((logits.abs()?.neg()?.exp()? + 1.0)?).log()?;
    let each = ((logits.relu()? - (logits * told)?)? + soft)?;
    let count = known.sum_all()?.to_scalar::<f32>()?.max(1.0);
    (each * known)?.sum_all()? / f64::from(count)
}

/// Share of logits on the right side, where it is known.
fn right(logits: &Tensor, told: &Tensor, known: &Tensor) -> Result<f64> {
    let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    let (logits, told, known) = (flat(logits)?, flat(told)?, flat(known)?);
    let judged = logits
        .iter()
        .zip(&told)
        .zip(&known)
        .filter(|(_, k)| **k > 0.0);
    let judged: Vec<bool> = judged.map(|((l, t), _)| (*l > 0.0) == (*t > 0.5)).collect();
    let right = judged.iter().filter(|right| **right).count();
    Ok(right as f64 / judged.len().max(1) as f64)
}
