//! What a training step of a predictor will take, before it is tried.

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use serde::Serialize;

use crate::predictor_batch::PredictorBatch;
use crate::predictor_trainer::{LatentMetric, PredictorLossOptions, PredictorTrainer};
use crate::train_state::TrainState;
use crate::training_device::TrainingDevice;
use crate::trunk::MAX_SHARDS;
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::config::PredictorConfig;
use foresight_predictor::layout;
use foresight_predictor::parameters::Parameters;

/// Bytes of the parts of a training step's memory at its peak, the encoder's left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MemoryEstimate {
    /// Weights.
    pub weights: usize,
    /// Gradients: of all weights, or of adapters alone.
    pub gradients: usize,
    /// Both moments of the trained weights.
    pub moments: usize,
    /// What blocks keep for the backward pass.
    pub kept: usize,
    /// What one block works with, the batch, predictions and their gradients; on a device of
    /// candle's also its copies of weights and gradients.
    pub working: usize,
}

impl MemoryEstimate {
    /// Everything.
    pub fn total(&self) -> usize {
        self.weights + self.gradients + self.moments + self.kept + self.working
    }
}

/// What a step is.
#[derive(Debug, Clone, Copy)]
pub struct StepShape<'a> {
    /// Architecture.
    pub config: &'a PredictorConfig,
    /// Loss; its rollout decides the number of passes.
    pub loss: &'a PredictorLossOptions,
    /// Clips at a time.
    pub clips: usize,
    /// Frames of a clip, `T`.
    pub frames: usize,
    /// Whether blocks are computed again in the backward pass.
    pub recompute: bool,
    /// Number of trained parameters.
    pub trained: usize,
    /// Whether they are adapters: others then have no gradients.
    pub adapters: bool,
    /// Where passes run; absent on our kernels.
    pub device: Option<&'a TrainingDevice>,
}

