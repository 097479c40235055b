//! A compact model's losses: the next latent foreseen, latents kept from collapsing, and what can be told
//! from them.
//!
//! LeWorldModel's (Maes and others, arXiv 2603.19312): nothing is detached, no network follows another.
//! To its two terms comes what latents must tell ([`told`]): inverse dynamics, which Push-T and manipulation
//! profit from (Pathak and others 2017), the hand's pose, changes of the picture.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use foresight_predictor::compact::{network, CompactConfig};
use foresight_predictor::layout::Entry;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::side_network::NetworkLayers;
use rayon::prelude::*;
use serde::Serialize;

use crate::head_variables::HeadVariables;
use crate::objectives::sigreg::{self, Sketch};
use crate::objectives::told::{self, CompactObjectives, Told};
use crate::train_state::TrainState;
use crate::trained_layers::TrainedLayers;

/// Pictures that are looked at together: each such piece has a graph of its own, which one core goes through
/// forwards and backwards with what it computes still at hand.
const PICTURES: usize = 16;

/// Clips, frame by frame.
#[derive(Debug, Clone)]
pub(crate) struct CompactBatch {
    /// Normalised pictures, `[B·T, 3, H, W]`.
    pub pictures: Tensor,
    /// What is to be told from them, and the actions that the predictor is told.
    pub told: Told,
    /// Decides the random directions.
    pub seed: u64,
}

/// The parts of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CompactLosses {
    /// What is minimised.
    pub total: f64,
    /// Mean squared error of the next latent.
    pub prediction: f64,
    /// The same, all the way from the first picture.
    pub rollout: f64,
    /// The Epps–Pulley statistic times the batch size, averaged over steps of time.
    pub sigreg: f64,
    /// Mean squared error of actions, told from true latents and from foreseen ones, added up.
    pub inverse_dynamics: f64,
    /// Mean squared error of the hand's pose, told from true latents and from foreseen ones, added up.
    pub proprioception: f64,
    /// The same of the picture's changes.
    pub changes: f64,
    /// Mean squared difference of neighbouring latents: what predicting no change would cost.
    pub persistence: f64,
}

/// Names and shapes of the parameters of a model in training: its own, and of what tells from its latents.
pub(crate) fn layout(config: &CompactConfig, objectives: &CompactObjectives) -> Vec<Entry> {
    let mut entries = foresight_predictor::compact::layout(config);
    entries.extend(told::layout(config, objectives));
    entries
}

