//! The predictor on the CPU kernels.

use foresight_planner::{ActionSequences, Pose};
use rayon::prelude::*;

use crate::ac_predictor::rope_table;
use crate::backend::stepwise::StepwisePredictor;
use crate::block::NORM_EPS;
use crate::config::PredictorConfig;
use crate::encoder::LATENT_EPS;
use crate::goal_distance::GoalDistance;
use crate::kernels::aligned::Aligned;
use crate::kernels::inference::{
    ExecutionContext, InferenceWorkspace, KvCache, PackedBlock, PackedLinear,
};
use crate::kernels::packed::{LeftOperand, Rows};
use crate::kernels::{elementwise, BlockShape, Element, InstructionSet};
use crate::layout;
use crate::parameters::Parameters;
use crate::rollout::{next_pose, Budget, RolloutStart};

/// A predictor's weights, packed for this machine.
#[derive(Debug)]
pub(super) struct PackedPredictor<E: Element> {
    config: PredictorConfig,
    instruction_set: InstructionSet,
    shape: BlockShape,
    embed: PackedLinear<E>,
    /// Action, state and, where the model has one, camera encoder: weights and bias, f32. A
    /// token each, so not worth packing.
    encoders: Vec<[Vec<f32>; 2]>,
    blocks: Vec<PackedBlock<E>>,
    norm: [Vec<f32>; 2],
    proj: PackedLinear<E>,
}

impl<E: Element> PackedPredictor<E> {
    /// Packs `parameters`.
    pub(super) fn new(
        config: &PredictorConfig,
        parameters: &Parameters,
        instruction_set: InstructionSet,
    ) -> Self {
        let pair = |name: &str| {
            ["weight", "bias"].map(|part| parameters.slice(&format!("{name}.{part}")).to_vec())
        };
        let linear = |name: &str| {
            let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
            PackedLinear::new(parameters.slice(&weight), parameters.slice(&bias))
        };
        let encoders = ["action_encoder", "state_encoder", "extrinsics_encoder"];
        let shape = layout::predictor_block(config);
        let block =
            |i| PackedBlock::new(shape, &parameters.block(&format!("predictor_blocks.{i}")));
        PackedPredictor {
            config: config.clone(),
            instruction_set,
            shape,
            embed: linear("predictor_embed"),
            encoders: encoders[..config.condition_tokens()]
                .iter()
                .map(|name| pair(name))
                .collect(),
            blocks: (0..config.depth).map(block).collect(),
            norm: pair("predictor_norm"),
            proj: linear("predictor_proj"),
        }
    }

    /// `predictor_embed` of the context latent: the same for every sample, so done once.
    fn embed_start(&self, latent: &[f32]) -> Vec<f32> {
        let config = &self.config;
        let mut rows = Rows::new();
        let mut embedded = vec![0.0; config.tokens_per_frame() * config.predictor_embed_dim];
        let execution = ExecutionContext {
            instruction_set: self.instruction_set,
            parallel: false,
        };
        let rows = round(&mut rows, latent, config.embed_dim);
        self.embed.set(execution, rows, &mut embedded);
        embedded
    }
}

impl<E: Element> StepwisePredictor for PackedPredictor<E> {
    fn architecture(&self) -> &PredictorConfig {
        &self.config
    }

    /// The paper's: mean absolute differences.
    fn apart(distance: &GoalDistance, latent: &[f32]) -> f32 {
        distance.of(latent)
    }

