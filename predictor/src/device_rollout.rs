//! Rollouts on candle, on any device and in any float type: what a GPU plans with.
//!
//! The same steps as [`crate::rollout`], with keys and values of earlier steps kept. Poses depend
//! on actions alone, so actions and states of all samples and steps are uploaded before the first
//! one is taken; between that and the energies, which are fetched once, nothing goes back to the
//! host. On the CPU this path is slow and serves to test the other.

use candle_core::{DType, Device, Result, Tensor};
use foresight_planner::{ActionSequences, Pose};

use crate::ac_predictor::AcPredictor;
use crate::config::PredictorConfig;
use crate::device;
use crate::encoder::normalise_latent;
use crate::goal_distance::GoalDistance;
use crate::parameters::Tensors;
use crate::rollout::{next_pose, Budget, Imagined, Start};

/// A predictor on a device.
#[derive(Debug, Clone)]
pub struct DevicePredictor {
    predictor: AcPredictor,
    device: Device,
    dtype: DType,
}

/// Action sequences and the states they lead through, on the device.
struct Uploaded {
    /// `[S, H, 7]`.
    actions: Tensor,
    /// What the predictor is told of the pose before each action, `[S, H, 7]`.
    states: Tensor,
    /// Latent of the current frame, `[1, N, D]`.
    context: Tensor,
    /// Camera pose `[1, 1, 6]` for predictors that take one.
    camera: Option<Tensor>,
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
        let vb = device::variables(weights, device, dtype)?;
        Ok(DevicePredictor {
            predictor: AcPredictor::new(config, vb)?.fused(),
            device: device.clone(),
            dtype,
        })
    }

    /// The architecture.
    pub fn config(&self) -> &PredictorConfig {
        self.predictor.config()
    }

    /// Energies of every sequence by its `distance` to the goal, in sample order, after rolling
    /// through the first `depth` blocks; as many samples together as `budget.memory_mib` of
    /// device memory hold.
    ///
    /// # Errors
    /// When the device fails.
    pub fn energies(
        &self,
        start: &Start,
        sequences: &ActionSequences,
        depth: usize,
        distance: &GoalDistance,
        budget: Budget,
    ) -> Result<Vec<f32>> {
        if sequences.samples() == 0 {
            return Ok(Vec::new());
        }
        let config = self.config();
        let (n, d) = (config.tokens_per_frame(), config.embed_dim);
        let distance = distance.on(&self.device, (1, n, d))?;
        let uploaded = self.upload(start, sequences)?;
        let chunk = self.chunk(sequences.horizon(), depth, budget);
        let mut energies = Vec::with_capacity(sequences.samples().div_ceil(chunk));
        for first in (0..sequences.samples()).step_by(chunk) {
            let count = chunk.min(sequences.samples() - first);
            let last = self.roll(&uploaded, first, count, depth, |_| Ok(()))?;
            energies.push(distance.of(&last)?);
        }
        Tensor::cat(&energies, 0)?.to_vec1()
    }

    /// Last latent `[N, D]` of every sequence, in sample order; as many samples together as for
    /// [`DevicePredictor::energies`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn ends(
        &self,
        start: &Start,
        sequences: &ActionSequences,
        budget: Budget,
    ) -> Result<Vec<Vec<f32>>> {
        let depth = self.config().depth;
        let uploaded = self.upload(start, sequences)?;
        let chunk = self.chunk(sequences.horizon(), depth, budget);
        let mut ends = Vec::with_capacity(sequences.samples());
        for first in (0..sequences.samples()).step_by(chunk) {
            let count = chunk.min(sequences.samples() - first);
            let last = self.roll(&uploaded, first, count, depth, |_| Ok(()))?;
            ends.extend(last.flatten_from(1)?.to_vec2::<f32>()?);
        }
        Ok(ends)
    }

    /// Rolls one sequence and keeps every step.
    ///
    /// # Errors
    /// When the device fails.
    pub fn imagine(
        &self,
        start: &Start,
        sequences: &ActionSequences,
        sample: usize,
    ) -> Result<Imagined> {
        let one = sequences.select(&[sample]);
        let uploaded = self.upload(start, &one)?;
        let mut latents = Vec::with_capacity(one.horizon());
        self.roll(&uploaded, 0, 1, self.config().depth, |latent| {
            latents.push(latent.flatten_all()?.to_vec1()?);
            Ok(())
        })?;
        let mut pose = start.pose;
        let poses = (0..one.horizon()).map(|step| {
            pose = next_pose(&pose, one.action(0, step));
            pose
        });
        Ok(Imagined {
            latents,
            poses: poses.collect(),
        })
    }

    /// Last latents `[count, N, D]`, f32, of samples `first..first + count`; `after_step` sees
    /// those of every step.
    fn roll(
        &self,
        uploaded: &Uploaded,
        first: usize,
        count: usize,
        depth: usize,
        mut after_step: impl FnMut(&Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let horizon = uploaded.actions.dim(1)?;
        let actions = uploaded.actions.narrow(0, first, count)?;
        let states = uploaded.states.narrow(0, first, count)?;
        let camera = uploaded.camera.as_ref();
        let camera = camera.map(|c| c.repeat((count, 1, 1))).transpose()?;
        let mut memory = self.predictor.begin(horizon, depth)?;
        let mut latents = uploaded.context.repeat((count, 1, 1))?;
        for step in 0..horizon {
            let action = actions.narrow(1, step, 1)?.contiguous()?;
            let state = states.narrow(1, step, 1)?.contiguous()?;
            let input = latents.to_dtype(self.dtype)?;
            let next =
                self.predictor
                    .step(&input, &action, &state, camera.as_ref(), &mut memory)?;
            latents = normalise_latent(&next.to_dtype(DType::F32)?)?;
            after_step(&latents)?;
        }
        Ok(latents)
    }

    fn upload(&self, start: &Start, sequences: &ActionSequences) -> Result<Uploaded> {
        let config = self.config();
        let (samples, horizon) = (sequences.samples(), sequences.horizon());
        let mut states = Vec::with_capacity(samples * horizon * 7);
        for sample in 0..samples {
            let mut pose: Pose = start.pose;
            for step in 0..horizon {
                states.extend(config.state_input(pose.to_array().map(|v| v as f32)));
                pose = next_pose(&pose, sequences.action(sample, step));
            }
        }
        let put = |values: &[f32], shape: (usize, usize, usize)| {
            Tensor::from_slice(values, shape, &self.device)?.to_dtype(self.dtype)
        };
        let latent = (1, config.tokens_per_frame(), config.embed_dim);
        Ok(Uploaded {
            actions: put(sequences.values(), (samples, horizon, 7))?,
            states: put(&states, (samples, horizon, 7))?,
            context: Tensor::from_slice(start.latent, latent, &self.device)?,
            camera: match &start.extrinsics {
                Some(camera) => Some(put(camera, (1, 1, 6))?),
                None => None,
            },
        })
    }

    /// Samples whose activations, keys and values fit the budget.
    fn chunk(&self, horizon: usize, depth: usize, budget: Budget) -> usize {
        let c = self.config();
        let tokens = c.tokens_per_frame() + c.condition_tokens();
        let (d, m) = (c.predictor_embed_dim, c.mlp_hidden());
        // The last step's are dropped as they are used.
        let remembered = 2 * depth * horizon.saturating_sub(1) * tokens * d;
        let attended = 2 * horizon * tokens * d + 2 * c.num_heads * tokens * horizon * tokens;
        let activations = tokens * (12 * d + 3 * m);
        let latents = 6 * c.tokens_per_frame() * c.embed_dim * DType::F32.size_in_bytes();
        let bytes = (remembered + attended + activations) * self.dtype.size_in_bytes() + latents;
        (budget.memory_mib * 1024 * 1024 / bytes.max(1)).max(1)
    }
}
