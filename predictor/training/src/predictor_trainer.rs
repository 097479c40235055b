//! One training step of the action-conditioned predictor, as in the official recipe.
//!
//! Official code: `app/vjepa_droid/train.py`, `forward_predictions` and `loss_fn`.

use crate::objectives::outside_blocks;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::change_directions::ChangeDirections;
use crate::device_forward::DeviceForward;
use crate::errors::{self, Error};
use crate::forward::PredictorForward;
use crate::head_variables::HeadVariables;
use crate::predictor_batch::PredictorBatch;
use crate::train_state::TrainState;
use crate::training_device::TrainingDevice;
use foresight_predictor::config::PredictorConfig;
use foresight_predictor::parameters::Parameters;

/// What the loss is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorLossOptions {
    /// Steps of the autoregressive rollout, counting the teacher-forced first one. Default 2.
    pub auto_steps: usize,
    /// Exponent `p` of the loss `|z − h|ᵖ / p`. Default 1.
    pub loss_exp: f64,
    /// Weight of the rollout loss beside the teacher-forced one. Default 1, as official.
    pub rollout_weight: f64,
    /// How a prediction is measured. Default: as official.
    #[serde(default)]
    pub metric: LatentMetric,
    /// With [`LatentMetric::Whitened`]: weight of `|z − h|ᵖ / p` beside the squared error. Default 1.
    #[serde(default = "one")]
    pub latent_weight: f64,
    /// With [`LatentMetric::Whitened`]: weight of the squared error along the directions. Default 1.
    #[serde(default = "one")]
    pub whitened_weight: f64,
    /// With [`LatentMetric::Whitened`]: number of directions, K. Default 256.
    #[serde(default = "directions")]
    pub whitened_directions: usize,
}

fn one() -> f64 {
    1.0
}

fn directions() -> usize {
    256
}

/// How far a predicted latent is from the true one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatentMetric {
    /// `|z − h|ᵖ / p` over all entries: what V-JEPA 2-AC was trained with.
    #[default]
    L1,
    /// That, and the squared error along the whitened [`ChangeDirections`]: for models that are to
    /// foresee what the hand does to objects.
    Whitened,
}

impl Default for PredictorLossOptions {
    fn default() -> Self {
        PredictorLossOptions {
            auto_steps: 2,
            loss_exp: 1.0,
            rollout_weight: 1.0,
            metric: LatentMetric::L1,
            latent_weight: one(),
            whitened_weight: one(),
            whitened_directions: directions(),
        }
    }
}

/// The parts of one step's loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Losses {
    /// Teacher-forced prediction of every next frame.
    pub teacher_forced: f64,
    /// Autoregressive rollout.
    pub rollout: f64,
    /// Squared error along the whitened directions, teacher-forced and rolled out alike weighted
    /// as the others; 0 where it isn't asked for.
    pub whitened: f64,
    /// What is minimised.
    pub total: f64,
}

/// Predictions of one batch.
#[derive(Debug, Clone)]
pub struct Predictions {
    /// Teacher-forced, `[B, (T−1)·N, D]`, normalised.
    pub teacher_forced: Tensor,
    /// Rolled out, `[B, auto_steps·N, D]`, normalised.
    pub rollout: Tensor,
}

/// Predictor parameters, gradients and optimiser.
#[derive(Debug)]
pub struct PredictorTrainer {
    config: PredictorConfig,
    options: PredictorLossOptions,
    state: TrainState,
    /// Absent: our kernels on the CPU.
    device: Option<TrainingDevice>,
    /// Needed by [`LatentMetric::Whitened`].
    directions: Option<ChangeDirections>,
}

impl PredictorTrainer {
    /// Trains `parameters`, laid out as [`foresight_predictor::layout::predictor`].
    pub fn new(
        config: PredictorConfig,
        parameters: Parameters,
        options: PredictorLossOptions,
    ) -> Self {
        Self::with_state(config, TrainState::new(parameters), options)
    }