    fn roll_out<R: Send + Default>(
        &self,
        start: &RolloutStart,
        sequences: &ActionSequences,
        depth: usize,
        budget: Budget,
        see: impl Fn(&mut R, usize, &[f32]) + Sync,
    ) -> Vec<R> {
        let config = &self.config;
        let horizon = sequences.horizon();
        let threads = rayon::current_num_threads().max(1);
        let chunk = samples_per_chunk::<E>(budget, config, sequences, threads);
        let execution = ExecutionContext {
            instruction_set: self.instruction_set,
            // One sample and several cores: share the sample.
            parallel: sequences.samples() < threads,
        };
        let embedded = self.embed_start(start.latent);
        let size = config.tokens_per_frame() * config.embed_dim;
        (0..sequences.samples().div_ceil(chunk))
            .into_par_iter()
            .flat_map_iter(|index| {
                let first = index * chunk;
                let count = chunk.min(sequences.samples() - first);
                let mut batch = SampleBatch::new(self, execution, depth, start, count, horizon);
                let mut latents = Vec::new();
                let mut kept: Vec<R> = (0..count).map(|_| R::default()).collect();
                for step in 0..horizon {
                    let actions: Vec<&[f32]> = (first..first + count)
                        .map(|sample| sequences.action(sample, step))
                        .collect();
                    latents = batch.step(&embedded, &latents, &actions);
                    for (kept, latent) in kept.iter_mut().zip(latents.chunks_exact(size)) {
                        see(kept, step, latent);
                    }
                }
                kept
            })
            .collect()
    }
}

/// Samples one thread takes through the horizon together: as many as are efficient and
/// affordable, but no more than leave work for every thread.
fn samples_per_chunk<E>(
    budget: Budget,
    config: &PredictorConfig,
    sequences: &ActionSequences,
    threads: usize,
) -> usize {
    let per_sample = bytes_per_sample::<E>(config, sequences.horizon()).max(1);
    let affordable = budget.memory_mib * 1024 * 1024 / threads / per_sample;
    let tokens = config.tokens_per_frame() + config.condition_tokens();
    let efficient = ROWS_PER_CHUNK.div_ceil(tokens).min(budget.max_chunk);
    let share = sequences.samples().div_ceil(threads);
    affordable.min(efficient).min(share).max(1)
}

/// Rows (samples × tokens) beyond which a product gains nothing from having more.
const ROWS_PER_CHUNK: usize = 512;

/// Bytes one sample needs while it is rolled out.
fn bytes_per_sample<E>(config: &PredictorConfig, horizon: usize) -> usize {
    let (d, m) = (config.predictor_embed_dim, config.mlp_hidden());
    let tokens = config.tokens_per_frame() + config.condition_tokens();
    let in_f32 = tokens * 5 * d + 2 * config.tokens_per_frame() * config.embed_dim;
    let rounded = tokens * (3 * d + m);
    let layers = if horizon > 1 { config.depth } else { 1 };
    let remembered = layers * config.steps_seen(horizon) * tokens * 2 * d;
    4 * in_f32 + size_of::<E>() * (rounded + remembered)
}

/// Rows as a left operand.
fn round<'a, E: Element>(
    rows: &'a mut Rows<E>,
    values: &[f32],
    width: usize,
) -> LeftOperand<'a, E> {
    rows.reshape(values.len() / width, width);
    let stride = rows.stride();
    elementwise::round_rows(values, width, rows.values_mut(), stride);
    rows.all()
}

/// A few samples on their way through the horizon.
struct SampleBatch<'a, E: Element> {
    packed: &'a PackedPredictor<E>,
    execution: ExecutionContext,
    depth: usize,
    extrinsics: Option<[f32; 6]>,
    poses: Vec<Pose>,
    /// Keys and values: per block where later steps will look back, one set for all otherwise.
    caches: Vec<Vec<KvCache<E>>>,
    workspace: InferenceWorkspace<E>,
    rows: Rows<E>,
    steps_done: usize,
}

impl<'a, E: Element> SampleBatch<'a, E> {
    fn new(
        packed: &'a PackedPredictor<E>,
        execution: ExecutionContext,
        depth: usize,
        start: &RolloutStart,
        samples: usize,
        horizon: usize,
    ) -> Self {
        let config = &packed.config;
        let tokens = config.tokens_per_frame() + config.condition_tokens();
        let depth = depth.min(packed.blocks.len());
        let sets = if horizon > 1 { depth } else { 1 };
        let empty = KvCache::new(packed.shape, config.steps_seen(horizon) * tokens);
        SampleBatch {
            packed,
            execution,
            depth,
            extrinsics: start.extrinsics,
            poses: vec![start.pose; samples],
            caches: vec![vec![empty; samples]; sets],
            workspace: InferenceWorkspace::default(),
            rows: Rows::new(),
            steps_done: 0,
        }
    }

