//! The networks on candle, on any device and in any float type: how a GPU plans.
//!
//! Poses depend on actions alone, so actions and states of all samples and steps are uploaded
//! before the first one is taken; between that and the energies, which are fetched once, nothing
//! goes back to the host. On the CPU this path is slow and serves to test the other.

use candle_core::{DType, Device, Result, Tensor};
use foresight_planner::{ActionSequences, Pose};

use super::{Backend, FrameEncoder, LatentPredictor};
use crate::ac_predictor::AcPredictor;
use crate::compute_device::ComputeDevice;
use crate::config::{EncoderConfig, PredictorConfig};
use crate::device;
use crate::encoder::normalise_latent;
use crate::error::PredictorError;
use crate::goal_distance::GoalDistance;
use crate::kernels::Precision;
use crate::parameters::Tensors;
use crate::reference_encoder::ReferenceEncoder;
use crate::rollout::{next_pose, Budget, Rollout, RolloutStart};

/// Frames encoded together: as many as a robot's cameras and goals ask for, few enough that a
/// folder of recordings doesn't fill the device.
const FRAMES_PER_CHUNK: usize = 16;

/// One of candle's devices.
#[derive(Debug, Clone)]
pub struct CandleBackend {
    name: ComputeDevice,
    device: Device,
    precision: Precision,
}

impl CandleBackend {
    /// The device called `name`; `cpu` means the same as `candle-cpu` here.
    ///
    /// # Errors
    /// When the device doesn't answer.
    pub fn open(
        name: ComputeDevice,
        precision: Precision,
    ) -> std::result::Result<Self, PredictorError> {
        Ok(CandleBackend {
            name,
            device: name.open()?,
            precision,
        })
    }
}

impl Backend for CandleBackend {
    fn precision(&self) -> Precision {
        self.precision
    }