/// The losses of latents `[B, T, D]`.
///
/// # Errors
/// When shapes don't agree.
pub fn losses(
    config: &CompactConfig,
    objectives: &CompactObjectives,
    layers: &impl NetworkLayers,
    latents: &Tensor,
    told: &Told,
    sketch: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<(Tensor, CompactLosses)> {
    let (batch, frames, d) = latents.dims3()?;
    let steps = (frames - 1).min(config.history);
    let actions = told.actions.narrow(1, 0, steps)?;
    let before = latents.narrow(1, 0, steps)?;
    let truth = latents.narrow(1, 1, steps)?;
    let foreseen = network::predict(config, layers, &before, &actions)?;
    let prediction = (&foreseen - &truth)?.sqr()?.mean_all()?;
    let mut regularity = Tensor::new(0f32, &Device::Cpu)?;
    for at in 0..frames {
        let of_step = latents.narrow(1, at, 1)?.squeeze(1)?.contiguous()?;
        regularity = (regularity + sketch(&of_step)?)?;
    }
    let regularity = (regularity * (batch as f64 / frames as f64))?;
    let mut loss = (&prediction + (&regularity * objectives.sigreg)?)?;
    let number = |t: &Tensor| Ok::<_, candle_core::Error>(f64::from(t.to_scalar::<f32>()?));
    let mut add = |weight: f64, term: Tensor| {
        loss = (&loss + (&term * weight)?)?;
        number(&term)
    };
    let asked = |name: &str, seen: [&Tensor; 2], right: &Tensor| -> Result<Tensor> {
        let [seen, foreseen] = seen.map(|seen| told::error(layers, name, seen, right));
        seen? + foreseen?
    };
    let (mut rollout, mut inverse_dynamics, mut proprioception, mut changes) = (0.0, 0.0, 0.0, 0.0);
    if objectives.inverse_dynamics > 0.0 {
        let pair = |after| Tensor::cat(&[&before, after], 2);
        let term = asked("inverse", [&pair(&truth)?, &pair(&foreseen)?], &actions)?;
        inverse_dynamics = add(objectives.inverse_dynamics, term)?;
    }
    if objectives.rollout + objectives.proprioception + objectives.changes > 0.0 {
        let later = latents.narrow(1, 1, frames - 1)?;
        let ahead = rolled_out(config, layers, latents, &told.actions)?;
        if objectives.rollout > 0.0 {
            rollout = add(objectives.rollout, (&ahead - &later)?.sqr()?.mean_all()?)?;
        }
        if let Some(right) = &told.poses {
            let imagined = Tensor::cat(&[&latents.narrow(1, 0, 1)?, &ahead], 1)?;
            let term = asked("pose", [latents, &imagined], right)?;
            proprioception = add(objectives.proprioception, term)?;
        }
        if let Some(right) = &told.changes {
            let first = latents.narrow(1, 0, 1)?;
            let first = first.broadcast_as((batch, frames - 1, d))?;
            let pair = |after| Tensor::cat(&[&first, after], 2);
            let term = asked("change", [&pair(&later)?, &pair(&ahead)?], right)?;
            changes = add(objectives.changes, term)?;
        }
    }
    let losses = CompactLosses {
        total: number(&loss)?,
        prediction: number(&prediction)?,
        rollout,
        sigreg: number(&regularity)?,
        inverse_dynamics,
        proprioception,
        changes,
        persistence: number(&(before - &truth)?.sqr()?.mean_all()?)?,
    };
    Ok((loss, losses))
}

/// What is foreseen from the first latent on, `[B, T − 1, D]`.
fn rolled_out(
    config: &CompactConfig,
    layers: &impl NetworkLayers,
    latents: &Tensor,
    actions: &Tensor,
) -> Result<Tensor> {
    let steps = actions.dim(1)?;
    let mut foreseen = vec![latents.narrow(1, 0, 1)?];
    for step in 0..steps {
        let oldest = (step + 1).saturating_sub(config.history);
        let window = Tensor::cat(&foreseen[oldest..], 1)?;
        let told = actions.narrow(1, oldest, step + 1 - oldest)?;
        let next = network::predict(config, layers, &window, &told)?;
        foreseen.push(next.narrow(1, step - oldest, 1)?);
    }
    Tensor::cat(&foreseen[1..], 1)
}

/// A compact model's parameters, gradients and optimiser.
#[derive(Debug)]
pub(crate) struct CompactTrainer {
    config: CompactConfig,
    objectives: CompactObjectives,
    /// Parameters, gradients and optimiser.
    pub(crate) state: TrainState,
}

impl CompactTrainer {
    /// Trains `parameters`, laid out as [`layout`].
    pub(crate) fn new(
        config: CompactConfig,
        objectives: CompactObjectives,
        parameters: Parameters,
    ) -> Self {
        CompactTrainer {
            config,
            objectives,
            state: TrainState::new(parameters),
        }
    }

    /// Losses of a batch; its gradients replace those of the last call.
    pub(crate) fn compute_gradients(&mut self, batch: &CompactBatch) -> Result<CompactLosses> {
        self.state.clear()?;
        let heads = self.state.heads(|_| true)?;
        let seen = self.see(&heads, batch)?;
        let latents = Var::from_tensor(&Tensor::cat(&seen, 0)?.detach())?;
        let (loss, losses) = self.losses(&heads, latents.as_tensor(), batch)?;
        let store = loss.backward()?;
        self.state.collect(&heads, &store)?;
        let Some(slopes) = store.get(&latents) else {
            candle_core::bail!("the loss doesn't depend on what is seen");
        };
        let slopes = slopes.detach();
        let pieces: Vec<GradStore> = seen
            .par_iter()
            .enumerate()
            .map(|(at, seen)| {
                let slopes = slopes.narrow(0, at * PICTURES, seen.dim(0)?)?;
                (seen * slopes)?.sum_all()?.backward()
            })
            .collect::<Result<_>>()?;
        for piece in &pieces {
            self.state.collect(&heads, piece)?;
        }
        Ok(losses)
    }

    /// Losses of a batch without touching anything.
    pub(crate) fn evaluate(&self, batch: &CompactBatch) -> Result<CompactLosses> {
        let heads = self.state.heads(|_| true)?;
        let latents = Tensor::cat(&self.see(&heads, batch)?, 0)?;
        Ok(self.losses(&heads, &latents, batch)?.1)
    }

    /// Latents `[PICTURES, D]` of a few pictures each, the last ones fewer.
    fn see(&self, heads: &HeadVariables, batch: &CompactBatch) -> Result<Vec<Tensor>> {
        let pictures = batch.pictures.dim(0)?;
        let pieces: Vec<usize> = (0..pictures).step_by(PICTURES).collect();
        let pieces = pieces.into_par_iter().map(|first| {
            let few = batch
                .pictures
                .narrow(0, first, PICTURES.min(pictures - first))?;
            network::encode(&self.config, &self.layers(heads), &few)
        });
        pieces.collect()
    }

    fn losses(
        &self,
        heads: &HeadVariables,
        latents: &Tensor,
        batch: &CompactBatch,
    ) -> Result<(Tensor, CompactLosses)> {
        let (clips, steps, _) = batch.told.actions.dims3()?;
        let latents = latents.reshape((clips, steps + 1, self.config.latent_dim))?;
        let sketch = |x: &Tensor| sigreg::statistic(x, Sketch::PUBLISHED, batch.seed);
        let layers = self.layers(heads);
        let (config, objectives) = (&self.config, &self.objectives);
        losses(config, objectives, &layers, &latents, &batch.told, sketch)
    }

    fn layers<'a>(&'a self, heads: &'a HeadVariables) -> TrainedLayers<'a> {
        TrainedLayers {
            network: None,
            state: &self.state,
            heads,
        }
    }
}
