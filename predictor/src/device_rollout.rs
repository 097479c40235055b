//! Rollouts on candle, on any device and in any float type: what a GPU plans with.
//!
//! The same steps as [`crate::rollout`], with keys and values of earlier steps kept. Poses depend
//! on actions alone, so states of all steps are computed and uploaded before the first one;
//! between that and the energies nothing goes back to the host. On the CPU this path is slow and
//! serves to test the other.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use foresight_planner::ActionSequences;

use crate::ac_predictor::{AcPredictor, Memory};
use crate::config::PredictorConfig;
use crate::encoder::normalise_latent;
use crate::parameters::Tensors;
use crate::rollout::{next_pose, Budget, Start};

/// A predictor on a device.
#[derive(Debug, Clone)]
pub struct DevicePredictor {
    predictor: AcPredictor,
    device: Device,
    dtype: DType,
}

impl DevicePredictor {
    /// Puts `weights` on `device` as `dtype`: bf16 on GPUs.
    ///
    /// # Errors
    /// When a tensor is missing or the device's memory is too small.
    pub fn new(
        config: &PredictorConfig,
        weights: &Tensors,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let weights = weights
            .iter()
            .map(|(name, t)| Ok((name.clone(), t.to_device(device)?.to_dtype(dtype)?)))
            .collect::<Result<_>>()?;
        Ok(DevicePredictor {
            predictor: AcPredictor::new(config, VarBuilder::from_tensors(weights, dtype, device))?,
            device: device.clone(),
            dtype,
        })
    }

    /// L1 energies of every sequence towards `goal [N, D]`, in sample order; as many samples
    /// together as `budget.memory_mib` of device memory hold.
    ///
    /// # Errors
    /// When the device fails.
    pub fn energies(
        &self,
        start: &Start,
        sequences: &ActionSequences,
        goal: &[f32],
        budget: Budget,
    ) -> Result<Vec<f32>> {
        let config = self.predictor.config();
        let (n, d) = (config.tokens_per_frame(), config.embed_dim);
        let goal = Tensor::from_slice(goal, (1, n, d), &self.device)?;
        let context = self.upload(start.latent, &[1, n, d])?;
        let chunk = self.chunk(sequences.horizon(), budget);
        let mut energies = Vec::with_capacity(sequences.samples());
        for first in (0..sequences.samples()).step_by(chunk) {
            let count = chunk.min(sequences.samples() - first);
            let last = self.roll(start, &context, sequences, first, count)?;
            let apart = last.to_dtype(DType::F32)?.broadcast_sub(&goal)?.abs()?;
            energies.push(apart.flatten_from(1)?.mean(1)?);
        }
        Tensor::cat(&energies, 0)?.to_vec1()
    }

    /// Last latents `[count, N, D]` of samples `first..first + count`.
    fn roll(
        &self,
        start: &Start,
        context: &Tensor,
        sequences: &ActionSequences,
        first: usize,
        count: usize,
    ) -> Result<Tensor> {
        let config = self.predictor.config();
        let horizon = sequences.horizon();
        let (mut actions, mut states) = (Vec::new(), Vec::new());
        for sample in first..first + count {
            let mut pose = start.pose;
            for step in 0..horizon {
                let action = sequences.action(sample, step);
                actions.extend_from_slice(action);
                states.extend(config.state_input(pose.to_array().map(|v| v as f32)));
                pose = next_pose(&pose, action);
            }
        }
        let actions = self.upload(&actions, &[count, horizon, 7])?;
        let states = self.upload(&states, &[count, horizon, 7])?;
        let camera = match &start.extrinsics {
            Some(camera) => Some(self.upload(camera, &[1, 1, 6])?.repeat((count, 1, 1))?),
            None => None,
        };
        let mut memory = Memory::new(config.depth);
        let mut latents = context.repeat((count, 1, 1))?;
        for step in 0..horizon {
            let (action, state) = (actions.narrow(1, step, 1)?, states.narrow(1, step, 1)?);
            let out =
                self.predictor
                    .step(&latents, &action, &state, camera.as_ref(), &mut memory)?;
            latents = normalise_latent(&out.to_dtype(DType::F32)?)?.to_dtype(self.dtype)?;
        }
        Ok(latents)
    }

    fn upload(&self, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(values, shape, &self.device)?.to_dtype(self.dtype)
    }

    /// Samples whose activations, keys and values fit the budget.
    fn chunk(&self, horizon: usize, budget: Budget) -> usize {
        let c = self.predictor.config();
        let tokens = c.tokens_per_frame() + c.condition_tokens();
        let (d, m) = (c.predictor_embed_dim, c.mlp_hidden());
        let remembered = 2 * c.depth * horizon * tokens * d;
        let logits = 2 * c.num_heads * tokens * horizon * tokens;
        let activations = tokens * (12 * d + 3 * m) + 4 * c.tokens_per_frame() * c.embed_dim;
        let bytes = (remembered + logits + activations) * self.dtype.size_in_bytes();
        (budget.memory_mib * 1024 * 1024 / bytes.max(1)).max(1)
    }
}