    /// One step of every sample: from `latents [C, N, D]` (or the embedded context at the first
    /// step) under `actions` to the next normalised latents.
    fn step(&mut self, embedded_start: &[f32], latents: &[f32], actions: &[&[f32]]) -> Vec<f32> {
        let (packed, execution) = (self.packed, self.execution);
        let config = &packed.config;
        let (n, d) = (config.tokens_per_frame(), config.predictor_embed_dim);
        let condition = config.condition_tokens();
        let per_step = condition + n;
        let count = actions.len();
        // Tokens of each sample: [action, state, (extrinsics), patches…].
        let mut embedded = Vec::new();
        if self.steps_done > 0 {
            embedded.resize(count * n * d, 0.0);
            let rows = round(&mut self.rows, latents, config.embed_dim);
            packed.embed.set(execution, rows, &mut embedded);
        }
        let mut x = Aligned::<f32>::zeros(count * per_step * d);
        for (sample, x) in x.chunks_exact_mut(per_step * d).enumerate() {
            let state = config.state_input(self.poses[sample].to_array().map(|v| v as f32));
            let inputs = [Some(actions[sample]), Some(&state), None];
            let camera = self.extrinsics.as_ref().map(|e| &e[..]);
            let inputs = inputs.into_iter().flatten().chain(camera);
            for ((encoder, input), x) in packed.encoders.iter().zip(inputs).zip(x.chunks_mut(d)) {
                token(x, encoder, input);
            }
            x[condition * d..].copy_from_slice(match self.steps_done {
                0 => embedded_start,
                _ => &embedded[sample * n * d..(sample + 1) * n * d],
            });
        }
        // Blocks. Keys and values of earlier steps are remembered, and what is remembered is
        // exactly what the block-causal mask lets this step see.
        let rope = rope_table(config, self.steps_done, 1);
        let per_block = self.caches.len() > 1;
        for (i, block) in packed.blocks[..self.depth].iter().enumerate() {
            let caches = &mut self.caches[if per_block { i } else { 0 }];
            if !per_block && self.steps_done == 0 {
                caches.iter_mut().for_each(KvCache::clear);
            }
            block.forward(execution, &mut x, &rope, caches, &mut self.workspace);
        }
        // The patches' rows, normalised and projected back to the encoder's width.
        self.rows.reshape(count * n, d);
        let stride = self.rows.stride();
        let rows = self.rows.values_mut().chunks_exact_mut(n * stride);
        let [weight, bias] = &packed.norm;
        for (rows, x) in rows.zip(x.chunks_exact(per_step * d)) {
            let patches = &x[condition * d..];
            elementwise::layer_norm_rounded(patches, weight, bias, NORM_EPS as f32, rows, stride);
        }
        let mut next = vec![0.0; count * n * config.embed_dim];
        packed.proj.set(execution, self.rows.all(), &mut next);
        elementwise::normalise_rows(&mut next, config.embed_dim, LATENT_EPS as f32);
        for (pose, action) in self.poses.iter_mut().zip(actions) {
            *pose = next_pose(pose, action);
        }
        self.steps_done += 1;
        next
    }
}

/// One token: `weight · input + bias`.
fn token(out: &mut [f32], [weight, bias]: &[Vec<f32>; 2], input: &[f32]) {
    for ((out, bias), row) in out
        .iter_mut()
        .zip(bias)
        .zip(weight.chunks_exact(input.len()))
    {
        *out = bias + row.iter().zip(input).map(|(w, v)| w * v).sum::<f32>();
    }
}
