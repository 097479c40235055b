//! The predictor of V-JEPA 2's pre-training: context tokens to the latents of masked tokens.
//!
//! Official code: `src/models/predictor.py`, `vit_predictor(use_mask_tokens=True,
//! use_rope=True)`. Planning doesn't use it; it is here so that pre-training checkpoints are
//! read whole and checked against what they computed.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder};
use serde::{Deserialize, Serialize};

use crate::block::{Block, LayerNorm};
use crate::config::{PredictorConfig, RopeVariant};
use crate::layout::{self, Entry};
use crate::rope::{self, Position, RopeTable};

/// Architecture of the mask predictor; field names are the official ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskPredictorConfig {
    /// Height and width of the encoder's images, px. The official code takes positions on a
    /// square grid of the height.
    pub img_size: [usize; 2],
    /// Side of a patch, px.
    pub patch_size: usize,
    /// Width of the encoder's tokens, `D`.
    pub embed_dim: usize,
    /// Width inside the predictor.
    pub predictor_embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Learned mask tokens; each kind of mask has its own.
    pub num_mask_tokens: usize,
    /// Hidden width of the MLP over `predictor_embed_dim`; 4 in every official model.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
    /// Rotary embedding variant.
    #[serde(default)]
    pub rope: RopeVariant,
}

fn default_mlp_ratio() -> f64 {
    4.0
}

impl MaskPredictorConfig {
    /// Hidden width of the MLP.
    pub fn mlp_hidden(&self) -> usize {
        (self.predictor_embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// Names and shapes of the parameters: those of the action-conditioned predictor, with mask
    /// tokens in place of the action and state encoders.
    pub fn layout(&self) -> Vec<Entry> {
        let conditioned = layout::predictor(&PredictorConfig {
            img_size: self.img_size,
            patch_size: self.patch_size,
            num_frames: 0,
            tubelet_size: 0,
            embed_dim: self.embed_dim,
            predictor_embed_dim: self.predictor_embed_dim,
            depth: self.depth,
            num_heads: self.num_heads,
            use_extrinsics: false,
            mlp_ratio: self.mlp_ratio,
            rope: self.rope,
            euler_around_rad: None,
        });
        let conditions = ["action_encoder.", "state_encoder."];
        let tokens = (0..self.num_mask_tokens).map(|i| {
            (
                format!("mask_tokens.{i}"),
                vec![1, 1, self.predictor_embed_dim],
            )
        });
        conditioned
            .into_iter()
            .filter(|(name, _)| !conditions.iter().any(|c| name.starts_with(c)))
            .chain(tokens)
            .collect()
    }
}

/// The mask predictor.
#[derive(Debug, Clone)]
pub struct MaskPredictor {
    config: MaskPredictorConfig,
    predictor_embed: Linear,
    mask_tokens: Vec<Tensor>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    proj: Linear,
}

impl MaskPredictor {
    /// Reads the official state-dict names (`predictor_embed.weight`, `mask_tokens.0`, …).
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn new(config: &MaskPredictorConfig, vb: VarBuilder) -> Result<Self> {
        let (outer, d) = (config.embed_dim, config.predictor_embed_dim);
        let mask_tokens = (0..config.num_mask_tokens)
            .map(|i| vb.get((1, 1, d), &format!("mask_tokens.{i}")))
            .collect::<Result<Vec<_>>>()?;
        let blocks = (0..config.depth)
            .map(|i| {
                let vb = vb.pp(format!("predictor_blocks.{i}"));
                Block::new(d, config.num_heads, config.mlp_hidden(), vb)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(MaskPredictor {
            config: config.clone(),
            predictor_embed: candle_nn::linear(outer, d, vb.pp("predictor_embed"))?,
            mask_tokens,
            blocks,
            norm: LayerNorm::new(d, vb.pp("predictor_norm"))?,
            proj: candle_nn::linear(d, outer, vb.pp("predictor_proj"))?,
        })
    }

    /// Encoder tokens `context` `[B, K, D]` at the places `seen` `[B, K]` to latents
    /// `[B, M, D]` at the places `masked` `[B, M]`; places are u32 raster indices over time, row
    /// and column. `mask` picks the mask token, modulo their number.
    ///
    /// Attention doesn't depend on the order of tokens once each carries its position, so the
    /// official sorting by place and back is left out.
    ///
    /// # Errors
    /// When shapes disagree or the model has no mask tokens.
    pub fn forward(
        &self,
        context: &Tensor,
        seen: &Tensor,
        masked: &Tensor,
        mask: usize,
    ) -> Result<Tensor> {
        let (b, k, _) = context.dims3()?;
        let (rows, m) = masked.dims2()?;
        if seen.dims() != [b, k] || rows != b {
            candle_core::bail!(
                "context tokens {:?}, their places {:?} and masked places {:?} don't agree",
                context.shape(),
                seen.shape(),
                masked.shape()
            );
        }
        if self.mask_tokens.is_empty() {
            candle_core::bail!("this predictor has no mask tokens");
        }
        let d = self.config.predictor_embed_dim;
        let token = &self.mask_tokens[mask % self.mask_tokens.len()];
        let tokens = token.broadcast_as((b, m, d))?;
        let context = self.predictor_embed.forward(context)?;
        let mut x = Tensor::cat(&[&context, &tokens.contiguous()?], 1)?;
        let places = Tensor::cat(
            &[&seen.to_dtype(DType::U32)?, &masked.to_dtype(DType::U32)?],
            1,
        )?;
        let (cos, sin) = self.tables(&places.to_vec2()?, x.device(), x.dtype())?;
        for block in &self.blocks {
            x = block.forward(&x, &cos, &sin, None)?;
        }
        let x = self.norm.forward(&x)?.narrow(1, k, m)?;
        self.proj.forward(&x)
    }

    /// RoPE of tokens at `places`, `[B, 1, N, head_dim]` each.
    fn tables(
        &self,
        places: &[Vec<u32>],
        device: &Device,
        dtype: DType,
    ) -> Result<(Tensor, Tensor)> {
        let side = (self.config.img_size[0] / self.config.patch_size).max(1) as u32;
        let head_dim = self.config.predictor_embed_dim / self.config.num_heads;
        let (mut cosines, mut sines) = (Vec::new(), Vec::new());
        for row in places {
            let positions: Vec<Position> = row
                .iter()
                .map(|id| Position {
                    depth: (id / (side * side)) as f32,
                    place: Some(((id / side % side) as f32, (id % side) as f32)),
                })
                .collect();
            let table = RopeTable::new(&positions, head_dim, self.config.rope);
            let (cos, sin) = rope::tensors(&table, device)?;
            cosines.push(cos.to_dtype(dtype)?);
            sines.push(sin.to_dtype(dtype)?);
        }
        Ok((
            Tensor::stack(&cosines, 0)?.unsqueeze(1)?,
            Tensor::stack(&sines, 0)?.unsqueeze(1)?,
        ))
    }
}
