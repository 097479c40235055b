//! Low-rank adapters: beside a layer's weights `W [out, in]` learn `A [rank, in]` and
//! `B [out, rank]`, and the layer computes with `W + alpha / rank · B·A` (LoRA, arXiv 2106.09685).
//!
//! Kernels see one matrix: the sum is kept where the weights are, and every update adds what it
//! changed. So a forward or backward pass costs what it costs without, weights need no second copy,
//! and the result is merged at any time; what is small is what learns: gradients and both moments.

use std::collections::BTreeSet;
use std::sync::{RwLock, RwLockReadGuard};

use candle_core::{Error, Result};
use foresight_predictor::config::{check_numbers, PredictorConfig, ABOVE_0};
use foresight_predictor::kernels::PARAMETER_NAMES;
use foresight_predictor::layout::{self, Entry};
use foresight_predictor::parameters::Parameters;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Where a run leaves its adapters, beside the model they are merged into: `A` and `B` of each layer.
pub const FILE: &str = "adapters.safetensors";

/// Which layers get adapters, and how large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdapterConfig {
    /// Rank of `B·A`. Default 8.
    pub rank: usize,
    /// What `B·A` is weighted by, times the rank. Default 16.
    pub alpha: f64,
    /// The layers of every block that get one. Default: all four.
    pub layers: Vec<AdaptedLayer>,
}

impl Default for AdapterConfig {
    fn default() -> Self {
        AdapterConfig {
            rank: 8,
            alpha: 16.0,
            layers: all_layers(),
        }
    }
}

fn all_layers() -> Vec<AdaptedLayer> {
    use AdaptedLayer::{Fc1, Fc2, Proj, Qkv};
    vec![Qkv, Proj, Fc1, Fc2]
}

/// A layer of a transformer block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdaptedLayer {
    /// Queries, keys and values.
    Qkv,
    /// Attention's way out.
    Proj,
    /// The MLP's first layer.
    Fc1,
    /// Its second.
    Fc2,
}

impl AdaptedLayer {
    /// Its weights' name in a block.
    fn weight(self) -> &'static str {
        match self {
            AdaptedLayer::Qkv => PARAMETER_NAMES[2],
            AdaptedLayer::Proj => PARAMETER_NAMES[4],
            AdaptedLayer::Fc1 => PARAMETER_NAMES[8],
            AdaptedLayer::Fc2 => PARAMETER_NAMES[10],
        }
    }
}

impl AdapterConfig {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Which can't be, and what it must be.
    pub fn check(&self) -> std::result::Result<(), String> {
        let rank = ("rank", self.rank as f64, [1.0, f64::INFINITY]);
        check_numbers("adapters.", &[rank, ("alpha", self.alpha, ABOVE_0)])?;
        if self.layers.is_empty() {
            return Err("adapters.layers is empty: name qkv, proj, fc1 or fc2".into());
        }
        Ok(())
    }

    /// Names and shapes of the adapters of a predictor's last `blocks` blocks, `A` and `B` of each.
    pub fn entries(&self, predictor: &PredictorConfig, blocks: usize) -> Vec<Entry> {
        let first = predictor.depth.saturating_sub(blocks);
        let layers: BTreeSet<AdaptedLayer> = self.layers.iter().copied().collect();
        let adapted: Vec<String> = (first..predictor.depth)
            .flat_map(|i| layers.iter().map(move |l| block_name(i, l.weight())))
            .collect();
        let all = layout::predictor(predictor);
        let wanted = all.iter().filter(|(name, _)| adapted.contains(name));
        wanted
            .flat_map(|(name, shape)| {
                let [out, input] = [shape[0], shape[1]];
                [
                    (format!("{name}{A}"), vec![self.rank, input]),
                    (format!("{name}{B}"), vec![out, self.rank]),
                ]
            })
            .collect()
    }
}

/// What the names of an adapter's two matrices end with.
const A: &str = ".lora_A";
const B: &str = ".lora_B";

fn block_name(block: usize, parameter: &str) -> String {
    format!("predictor_blocks.{block}.{parameter}")
}

/// Adapters in training.
#[derive(Debug)]
pub struct Adapters {
    targets: Vec<Target>,
    scale: f32,
    values: RwLock<Parameters>,
}

/// An adapted layer.
#[derive(Debug)]
struct Target {
    weight: String,
    input: usize,
    rank: usize,
}

