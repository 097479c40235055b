//! The predictor of V-JEPA 2's and 2.1's pre-training: context tokens to the latents of masked
//! tokens, and, in 2.1, of the context itself.
//!
//! Official code: `src/models/predictor.py` and `app/vjepa_2_1/models/predictor.py`,
//! `vit_predictor(use_mask_tokens=True, use_rope=True)`. Planning doesn't use it.

use candle_core::{DType, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder};

use crate::block::{Block, LayerNorm};
pub use crate::config::{MaskPredictorConfig, Vjepa21PredictorOptions};
use crate::encoder::select;
use crate::rope::{self, Position};
use crate::vjepa21_encoder::Modality;

/// The mask predictor.
#[derive(Debug, Clone)]
pub struct MaskPredictor {
    config: MaskPredictorConfig,
    predictor_embed: ContextEmbed,
    /// Of images and of videos, `[1, 1, P]`.
    modalities: Option<[Tensor; 2]>,
    mask_tokens: Vec<Tensor>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    proj: Linear,
    proj_context: Option<Linear>,
}

/// The encoder's tokens to the predictor's width.
#[derive(Debug, Clone)]
enum ContextEmbed {
    One(Linear),
    Levels { first: Linear, second: Linear },
}

/// What V-JEPA 2.1 predicts.
#[derive(Debug, Clone)]
pub struct MaskPrediction {
    /// Latents at the masked places, `[B, M, L·D]`.
    pub masked: Tensor,
    /// Latents at the places seen, `[B, K, L·D]`, if the model predicts them.
    pub context: Option<Tensor>,
}

impl MaskPredictor {
    /// Reads the official state-dict names (`predictor_embed.weight`, `mask_tokens.0`, …).
    ///
    /// # Errors
    /// When the configuration can't be built, or a tensor is missing or of another shape.
    pub fn new(config: &MaskPredictorConfig, vb: VarBuilder) -> Result<Self> {
        config.validate().map_err(candle_core::Error::msg)?;
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
        let embed = vb.pp("predictor_embed");
        let predictor_embed = match config.levels() {
            1 => ContextEmbed::One(candle_nn::linear(outer, d, embed)?),
            levels => ContextEmbed::Levels {
                first: candle_nn::linear(levels * outer, outer, embed.pp("0"))?,
                second: candle_nn::linear(outer, d, embed.pp("2"))?,
            },
        };
        let modalities = config
            .has(|o| o.modality_embedding)
            .then(|| -> Result<_> {
                let get = |name| vb.get((1, 1, d), name);
                Ok([get("img_mod_embed")?, get("video_mod_embed")?])
            })
            .transpose()?;
        let out = |name: &str| candle_nn::linear(d, config.out_dim(), vb.pp(name));
        Ok(MaskPredictor {
            predictor_embed,
            modalities,
            mask_tokens,
            blocks,
            norm: LayerNorm::new(d, vb.pp("predictor_norm"))?,
            proj: out("predictor_proj")?,
            proj_context: config
                .has(|o| o.return_all_tokens)
                .then(|| out("predictor_proj_context"))
                .transpose()?,
            config: config.clone(),
        })
    }

    /// The architecture.
    pub fn config(&self) -> &MaskPredictorConfig {
        &self.config
    }