impl StepShape<'_> {
    /// Memory at the peak of a step: the backward pass of the last prediction, when everything
    /// that was kept is still there and one block's gradients are being computed.
    pub fn memory(&self) -> MemoryEstimate {
        const F32: usize = 4;
        let config = self.config;
        let count = |entries: &[layout::Entry]| -> usize {
            entries
                .iter()
                .map(|(_, s)| s.iter().product::<usize>())
                .sum()
        };
        let entries = layout::predictor(config);
        let parameters = count(&entries);
        let (d, m) = (config.predictor_embed_dim, config.mlp_hidden());
        let in_blocks = count(&layout::blocks("b", 1, layout::predictor_block(config)));
        let outside = parameters - config.depth * in_blocks;
        let step_tokens = config.tokens_per_frame() + config.condition_tokens();

        // Values of one block over `steps` steps.
        let everything = |steps: usize| {
            let n = steps * step_tokens;
            self.clips * (n * (7 * d + m + 2) + config.num_heads * n * n)
        };
        let input = |steps: usize| self.clips * steps * step_tokens * d;
        let per_block = |steps: usize| match self.device {
            Some(place) => self.graph(steps * step_tokens, place.dtype),
            None if self.recompute => F32 * input(steps),
            None => F32 * everything(steps),
        };
        let passes: Vec<usize> = std::iter::once(self.frames - 1)
            .chain(2..=self.loss.auto_steps)
            .collect();
        let kept: usize = passes.iter().map(|s| config.depth * per_block(*s)).sum();

        let longest = self.frames - 1;
        let shards = self.clips.min(MAX_SHARDS);
        let rows = self.clips * longest * step_tokens;
        let n = longest * step_tokens;
        let workspace = match self.device {
            // Gradients of logits and weights, and the products on the way there.
            Some(_) => rows * (5 * d + 2 * m) + 3 * self.clips * config.num_heads * n * n,
            None => rows * (5 * d + 2 * m) + shards * config.num_heads.min(1) * n * n,
        };
        let again = match self.device {
            Some(_) => 0,
            None if self.recompute => everything(longest),
            None => 0,
        };
        let copies = match self.device {
            Some(_) => parameters + self.trained,
            None => shards * in_blocks + 2 * outside,
        };
        let batch = self.clips * self.frames * config.tokens_per_frame() * config.embed_dim;
        // The latents; the predictions of each pass and the operations on them, with gradients.
        let around: usize = passes
            .iter()
            .map(|s| {
                let rows = self.clips * s * config.tokens_per_frame();
                rows * (8 * config.embed_dim + 6 * d)
            })
            .sum();
        MemoryEstimate {
            weights: F32 * parameters,
            gradients: match self.adapters {
                true => F32 * self.trained,
                false => F32 * parameters,
            },
            moments: 2 * F32 * self.trained,
            kept,
            working: F32 * (workspace + again + copies + batch + around),
        }
    }

    /// Bytes that candle keeps of one block over `n` tokens a clip: the result of every operation
    /// of [`foresight_predictor::block::Block`], norms and softmax in f32. By measurement (the bundled model,
    /// batches of 4 and 64 in f32) it takes 1.4 times what these add up to.
    fn graph(&self, n: usize, dtype: DType) -> usize {
        let config = self.config;
        let rows = self.clips * n * config.predictor_embed_dim;
        let hidden = self.clips * n * config.mlp_hidden();
        let logits = self.clips * config.num_heads * n * n;
        let results = match dtype {
            DType::F32 => 4 * (36 * rows + 3 * hidden + 5 * logits),
            _ => 4 * (8 * rows + 4 * logits) + 2 * (32 * rows + 3 * hidden + 3 * logits),
        };
        results * 14 / 10
    }

    /// Seconds of the forward and backward pass over [`StepShape::clips`], measured on predictors
    /// of one and two blocks and extended to the depth of this one.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn seconds(&self) -> Result<f64> {
        let one = self.measure(1)?;
        if self.config.depth == 1 {
            return Ok(one);
        }
        let block = (self.measure(2)? - one).max(0.0);
        Ok(one + block * (self.config.depth - 1) as f64)
    }

    fn measure(&self, depth: usize) -> Result<f64> {
        let config = PredictorConfig {
            depth,
            ..self.config.clone()
        };
        let mut parameters = Parameters::zeros(layout::predictor(&config));
        initialise(&mut parameters, Part::AcPredictor, 0);
        let state = TrainState::new(parameters).with_recomputation(self.recompute);
        let batch = self.batch()?;
        // Directions are fitted later; what they cost is small beside the blocks.
        let loss = PredictorLossOptions {
            metric: LatentMetric::L1,
            ..*self.loss
        };
        let mut trainer =
            PredictorTrainer::with_state(config, state, loss).on(self.device.cloned());
        // The first pass also pays for memory that later ones find mapped.
        let mut fastest = f64::INFINITY;
        for _ in 0..2 {
            let started = Instant::now();
            trainer.compute_gradients(&batch)?;
            fastest = fastest.min(started.elapsed().as_secs_f64());
        }
        Ok(fastest)
    }

    /// Clips of this shape that show nothing in particular.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn batch(&self) -> Result<PredictorBatch> {
        let (b, t, config) = (self.clips, self.frames, self.config);
        let wave = |dims: (usize, usize, usize)| {
            let count = dims.0 * dims.1 * dims.2;
            let values = (0..count).map(|i| (i as f32 * 0.7).sin() * 1.4).collect();
            Tensor::from_vec::<_, f32>(values, dims, &Device::Cpu)
        };
        Ok(PredictorBatch {
            latents: wave((b, t * config.tokens_per_frame(), config.embed_dim))?,
            actions: (wave((b, t - 1, 7))? * 0.03)?,
            states: wave((b, t, 7))?,
            extrinsics: config.use_extrinsics.then(|| wave((b, t, 6))).transpose()?,
            weights: None,
        })
    }
}

/// The most memory this process has held so far, bytes; `None` where the system doesn't say.
pub fn peak_memory() -> Option<usize> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// Memory that is free for programs now, bytes; `None` where the system doesn't say.
pub fn available_memory() -> Option<usize> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

fn kibibytes(file: &str, field: &str) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let number: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}