    fn place(&self) -> String {
        self.name.to_string()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn encoder(
        &self,
        config: &EncoderConfig,
        weights: &Tensors,
    ) -> std::result::Result<Box<dyn FrameEncoder>, PredictorError> {
        let dtype = device::dtype(self.precision);
        let variables = device::variables(weights, &self.device, dtype)?;
        Ok(Box::new(CandleEncoder {
            encoder: ReferenceEncoder::new(config, variables)?.fused(),
            device: self.device.clone(),
            dtype,
        }))
    }

    fn predictor(
        &self,
        config: &PredictorConfig,
        weights: &Tensors,
    ) -> std::result::Result<Box<dyn LatentPredictor>, PredictorError> {
        let dtype = device::dtype(self.precision);
        let variables = device::variables(weights, &self.device, dtype)?;
        Ok(Box::new(CandlePredictor {
            predictor: AcPredictor::new(config, variables)?.fused(),
            device: self.device.clone(),
            dtype,
        }))
    }
}

/// An encoder on a device.
#[derive(Debug)]
struct CandleEncoder {
    encoder: ReferenceEncoder,
    device: Device,
    dtype: DType,
}

impl CandleEncoder {
    fn latents(&self, frames: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let image = 3 * height * width;
        let mut latents = Vec::new();
        for frames in frames.chunks((FRAMES_PER_CHUNK * image).max(1)) {
            let shape = (frames.len() / image.max(1), 3, height, width);
            let frames = Tensor::from_slice(frames, shape, &self.device)?.to_dtype(self.dtype)?;
            let tokens = self.encoder.forward_frames(&frames)?.to_dtype(DType::F32)?;
            latents.extend(normalise_latent(&tokens)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(latents)
    }
}

impl FrameEncoder for CandleEncoder {
    fn encode(
        &self,
        frames: &[f32],
        size: [usize; 2],
    ) -> std::result::Result<Vec<f32>, PredictorError> {
        Ok(self.latents(frames, size)?)
    }

    fn encode_clips(
        &self,
        clips: &[f32],
        [frames, height, width]: [usize; 3],
    ) -> std::result::Result<Vec<f32>, PredictorError> {
        let clip = 3 * frames * height * width;
        let mut tokens = Vec::new();
        for clip in clips.chunks(clip.max(1)) {
            let shape = (1, 3, frames, height, width);
            let clip = Tensor::from_slice(clip, shape, &self.device)?.to_dtype(self.dtype)?;
            let seen = self.encoder.forward(&clip)?.to_dtype(DType::F32)?;
            tokens.extend(seen.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(tokens)
    }
}

/// A predictor on a device.
#[derive(Debug)]
struct CandlePredictor {
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

impl CandlePredictor {
    /// Hands the latents `[C, N, D]` of every step, f32, of as many samples together as
    /// `budget.memory_mib` of device memory hold to `see`, in sample order.
    fn in_chunks(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        budget: Budget,
        mut see: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> std::result::Result<(), PredictorError> {
        start.check(self.predictor.config())?;
        if sequences.samples() == 0 {
            return Ok(());
        }
        let uploaded = self.upload(start, sequences)?;
        let chunk = self.chunk(sequences.horizon(), depth, budget);
        for first in (0..sequences.samples()).step_by(chunk) {
            let count = chunk.min(sequences.samples() - first);
            self.roll_out(&uploaded, first, count, depth, &mut see)?;
        }
        Ok(())
    }

    /// Rolls out samples `first..first + count`; `after_step` sees the latents `[count, N, D]`, f32,
    /// of every step, counted from 0.
    fn roll_out(
        &self,
        uploaded: &Uploaded,
        first: usize,
        count: usize,
        depth: usize,
        mut after_step: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let horizon = uploaded.actions.dim(1)?;
        let actions = uploaded.actions.narrow(0, first, count)?;
        let states = uploaded.states.narrow(0, first, count)?;
        let camera = uploaded.camera.as_ref();
        let camera = camera.map(|c| c.repeat((count, 1, 1))).transpose()?;
        let mut cache = self.predictor.begin(horizon, depth)?;
        let mut latents = uploaded.context.repeat((count, 1, 1))?;
        for step in 0..horizon {
            let action = actions.narrow(1, step, 1)?.contiguous()?;
            let state = states.narrow(1, step, 1)?.contiguous()?;
            let input = latents.to_dtype(self.dtype)?;
            let next = self
                .predictor
                .step(&input, &action, &state, camera.as_ref(), &mut cache)?;
            latents = normalise_latent(&next.to_dtype(DType::F32)?)?;
            after_step(step, &latents)?;
        }
        Ok(())
    }

    fn upload(&self, start: &RolloutStart, sequences: &ActionSequences) -> Result<Uploaded> {
        let config = self.predictor.config();
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
        let c = self.predictor.config();
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

impl LatentPredictor for CandlePredictor {
    fn config(&self) -> &PredictorConfig {
        self.predictor.config()
    }

    fn rollout(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        sample: usize,
    ) -> std::result::Result<Rollout, PredictorError> {
        start.check(self.predictor.config())?;
        let one = sequences.select(&[sample]);
        let uploaded = self.upload(start, &one)?;
        let depth = self.predictor.config().depth;
        let mut latents = Vec::with_capacity(one.horizon());
        self.roll_out(&uploaded, 0, 1, depth, |_, latent| {
            latents.push(latent.flatten_all()?.to_vec1()?);
            Ok(())
        })?;
        let mut pose = start.pose;
        let poses = (0..one.horizon()).map(|step| {
            pose = next_pose(&pose, one.action(0, step));
            pose
        });
        Ok(Rollout {
            latents,
            poses: poses.collect(),
        })
    }

    fn final_latents(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        budget: Budget,
    ) -> std::result::Result<Vec<Vec<f32>>, PredictorError> {
        let depth = self.predictor.config().depth;
        let mut latents = Vec::with_capacity(sequences.samples());
        self.in_chunks(start, sequences, depth, budget, |step, seen| {
            if step + 1 == sequences.horizon() {
                latents.extend(seen.flatten_from(1)?.to_vec2::<f32>()?);
            }
            Ok(())
        })?;
        Ok(latents)
    }

    fn energies(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        distance: &GoalDistance,
        budget: Budget,
    ) -> std::result::Result<Vec<f32>, PredictorError> {
        let config = self.predictor.config();
        let shape = (1, config.tokens_per_frame(), config.embed_dim);
        let apart = distance.on(&self.device, shape)?;
        // One sum a chunk of samples.
        let mut energies: Vec<Tensor> = Vec::new();
        let mut begun = false;
        self.in_chunks(start, sequences, depth, budget, |step, latents| {
            begun &= step > 0;
            let weight = distance.step_weight(step, sequences.horizon());
            if weight > 0.0 {
                let energy = (apart.of(latents)? * f64::from(weight))?;
                match energies.last_mut() {
                    Some(sum) if begun => *sum = (&*sum + energy)?,
                    _ => energies.push(energy),
                }
                begun = true;
            }
            Ok(())
        })?;
        if energies.is_empty() {
            return Ok(Vec::new());
        }
        Ok(Tensor::cat(&energies, 0)?.to_vec1()?)
    }
}