impl Adapters {
    /// Fresh ones: `A` at random by `seed`, `B` zero, so that nothing is changed yet.
    pub fn new(config: &AdapterConfig, entries: Vec<Entry>, seed: u64) -> Self {
        let mut values = Parameters::zeros(entries);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut targets = Vec::new();
        let pairs: Vec<[Entry; 2]> = values
            .entries()
            .chunks_exact(2)
            .map(|pair| [pair[0].clone(), pair[1].clone()])
            .collect();
        for [(a, shape), _] in &pairs {
            // As PyTorch's linear layers begin: uniform within 1 / √in.
            let bound = 1.0 / (shape[1] as f32).sqrt();
            for value in values.slice_mut(a) {
                *value = rng.random_range(-bound..bound);
            }
            targets.push(Target {
                weight: a.trim_end_matches(A).to_owned(),
                input: shape[1],
                rank: shape[0],
            });
        }
        Adapters {
            targets,
            scale: (config.alpha / config.rank as f64) as f32,
            values: RwLock::new(values),
        }
    }

    /// Their values.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn values(&self) -> Result<RwLockReadGuard<'_, Parameters>> {
        self.values.read().map_err(|_| lost())
    }

    /// Lets `put` replace their values; the weights they are merged into are left alone.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn restore<T>(&self, put: impl FnOnce(&mut [f32]) -> T) -> Result<T> {
        let mut values = self.values.write().map_err(|_| lost())?;
        Ok(put(values.values_mut()))
    }

    /// Number of values.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn count(&self) -> Result<usize> {
        Ok(self.values()?.values().len())
    }

    /// Whether a layer of the block `prefix` is adapted.
    pub fn adapts(&self, prefix: &str) -> bool {
        self.of_block(prefix).next().is_some()
    }

    fn of_block<'a>(&'a self, prefix: &str) -> impl Iterator<Item = &'a Target> {
        let start = format!("{prefix}.");
        let targets = self.targets.iter();
        targets.filter(move |t| t.weight.starts_with(&start))
    }

    /// Adds to `gradients`, laid out as the adapters, what the gradients of the block `prefix` come
    /// to; `of_block` are those, laid out as its part of `weights`.
    ///
    /// # Errors
    /// When another thread died holding the adapters.
    pub fn collect(
        &self,
        prefix: &str,
        weights: &Parameters,
        of_block: &[f32],
        gradients: &mut [f32],
    ) -> Result<()> {
        let values = self.values()?;
        let begin = weights.block_range(prefix).start;
        for target in self.of_block(prefix) {
            let range = weights.range(&target.weight);
            let dw = &of_block[range.start - begin..range.end - begin];
            let (name_a, name_b) = target.names();
            let (a, b) = (values.slice(&name_a), values.slice(&name_b));
            let (r, input) = (target.rank, target.input);
            // dB = scale · dW · Aᵀ, a row for each output.
            let db = &mut gradients[values.range(&name_b)];
            db.par_chunks_mut(r)
                .zip(dw.par_chunks(input))
                .for_each(|(db, dw)| {
                    for (db, a) in db.iter_mut().zip(a.chunks(input)) {
                        *db += self.scale * dot(dw, a);
                    }
                });
            // dA = scale · Bᵀ · dW, a row for each of the rank.
            let da = &mut gradients[values.range(&name_a)];
            da.par_chunks_mut(input).enumerate().for_each(|(k, da)| {
                for (b, dw) in b.chunks(r).zip(dw.chunks(input)) {
                    add_scaled(da, self.scale * b[k], dw);
                }
            });
        }
        Ok(())
    }

    /// Lets `step` move the adapters, and merges what that changed into `weights`.
    ///
    /// # Errors
    /// When another thread died holding them.
    pub fn update(&self, weights: &mut Parameters, step: impl FnOnce(&mut [f32])) -> Result<()> {
        let mut values = self.values.write().map_err(|_| lost())?;
        let before = values.values().to_vec();
        step(values.values_mut());
        for target in &self.targets {
            let (name_a, name_b) = target.names();
            let [old_a, old_b] = [&name_a, &name_b].map(|name| &before[values.range(name)]);
            let (a, b) = (values.slice(&name_a), values.slice(&name_b));
            let (r, input) = (target.rank, target.input);
            let rows = weights.slice_mut(&target.weight).par_chunks_mut(input);
            rows.zip(b.par_chunks(r).zip(old_b.par_chunks(r)))
                .for_each(|(row, (b, old_b))| {
                    for k in 0..r {
                        let of_rank = k * input..(k + 1) * input;
                        add_scaled(row, self.scale * b[k], &a[of_rank.clone()]);
                        add_scaled(row, -self.scale * old_b[k], &old_a[of_rank]);
                    }
                });
        }
        Ok(())
    }
}

impl Target {
    fn names(&self) -> (String, String) {
        (format!("{}{A}", self.weight), format!("{}{B}", self.weight))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Sixteen sums that the compiler adds at once; their order is fixed.
    let mut sums = [0.0_f32; 16];
    let (whole_a, whole_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    let rest: f32 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in whole_a.zip(whole_b) {
        for i in 0..16 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn add_scaled(to: &mut [f32], by: f32, from: &[f32]) {
    if by != 0.0 {
        to.iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to += by * from);
    }
}

fn lost() -> Error {
    Error::Msg("adapters were lost with a thread".into())
}
