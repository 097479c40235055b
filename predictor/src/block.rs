//! One pre-norm transformer block on candle: the reference path, differentiable, any device.
//!
//! Layer normalisation and softmax are spelled out in plain operations: candle's fused versions
//! have no backward pass and would cut the graph without a word. What plans on a GPU asks for
//! them ([`Block::fused`]): they take fewer passes over its memory. Layer normalisation adds up in f32
//! in any type, and so does softmax on a GPU; on the CPU candle's softmax adds up in the type it is
//! given, in which bf16 stops counting at 256, so there it is given f32.

use candle_core::{DType, Result, Tensor, D};
use candle_nn::{Linear, Module, VarBuilder};

use crate::rope;

pub use foresight_kernels::NORM_EPS;

/// Layer normalisation with weight and bias.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    fused: bool,
}

impl LayerNorm {
    /// Reads `weight` and `bias`, `[dim]`.
    ///
    /// # Errors
    /// When they are missing or of another shape.
    pub fn new(dim: usize, vb: VarBuilder) -> Result<Self> {
        Ok(LayerNorm {
            weight: vb.get(dim, "weight")?,
            bias: vb.get(dim, "bias")?,
            fused: false,
        })
    }

    /// With candle's fused kernel, which has no derivatives.
    pub fn fused(self) -> Self {
        LayerNorm {
            fused: true,
            ..self
        }
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.fused {
            let x = x.contiguous()?;
            return candle_nn::ops::layer_norm(&x, &self.weight, &self.bias, NORM_EPS as f32);
        }
        normalise(&x.to_dtype(DType::F32)?, NORM_EPS)?
            .to_dtype(x.dtype())?
            .broadcast_mul(&self.weight)?
            .broadcast_add(&self.bias)
    }
}

/// Layer normalisation without weight and bias over the last dimension.
///
/// # Errors
/// When `x` has no dimension.
pub fn normalise(x: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + eps)?.sqrt()?)
}

/// Attention and MLP with residuals (`Block` and `ACBlock` of the official `modules.py`).
#[derive(Debug, Clone)]
pub struct Block {
    heads: usize,
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    fused: bool,
}

impl Block {
    /// Reads `norm1`, `attn.qkv`, `attn.proj`, `norm2`, `mlp.fc1` and `mlp.fc2`.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub fn new(dim: usize, heads: usize, hidden: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Block {
            heads,
            norm1: LayerNorm::new(dim, vb.pp("norm1"))?,
            qkv: candle_nn::linear(dim, 3 * dim, vb.pp("attn.qkv"))?,
            proj: candle_nn::linear(dim, dim, vb.pp("attn.proj"))?,
            norm2: LayerNorm::new(dim, vb.pp("norm2"))?,
            fc1: candle_nn::linear(dim, hidden, vb.pp("mlp.fc1"))?,
            fc2: candle_nn::linear(hidden, dim, vb.pp("mlp.fc2"))?,
            fused: false,
        })
    }

    /// With candle's fused layer normalisation and softmax, which have no derivatives.
    pub fn fused(self) -> Self {
        Block {
            norm1: self.norm1.fused(),
            norm2: self.norm2.fused(),
            fused: true,
            ..self
        }
    }

    /// `x` `[B, N, D]` to the same shape. `cos` and `sin` are RoPE tables that broadcast against
    /// `[B, heads, N, head_dim]`; `bias` is added to the attention logits `[N, N]` (0 where a
    /// query sees a key, −∞ where it doesn't).
    ///
    /// # Errors
    /// When the shapes don't agree.
    pub fn forward(
        &self,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.forward_cached(x, cos, sin, bias, &mut None)
    }

    /// As [`Block::forward`] for the newest tokens of a longer sequence: `cache` holds rotated
    /// keys, and values, `[B, heads, seen, head_dim]`, of the tokens before them and gets theirs.
    ///
    /// # Errors
    /// When the shapes don't agree.
    pub fn forward_cached(
        &self,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        bias: Option<&Tensor>,
        cache: &mut Option<(Tensor, Tensor)>,
    ) -> Result<Tensor> {
        let (b, n, d) = x.dims3()?;
        let head_dim = d / self.heads;
        let qkv = self
            .qkv
            .forward(&self.norm1.forward(x)?)?
            .reshape((b, n, 3, self.heads, head_dim))?
            .permute((2, 0, 3, 1, 4))?;
        let part = |i: usize| qkv.get(i)?.contiguous();
        let q = rope::rotate(&part(0)?, cos, sin)?;
        let k = rope::rotate(&part(1)?, cos, sin)?;
        let v = part(2)?;
        let (k, v) = match cache.take() {
            Some((keys, values)) => (
                Tensor::cat(&[&keys, &k], 2)?,
                Tensor::cat(&[&values, &v], 2)?,
            ),
            None => (k, v),
        };
        *cache = Some((k.clone(), v.clone()));
        // Queries are scaled rather than logits, of which there are many more.
        let q = (q * (head_dim as f64).powf(-0.5))?;
        let logits = q.matmul(&k.t()?)?;
        let logits = match bias {
            Some(bias) => logits.broadcast_add(bias)?,
            None => logits,
        };
        let weights = attention_weights(&logits, self.fused)?;
        let attended = weights.matmul(&v)?.transpose(1, 2)?.reshape((b, n, d))?;
        let x = (x + self.proj.forward(&attended)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?.gelu_erf()?;
        &x + self.fc2.forward(&hidden)?
    }
}

/// Softmax over the last dimension, its sums in f32.
fn attention_weights(logits: &Tensor, fused: bool) -> Result<Tensor> {
    if fused && !logits.device().is_cpu() {
        return candle_nn::ops::softmax_last_dim(logits);
    }
    let wide = logits.to_dtype(DType::F32)?;
    let weights = match fused {
        true => candle_nn::ops::softmax_last_dim(&wide)?,
        false => candle_nn::ops::softmax(&wide, D::Minus1)?,
    };
    weights.to_dtype(logits.dtype())
}

#[cfg(test)]
#[path = "../tests/unit/block.rs"]
mod tests;
