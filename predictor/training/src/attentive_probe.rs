//! V-JEPA's attentive probe: a learned query attends to a clip's frozen tokens, and a linear layer
//! names its class.
//!
//! Official code: `src/models/attentive_pooler.py`, `AttentiveClassifier(depth=1)`, with the names of
//! its state dict. Its query is the same for every clip, so keys and values of the tokens are never
//! made: the query goes through the keys' weights once, and the values' weights see one weighted mean
//! of the tokens a head. The numbers are the same, for a small part of the work.

use std::collections::BTreeSet;

use candle_core::{Device, Result, Tensor, D};
use candle_nn::ops::softmax;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::head_variables::HeadVariables;
use crate::layers::{gelu, layer_norm};
use foresight_predictor::layout::Entry;
use foresight_predictor::parameters::Parameters;

/// Added to the variance in the probe's norms (`nn.LayerNorm`'s default).
const EPS: f64 = 1e-5;
/// Spread of initial weights.
const STD: f32 = 0.02;
/// Hidden width of the MLP over the width of a token.
const MLP_RATIO: usize = 4;

/// A probe's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentiveProbeConfig {
    /// Width of the tokens, `D`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Classes, `C`.
    pub classes: usize,
}

impl AttentiveProbeConfig {
    /// Names, as in the official state dict, and shapes of its parameters.
    pub fn layout(&self) -> Vec<Entry> {
        let d = self.width;
        let block = "pooler.cross_attention_block";
        let mut entries = vec![("pooler.query_tokens".to_owned(), vec![1, 1, d])];
        for (name, shape) in [
            ("norm1", vec![d]),
            ("xattn.q", vec![d, d]),
            ("xattn.kv", vec![2 * d, d]),
            ("norm2", vec![d]),
            ("mlp.fc1", vec![MLP_RATIO * d, d]),
            ("mlp.fc2", vec![d, MLP_RATIO * d]),
        ] {
            let bias = vec![shape[0]];
            entries.push((format!("{block}.{name}.weight"), shape));
            entries.push((format!("{block}.{name}.bias"), bias));
        }
        entries.push(("linear.weight".into(), vec![self.classes, d]));
        entries.push(("linear.bias".into(), vec![self.classes]));
        entries
    }

    /// Whether it can be built.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.heads == 0 || self.width == 0 || !self.width.is_multiple_of(self.heads) {
            return Err(format!(
                "a probe on tokens {} wide can't have {} heads",
                self.width, self.heads
            ));
        }
        if self.classes < 2 {
            return Err(format!(
                "a probe needs at least two classes, not {}",
                self.classes
            ));
        }
        Ok(())
    }

    /// The official initial weights.
    pub fn initial(&self, seed: u64) -> Parameters {
        let mut parameters = Parameters::zeros(self.layout());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bound = (self.width as f32).sqrt().recip();
        for (name, _) in parameters.entries().to_vec() {
            let values = parameters.slice_mut(&name);
            if name.starts_with("linear.") {
                values.fill_with(|| rng.random_range(-bound..bound));
            } else if name.contains("norm") {
                values.fill(if name.ends_with("weight") { 1.0 } else { 0.0 });
            } else if !name.ends_with("bias") {
                // The one block's second layer is divided by √2.
                let std = if name.contains("mlp.fc2") {
                    STD / 2f32.sqrt()
                } else {
                    STD
                };
                values.fill_with(|| {
                    let value: f32 = StandardNormal.sample(&mut rng);
                    value * std
                });
            }
        }
        parameters
    }

    /// Logits `[B, C]` of clips' tokens `[B, N, D]`, layer-normalised without weights.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub fn logits(&self, weights: &HeadVariables, tokens: &Tensor) -> Result<Tensor> {
        let (b, n, d) = tokens.dims3()?;
        if d != self.width {
            candle_core::bail!("tokens are {d} wide, but the probe takes {}", self.width);
        }
        let (heads, h) = (self.heads, d / self.heads);
        let of = |name: &str| weights.get(&format!("pooler.cross_attention_block.{name}"));
        let (scale, shift) = (of("norm1.weight")?, of("norm1.bias")?);
        let query = weights.get("pooler.query_tokens")?.reshape((1, d))?;
        let kv = of("xattn.kv.weight")?;
        let per_head = |first: usize| kv.narrow(0, first, d)?.reshape((heads, h, d));

        // What a head looks for in a token, [H, D]; what is the same for all tokens, biases among it,
        // doesn't change a softmax over them.
        let q = query.matmul(&of("xattn.q.weight")?.t()?)?;
        let q = (q.broadcast_add(of("xattn.q.bias")?)?).reshape((heads, 1, h))?;
        let sought = q.matmul(&per_head(0)?)?.squeeze(1)?;
        let sought = (sought.broadcast_mul(scale)? * (h as f64).powf(-0.5))?;
        let flat = tokens.reshape((b * n, d))?;
        let scores = flat.matmul(&sought.t()?)?.reshape((b, n, heads))?;
        let attention = softmax(&scores.transpose(1, 2)?.contiguous()?, D::Minus1)?;

        // The mean token of every head, [H, B, D], through its share of the values' weights.
        let mean = attention.matmul(tokens)?;
        let mean = mean.broadcast_mul(scale)?.broadcast_add(shift)?;
        let values = mean
            .transpose(0, 1)?
            .contiguous()?
            .matmul(&per_head(d)?.transpose(1, 2)?.contiguous()?)?;
        let values = values.transpose(0, 1)?.reshape((b, d))?;
        let bias = of("xattn.kv.bias")?.narrow(0, d, d)?;
        let x = values.broadcast_add(&bias)?.broadcast_add(&query)?;

        let normed = layer_norm(&x, of("norm2.weight")?, of("norm2.bias")?, EPS)?;
        let hidden = weights.linear("pooler.cross_attention_block.mlp.fc1", &normed)?;
        let mlp = weights.linear("pooler.cross_attention_block.mlp.fc2", &gelu(&hidden)?)?;
        weights.linear("linear", &(x + mlp)?)
    }

    /// A probe's weights, to be asked and not to be trained.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn fixed(&self, parameters: &Parameters) -> Result<HeadVariables> {
        let all: BTreeSet<String> = parameters.entries().iter().map(|e| e.0.clone()).collect();
        HeadVariables::new(parameters, |_| true, &all, &Device::Cpu)
    }

    /// Probabilities of the classes `[B][C]` of clips' tokens `[B, N, D]`, flat.
    ///
    /// # Errors
    /// As [`AttentiveProbeConfig::logits`].
    pub fn probabilities(
        &self,
        weights: &HeadVariables,
        tokens: &[f32],
        clips: usize,
    ) -> Result<Vec<Vec<f32>>> {
        let n = tokens.len() / (clips * self.width).max(1);
        let tokens = Tensor::from_slice(tokens, (clips, n, self.width), &Device::Cpu)?;
        softmax(&self.logits(weights, &tokens)?, D::Minus1)?.to_vec2()
    }
}

#[cfg(test)]
#[path = "../tests/unit/attentive_probe.rs"]
mod tests;