    /// Trains what `state` holds, laid out as [`foresight_predictor::layout::predictor`].
    pub fn with_state(
        config: PredictorConfig,
        state: TrainState,
        options: PredictorLossOptions,
    ) -> Self {
        PredictorTrainer {
            config,
            options,
            state,
            device: None,
            directions: None,
        }
    }

    /// With the directions of [`LatentMetric::Whitened`].
    #[must_use]
    pub fn along(mut self, directions: Option<ChangeDirections>) -> Self {
        self.directions = directions;
        self
    }

    /// With forward and backward passes through candle on `device` instead of our kernels.
    /// Nothing is computed twice there: [`TrainState::with_recomputation`] changes nothing.
    #[must_use]
    pub fn on(mut self, device: Option<TrainingDevice>) -> Self {
        self.device = device;
        self
    }

    /// Parameters, gradients and optimiser.
    pub fn state(&self) -> &TrainState {
        &self.state
    }

    /// Parameters, gradients and optimiser, to update or restore them.
    pub fn state_mut(&mut self) -> &mut TrainState {
        &mut self.state
    }

    /// Losses of a batch without touching anything.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub fn evaluate(&self, batch: &PredictorBatch) -> Result<Losses> {
        let batch = &self.place(batch)?;
        let heads = self.heads()?;
        let predictions = self.predict(&heads, batch)?;
        Ok(self.losses(&predictions, batch)?.1)
    }

    /// Losses of a batch; its gradients replace those of the last call.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub fn compute_gradients(&mut self, batch: &PredictorBatch) -> Result<(Losses, Predictions)> {
        self.state.clear()?;
        self.accumulate_gradients(batch, 1.0)
    }

    /// Losses of a batch that is the part `share` of a step's clips; its gradients, so weighted,
    /// are added to those there are.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub fn accumulate_gradients(
        &mut self,
        batch: &PredictorBatch,
        share: f64,
    ) -> Result<(Losses, Predictions)> {
        let batch = &self.place(batch)?;
        let heads = self.heads()?;
        let predictions = self.predict(&heads, batch)?;
        let (loss, losses) = self.losses(&predictions, batch)?;
        let loss = if share == 1.0 { loss } else { (loss * share)? };
        self.state.collect(&heads, &loss.backward()?)?;
        Ok((losses, predictions))
    }

    /// A batch where passes run.
    fn place(&self, batch: &PredictorBatch) -> Result<PredictorBatch> {
        match &self.device {
            Some(place) => batch.on(&place.device),
            None => Ok(batch.clone()),
        }
    }

    fn heads(&self) -> Result<HeadVariables> {
        match &self.device {
            Some(place) => self.state.heads_on(&place.device),
            None => self.state.heads(outside_blocks),
        }
    }

    fn losses(&self, p: &Predictions, batch: &PredictorBatch) -> Result<(Tensor, Losses)> {
        let teacher_forced = self.loss(&p.teacher_forced, batch)?;
        let rollout = self.loss(&p.rollout, batch)?;
        let mut total = (&teacher_forced + (&rollout * self.options.rollout_weight)?)?;
        let mut along = 0.0;
        if self.options.metric == LatentMetric::Whitened {
            let whitened = (self.whitened(&p.teacher_forced, batch)?
                + (self.whitened(&p.rollout, batch)? * self.options.rollout_weight)?)?;
            along = f64::from(whitened.to_scalar::<f32>()?);
            total = ((total * self.options.latent_weight)?
                + (whitened * self.options.whitened_weight)?)?;
        }
        let losses = Losses {
            whitened: along,
            teacher_forced: f64::from(teacher_forced.to_scalar::<f32>()?),
            rollout: f64::from(rollout.to_scalar::<f32>()?),
            total: f64::from(total.to_scalar::<f32>()?),
        };
        Ok((total, losses))
    }

    /// Against the latents of the frames after the first, as many as there are predictions.
    fn loss(&self, predicted: &Tensor, batch: &PredictorBatch) -> Result<Tensor> {
        let n = self.config.tokens_per_frame();
        let target = batch.latents.narrow(1, n, predicted.dim(1)?)?;
        let p = self.options.loss_exp;
        if p == 1.0 && self.device.is_none() && batch.weights.is_none() {
            return errors::mean(Error::Absolute, predicted, &target, None);
        }
        let difference = (predicted - target)?.abs()?;
        let powered = if p == 1.0 {
            difference
        } else {
            (difference.powf(p)? / p)?
        };
        match &batch.weights {
            None => powered.mean_all(),
            Some(weights) => {
                let per_clip = powered.flatten_from(1)?.mean(1)?;
                (per_clip * weights)?.mean_all()
            }
        }
    }

    /// As [`PredictorTrainer::loss`], along the directions.
    fn whitened(&self, predicted: &Tensor, batch: &PredictorBatch) -> Result<Tensor> {
        let Some(directions) = &self.directions else {
            candle_core::bail!("the whitened loss needs directions of change; none were fitted");
        };
        let n = self.config.tokens_per_frame();
        let target = batch.latents.narrow(1, n, predicted.dim(1)?)?;
        directions.error(predicted, &target)
    }

    fn predict(&self, heads: &HeadVariables, batch: &PredictorBatch) -> Result<Predictions> {
        let n = self.config.tokens_per_frame();
        let steps = batch.states.dim(1)?;
        if steps < 2 || batch.latents.dim(1)? != steps * n {
            candle_core::bail!(
                "a clip of {steps} states needs {} latent tokens and at least 2 frames",
                steps * n
            );
        }
        if self.options.auto_steps == 0 || self.options.auto_steps > steps - 1 {
            candle_core::bail!(
                "auto_steps is {} but clips of {steps} frames allow 1 to {}",
                self.options.auto_steps,
                steps - 1
            );
        }
        let forward = self.forward(heads)?;
        let history = batch.latents.narrow(1, 0, (steps - 1) * n)?;
        let auto_steps = self.options.auto_steps;
        // The first rolled-out frame is the first teacher-forced one.
        let (teacher_forced, rollout) = match &forward {
            // Steps already taken are seen through their keys and values.
            Forward::Kernels(forward) => {
                let keep = |done| if done < auto_steps { done } else { 0 };
                let (forced, mut past) =
                    forward.steps(&batch.inputs(&history), 0..steps - 1, None, keep(1))?;
                let mut rolled = vec![forced.narrow(1, 0, n)?];
                for done in 1..auto_steps {
                    let (latents, range) = (&rolled[done - 1], done..done + 1);
                    let inputs = batch.inputs(latents);
                    let next = forward.steps(&inputs, range, Some(past), keep(done + 1))?;
                    past = next.1;
                    rolled.push(next.0);
                }
                (forced, Tensor::cat(&rolled, 1)?)
            }
            Forward::Device(forward) => {
                let forced = forward.step(&batch.inputs(&history), steps - 1)?;
                let first = batch.latents.narrow(1, 0, n)?;
                let mut rolled = Tensor::cat(&[&first, &forced.narrow(1, 0, n)?], 1)?;
                for done in 1..auto_steps {
                    let next = forward.step(&batch.inputs(&rolled), done + 1)?;
                    rolled = Tensor::cat(&[&rolled, &next.narrow(1, done * n, n)?], 1)?;
                }
                (forced, rolled.narrow(1, n, auto_steps * n)?)
            }
        };
        Ok(Predictions {
            teacher_forced,
            rollout,
        })
    }

    fn forward<'a>(&'a self, heads: &'a HeadVariables) -> Result<Forward<'a>> {
        Ok(match &self.device {
            Some(place) => {
                let forward = DeviceForward::new(&self.config, heads, place)?;
                Forward::Device(Box::new(forward))
            }
            None => Forward::Kernels(PredictorForward {
                config: &self.config,
                shared: self.state.shared(),
                heads,
                prefix: "",
            }),
        })
    }
}

/// The predictor over a step's variables.
enum Forward<'a> {
    Kernels(PredictorForward<'a>),
    Device(Box<DeviceForward>),
}
