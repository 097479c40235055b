//! Rolling action sequences forward in latent space, with cached keys and values.
//!
//! The official code runs the predictor over the whole history at every step of the horizon.
//! Its mask is block-causal, so the keys and values of earlier steps never change: keeping them
//! gives the same numbers for a fraction of the work (1.57× at horizon 2, 2.49× at horizon 4),
//! and with only the past in the cache no mask is needed at all.

use foresight_planner::{ActionSequences, Pose};
use rayon::prelude::*;

use crate::ac_predictor::rope_table;
use crate::block::NORM_EPS;
use crate::config::PredictorConfig;
use crate::encoder::LATENT_EPS;
use crate::kernels::attention::Visibility;
use crate::kernels::matmul::{linear, Store};
use crate::kernels::{block, elementwise, KeyValueCache, Parallelism, Workspace};
use crate::layout;
use crate::parameters::Parameters;

/// How much memory the rollouts of one plan may take beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// MiB for all threads together. Default 512.
    pub memory_mib: usize,
    /// Most samples one thread takes through the horizon together. Default 16: enough rows for
    /// efficient products, few enough to stay in the cache.
    pub max_chunk: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            memory_mib: 512,
            max_chunk: 16,
        }
    }
}

/// The state a rollout starts from.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// Normalised latent of the current frame, `[N, D]`.
    pub latent: &'a [f32],
    /// The robot's pose in that frame.
    pub pose: Pose,
    /// Camera pose `[6]` for predictors that take one.
    pub extrinsics: Option<[f32; 6]>,
}

/// Normalised latents and poses after each step of one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Imagined {
    /// One latent `[N, D]` per step.
    pub latents: Vec<Vec<f32>>,
    /// One pose per step.
    pub poses: Vec<Pose>,
}

/// Bytes one sample needs while it is rolled out.
fn bytes_per_sample(config: &PredictorConfig, horizon: usize) -> usize {
    let (d, m) = (config.predictor_embed_dim, config.mlp_hidden());
    let tokens = config.tokens_per_frame() + config.condition_tokens();
    let activations = tokens * (6 * d + 2 * m) + 2 * config.tokens_per_frame() * config.embed_dim;
    let cached = if horizon > 1 { horizon } else { 0 };
    4 * (activations + config.depth * cached * tokens * 2 * d)
}

/// Rolls every sequence from `start` and hands each sample's last latent to `last`, which
/// returns what to keep of it, in sample order.
pub fn roll<R: Send>(
    config: &PredictorConfig,
    parameters: &Parameters,
    start: &Start,
    sequences: &ActionSequences,
    budget: Budget,
    last: impl Fn(&[f32]) -> R + Sync,
) -> Vec<R> {
    let horizon = sequences.horizon();
    let per_sample = bytes_per_sample(config, horizon).max(1);
    let threads = rayon::current_num_threads().max(1);
    let affordable = budget.memory_mib * 1024 * 1024 / threads / per_sample;
    let chunk = affordable.clamp(1, budget.max_chunk.max(1));
    let embedded = embed_start(config, parameters, start.latent);
    let size = config.tokens_per_frame() * config.embed_dim;
    (0..sequences.samples().div_ceil(chunk))
        .into_par_iter()
        .flat_map_iter(|index| {
            let first = index * chunk;
            let count = chunk.min(sequences.samples() - first);
            let mut rollout = Rollout::new(config, parameters, start, count, horizon);
            let mut latents = Vec::new();
            for step in 0..horizon {
                let actions: Vec<&[f32]> = (first..first + count)
                    .map(|sample| sequences.action(sample, step))
                    .collect();
                latents = rollout.step(&embedded, &latents, &actions);
            }
            latents.chunks_exact(size).map(&last).collect::<Vec<R>>()
        })
        .collect()
}

/// Rolls one sequence and keeps every step.
pub fn imagine(
    config: &PredictorConfig,
    parameters: &Parameters,
    start: &Start,
    sequences: &ActionSequences,
    sample: usize,
) -> Imagined {
    let embedded = embed_start(config, parameters, start.latent);
    let horizon = sequences.horizon();
    let mut rollout = Rollout::new(config, parameters, start, 1, horizon);
    let mut imagined = Imagined {
        latents: Vec::new(),
        poses: Vec::new(),
    };
    for step in 0..horizon {
        let previous = imagined.latents.last().cloned().unwrap_or_default();
        let latent = rollout.step(&embedded, &previous, &[sequences.action(sample, step)]);
        imagined.latents.push(latent);
        imagined.poses.push(rollout.poses[0]);
    }
    imagined
}

/// `predictor_embed` of the context latent: the same for every sample, so done once.
fn embed_start(config: &PredictorConfig, parameters: &Parameters, latent: &[f32]) -> Vec<f32> {
    let mut embedded = vec![0.0; config.tokens_per_frame() * config.predictor_embed_dim];
    linear(
        &mut embedded,
        latent,
        parameters.slice("predictor_embed.weight"),
        parameters.slice("predictor_embed.bias"),
        Store::Set,
        Parallelism::None,
    );
    embedded
}