    /// Encoder tokens `context` `[B, K, L·D]` at the places `seen` `[B, K]` to latents
    /// `[B, M, L·D]` at the places `masked` `[B, M]`, of a video; places are u32 raster indices
    /// over time, row and column. `mask` picks the mask token, modulo their number.
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
        let x = self.trunk(context, seen, masked, mask, Modality::Video)?;
        self.masked_latents(&x, seen.dim(1)?)
    }

    /// As [`MaskPredictor::forward`], for a clip of either modality and with the context's
    /// prediction, as V-JEPA 2.1 gives it.
    ///
    /// # Errors
    /// As [`MaskPredictor::forward`].
    pub fn predict(
        &self,
        context: &Tensor,
        seen: &Tensor,
        masked: &Tensor,
        mask: usize,
        modality: Modality,
    ) -> Result<MaskPrediction> {
        let x = self.trunk(context, seen, masked, mask, modality)?;
        let k = seen.dim(1)?;
        let context = match &self.proj_context {
            Some(proj) => Some(proj.forward(&x.narrow(1, 0, k)?.contiguous()?)?),
            None => None,
        };
        Ok(MaskPrediction {
            masked: self.masked_latents(&x, k)?,
            context,
        })
    }

    /// What V-JEPA 2 gives with `return_all_tokens`: context and masked tokens `[B, K + M, D]`
    /// through one projection, in the order of their places and not in that of the arguments.
    ///
    /// # Errors
    /// As [`MaskPredictor::forward`].
    pub fn forward_by_place(
        &self,
        context: &Tensor,
        seen: &Tensor,
        masked: &Tensor,
        mask: usize,
    ) -> Result<Tensor> {
        let x = self.trunk(context, seen, masked, mask, Modality::Video)?;
        let places = places(seen, masked)?;
        let order: Vec<Vec<u32>> = places
            .iter()
            .map(|places| {
                let mut order: Vec<u32> = (0..places.len() as u32).collect();
                order.sort_by_key(|i| places[*i as usize]);
                order
            })
            .collect();
        let order = Tensor::new(order, x.device())?;
        select(&self.proj.forward(&x)?, &order)
    }

    /// Of the trunk's tokens `[B, K + M, P]` the latents of the masked ones, those behind the
    /// first `k`.
    fn masked_latents(&self, x: &Tensor, k: usize) -> Result<Tensor> {
        let masked = x.narrow(1, k, x.dim(1)? - k)?;
        self.proj.forward(&masked.contiguous()?)
    }

    /// Context, then masked tokens through the blocks and the norm, `[B, K + M, P]`.
    ///
    /// Attention doesn't depend on the order of tokens once each carries its position, so the
    /// official sorting by place and back is left out.
    fn trunk(
        &self,
        context: &Tensor,
        seen: &Tensor,
        masked: &Tensor,
        mask: usize,
        modality: Modality,
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
        let context = match &self.predictor_embed {
            ContextEmbed::One(linear) => linear.forward(context)?,
            ContextEmbed::Levels { first, second } => {
                second.forward(&first.forward(context)?.gelu_erf()?)?
            }
        };
        let mut x = Tensor::cat(&[&context, &tokens.contiguous()?], 1)?;
        if let Some([image, video]) = &self.modalities {
            x = x.broadcast_add(match modality {
                Modality::Image => image,
                Modality::Video => video,
            })?;
        }
        let positions = self.positions(&places(seen, masked)?)?;
        let head_dim = d / self.config.num_heads;
        let (cos, sin) = rope::batched(&positions, head_dim, self.config.rope, &x)?;
        for block in &self.blocks {
            x = block.forward(&x, &cos, &sin, None)?;
        }
        self.norm.forward(&x)
    }

    /// Where tokens at `places` are.
    fn positions(&self, places: &[Vec<u32>]) -> Result<Vec<Vec<Position>>> {
        let side = self.config.side();
        let stretch = match self.config.has(|o| o.interpolate_rope) {
            true => Some(
                rope::stretch(self.config.patch_size, [side; 2])
                    .map_err(candle_core::Error::msg)?,
            ),
            false => None,
        };
        let side = side as u32;
        let sample = |row: &Vec<u32>| {
            let mut positions: Vec<Position> = row
                .iter()
                .map(|id| Position {
                    depth: (id / (side * side)) as f32,
                    place: Some(((id / side % side) as f32, (id % side) as f32)),
                })
                .collect();
            if let Some(by) = stretch {
                rope::stretched(&mut positions, by);
            }
            positions
        };
        Ok(places.iter().map(sample).collect())
    }
}

/// Places of the context, then of the masked tokens.
fn places(seen: &Tensor, masked: &Tensor) -> Result<Vec<Vec<u32>>> {
    let [seen, masked] = [seen.to_dtype(DType::U32)?, masked.to_dtype(DType::U32)?];
    Tensor::cat(&[&seen, &masked], 1)?.to_vec2()
}