/// A few samples on their way through the horizon.
struct Rollout<'a> {
    config: &'a PredictorConfig,
    parameters: &'a Parameters,
    extrinsics: Option<[f32; 6]>,
    poses: Vec<Pose>,
    caches: Vec<KeyValueCache>,
    workspace: Workspace,
    steps_done: usize,
}

impl<'a> Rollout<'a> {
    fn new(
        config: &'a PredictorConfig,
        parameters: &'a Parameters,
        start: &Start,
        samples: usize,
        horizon: usize,
    ) -> Self {
        let tokens = config.tokens_per_frame() + config.condition_tokens();
        let caches = if horizon > 1 {
            (0..config.depth)
                .map(|_| KeyValueCache::new(samples, horizon * tokens, config.predictor_embed_dim))
                .collect()
        } else {
            Vec::new()
        };
        Rollout {
            config,
            parameters,
            extrinsics: start.extrinsics,
            poses: vec![start.pose; samples],
            caches,
            workspace: Workspace::new(Parallelism::None),
            steps_done: 0,
        }
    }

    /// One step of every sample: from `latents [C, N, D]` (or the embedded context at the first
    /// step) under `actions` to the next normalised latents.
    fn step(&mut self, embedded_start: &[f32], latents: &[f32], actions: &[&[f32]]) -> Vec<f32> {
        let (config, parameters) = (self.config, self.parameters);
        let (n, d) = (config.tokens_per_frame(), config.predictor_embed_dim);
        let condition = config.condition_tokens();
        let per_step = condition + n;
        let count = actions.len();
        let mut x = vec![0.0; count * per_step * d];
        let embedded = if self.steps_done == 0 {
            None
        } else {
            let mut embedded = vec![0.0; count * n * d];
            linear(
                &mut embedded,
                latents,
                parameters.slice("predictor_embed.weight"),
                parameters.slice("predictor_embed.bias"),
                Store::Set,
                Parallelism::None,
            );
            Some(embedded)
        };
        for (sample, x) in x.chunks_exact_mut(per_step * d).enumerate() {
            let state = config.state_input(self.poses[sample].to_array().map(|v| v as f32));
            self.token(&mut x[..d], "action_encoder", actions[sample]);
            self.token(&mut x[d..2 * d], "state_encoder", &state);
            if let Some(extrinsics) = &self.extrinsics {
                self.token(&mut x[2 * d..3 * d], "extrinsics_encoder", extrinsics);
            }
            x[condition * d..].copy_from_slice(match &embedded {
                None => embedded_start,
                Some(embedded) => &embedded[sample * n * d..(sample + 1) * n * d],
            });
        }
        let rope = rope_table(config, self.steps_done, 1);
        let shape = layout::predictor_block(config);
        for i in 0..config.depth {
            block::forward(
                shape,
                &parameters.block(&format!("predictor_blocks.{i}")),
                &mut x,
                &rope,
                Visibility::All,
                self.caches.get_mut(i),
                &mut self.workspace,
            );
        }
        let mut patches = vec![0.0; count * n * d];
        for (to, from) in patches
            .chunks_exact_mut(n * d)
            .zip(x.chunks_exact(per_step * d))
        {
            to.copy_from_slice(&from[condition * d..]);
        }
        let mut normed = vec![0.0; patches.len()];
        elementwise::layer_norm(
            &patches,
            parameters.slice("predictor_norm.weight"),
            parameters.slice("predictor_norm.bias"),
            NORM_EPS as f32,
            &mut normed,
        );
        let mut next = vec![0.0; count * n * config.embed_dim];
        linear(
            &mut next,
            &normed,
            parameters.slice("predictor_proj.weight"),
            parameters.slice("predictor_proj.bias"),
            Store::Set,
            Parallelism::None,
        );
        elementwise::normalise_rows(&mut next, config.embed_dim, LATENT_EPS as f32);
        for (pose, action) in self.poses.iter_mut().zip(actions) {
            *pose = next_pose(pose, action);
        }
        self.steps_done += 1;
        next
    }

    fn token(&self, out: &mut [f32], encoder: &str, input: &[f32]) {
        let weight = self.parameters.slice(&format!("{encoder}.weight"));
        let bias = self.parameters.slice(&format!("{encoder}.bias"));
        for ((out, bias), row) in out
            .iter_mut()
            .zip(bias)
            .zip(weight.chunks_exact(input.len()))
        {
            *out = bias + row.iter().zip(input).map(|(w, v)| w * v).sum::<f32>();
        }
    }
}

/// `compute_new_pose`: f64 inside, rounded to f32 between steps as the official tensors are.
fn next_pose(pose: &Pose, action: &[f32]) -> Pose {
    let mut components = [0.0; 7];
    for (c, a) in components.iter_mut().zip(action) {
        *c = f64::from(*a);
    }
    let next = pose.apply(&foresight_planner::Action::from_array(components));
    Pose::from_array(next.to_array().map(|v| f64::from(v as f32)))
}
