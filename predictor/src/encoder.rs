//! The V-JEPA 2 image and video encoder: a vision transformer with three-axis RoPE.
//!
//! Official code: `src/models/vision_transformer.py`, `VisionTransformer(use_rope=True)`.

use candle_core::{DType, Result, Tensor, D};
use candle_nn::{Linear, Module, VarBuilder};

use crate::block::{normalise, Block, LayerNorm};
use crate::config::{EncoderConfig, Stem};
use crate::rope::{self, Position};

/// Added to the variance when latents are normalised (`F.layer_norm`'s default).
pub const LATENT_EPS: f64 = 1e-5;

/// Pixels to tokens.
#[derive(Debug, Clone)]
enum PatchEmbed {
    /// `weight` `[D, 3·t·p·p]`.
    Conv3d(Linear),
    /// Small patches `[D/2, 3·t·(p/2)²]`, then 2×2 of them `[D, 4·D/2]`.
    TwoLevel { small: Linear, merge: Linear },
}

/// The encoder.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: EncoderConfig,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Encoder {
    /// Reads the official state-dict names (`patch_embed.proj.weight`, `blocks.0.norm1.weight`,
    /// …) from `vb`.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn new(config: &EncoderConfig, vb: VarBuilder) -> Result<Self> {
        if config.vjepa2_1.is_some() {
            candle_core::bail!("this is a V-JEPA 2.1 encoder: build a Vjepa21Encoder");
        }
        let d = config.embed_dim;
        let (t, p) = (config.tubelet_size, config.patch_size);
        let patch_embed = match config.stem {
            Stem::Conv3d => {
                let vb = vb.pp("patch_embed.proj");
                let weight = vb.get((d, 3, t, p, p), "weight")?.flatten_from(1)?;
                PatchEmbed::Conv3d(Linear::new(weight, Some(vb.get(d, "bias")?)))
            }
            Stem::TwoLevel => {
                let vb = vb.pp("patch_embed");
                PatchEmbed::TwoLevel {
                    small: candle_nn::linear(3 * t * p * p / 4, d / 2, vb.pp("small"))?,
                    merge: candle_nn::linear(2 * d, d, vb.pp("merge"))?,
                }
            }
        };
        let blocks = (0..config.depth)
            .map(|i| {
                let vb = vb.pp(format!("blocks.{i}"));
                Block::new(d, config.num_heads, config.mlp_hidden(), vb)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Encoder {
            config: config.clone(),
            patch_embed,
            blocks,
            norm: LayerNorm::new(d, vb.pp("norm"))?,
        })
    }

    /// With candle's fused kernels, which have no derivatives.
    pub fn fused(self) -> Self {
        Encoder {
            blocks: self.blocks.into_iter().map(Block::fused).collect(),
            norm: self.norm.fused(),
            ..self
        }
    }

    /// The architecture.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// A clip `[B, 3, T, H, W]`, normalised pixels, to tokens `[B, N, D]` after the final norm;
    /// `N = T/tubelet · H/patch · W/patch`, in that order.
    ///
    /// # Errors
    /// When the clip doesn't divide into tubelets and patches.
    pub fn forward(&self, clip: &Tensor) -> Result<Tensor> {
        self.norm
            .forward(&self.trunk(clip, None, &mut |_, _| Ok(()))?)
    }

    /// As [`Encoder::forward`], keeping only the tokens `kept` `[B, K]` (u32 indices); positions
    /// are those of the kept indices, and the other tokens are never seen.
    ///
    /// # Errors
    /// As [`Encoder::forward`], and when an index is out of range.
    pub fn forward_masked(&self, clip: &Tensor, kept: &Tensor) -> Result<Tensor> {
        self.norm
            .forward(&self.trunk(clip, Some(kept), &mut |_, _| Ok(()))?)
    }

    /// The normed tokens after each block of `layers`, in block order.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn forward_layers(&self, clip: &Tensor, layers: &[usize]) -> Result<Vec<Tensor>> {
        let mut outs = Vec::with_capacity(layers.len());
        self.trunk(clip, None, &mut |i, x| {
            if layers.contains(&i) {
                outs.push(self.norm.forward(x)?);
            }
            Ok(())
        })?;
        Ok(outs)
    }

    /// Frames `[B, 3, H, W]`, each its own clip: duplicated to one tubelet, so that its temporal
    /// position is 0. Returns `[B, N, D]`, not layer-normalised ([`normalise_latent`] does that).
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn forward_frames(&self, frames: &Tensor) -> Result<Tensor> {
        let copies = vec![frames; self.config.tubelet_size];
        self.forward(&Tensor::stack(&copies, 2)?)
    }

    fn trunk(
        &self,
        clip: &Tensor,
        kept: Option<&Tensor>,
        after_block: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let grid = clip_positions(&self.config, clip)?;
        let tokens = self.embed(clip)?;
        through_blocks(&self.blocks, &self.config, tokens, grid, kept, after_block)
    }

    /// `[B, 3, T, H, W]` to `[B, N, D]`.
    fn embed(&self, clip: &Tensor) -> Result<Tensor> {
        let (t, p) = (self.config.tubelet_size, self.config.patch_size);
        match &self.patch_embed {
            PatchEmbed::Conv3d(proj) => proj.forward(&patches(clip, t, p)?),
            PatchEmbed::TwoLevel { small, merge } => {
                let (b, _, frames, height, width) = clip.dims5()?;
                let (rows, columns) = (height / p, width / p);
                let half = self.config.embed_dim / 2;
                let tokens = small.forward(&patches(clip, t, p / 2)?)?.gelu_erf()?;
                let merged = tokens
                    .reshape(&[b * (frames / t) * rows, 2, columns, 2, half][..])?
                    .permute((0, 2, 1, 3, 4))?
                    .reshape((b, (frames / t) * rows * columns, 4 * half))?;
                merge.forward(&merged)
            }
        }
    }
}

/// Where the tokens of clips `[B, 3, T, H, W]` are.
///
/// # Errors
/// When they don't divide into tubelets and patches, or the grid can't be interpolated.
pub(crate) fn clip_positions(config: &EncoderConfig, clip: &Tensor) -> Result<Vec<Position>> {
    let (_, _, frames, height, width) = clip.dims5()?;
    let grid = config.clip_grid([frames, height, width]);
    let positions = grid.and_then(|grid| config.clip_positions(grid));
    positions.map_err(candle_core::Error::msg)
}

/// Tokens `[B, N, D]` at the places `grid`, or only those of them at `kept` `[B, K]`, through the
/// blocks of either family's encoder; `after_block` sees what each one gives.
///
/// # Errors
/// As [`keep`].
pub(crate) fn through_blocks(
    blocks: &[Block],
    config: &EncoderConfig,
    tokens: Tensor,
    grid: Vec<Position>,
    kept: Option<&Tensor>,
    after_block: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
) -> Result<Tensor> {
    let (mut x, samples) = match kept {
        None => (tokens, vec![grid]),
        Some(kept) => keep(&tokens, kept, &grid)?,
    };
    let (cos, sin) = rope::batched(&samples, config.head_dim(), config.rope, &x)?;
    for (i, block) in blocks.iter().enumerate() {
        x = block.forward(&x, &cos, &sin, None)?;
        after_block(i, &x)?;
    }
    Ok(x)
}

/// Of the tokens `[B, N, D]` those at `kept` `[B, K]` (raster indices of `grid`), and where they
/// are.
///
/// # Errors
/// When an index is out of range or a batch size differs.
pub fn keep(
    tokens: &Tensor,
    kept: &Tensor,
    grid: &[Position],
) -> Result<(Tensor, Vec<Vec<Position>>)> {
    let selected = select(tokens, kept)?;
    let positions = kept.to_dtype(DType::U32)?.to_vec2::<u32>()?;
    let positions = positions
        .into_iter()
        .map(|ids| ids.into_iter().map(|id| grid[id as usize]).collect())
        .collect();
    Ok((selected, positions))
}

/// Of the tokens `[B, N, D]` those at `ids` `[B, K]`, in that order: `[B, K, D]`.
///
/// # Errors
/// When an index is out of range or a batch size differs.
pub fn select(tokens: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let (batch, n, d) = tokens.dims3()?;
    let (b, k) = ids.dims2()?;
    if b != batch {
        candle_core::bail!("{b} lists of tokens to keep for a batch of {batch}");
    }
    let ids = ids.to_dtype(DType::U32)?;
    if let Some(id) = ids
        .flatten_all()?
        .to_vec1::<u32>()?
        .iter()
        .find(|id| **id as usize >= n)
    {
        candle_core::bail!("there is no token {id}, only {n}");
    }
    let index = ids.unsqueeze(2)?.broadcast_as((b, k, d))?.contiguous()?;
    tokens.contiguous()?.gather(&index, 1)
}

/// Cuts `[B, 3, T, H, W]` into rows `[B, T/t · H/p · W/p, 3·t·p·p]`, each in the order of the
/// convolution's weight.
///
/// # Errors
/// When the clip doesn't divide into them.
pub(crate) fn patches(clip: &Tensor, t: usize, p: usize) -> Result<Tensor> {
    let (b, c, frames, height, width) = clip.dims5()?;
    let (nt, nh, nw) = (frames / t, height / p, width / p);
    clip.reshape(&[b, c, nt, t, nh, p, nw, p][..])?
        .permute(&[0, 2, 4, 6, 1, 3, 5, 7][..])?
        .reshape((b, nt * nh * nw, c * t * p * p))
}

/// Tokens `[…, D]` layer-normalised without weights, as the planner and the losses see them.
///
/// # Errors
/// When `tokens` has no dimension.
pub fn normalise_latent(tokens: &Tensor) -> Result<Tensor> {
    normalise(tokens, LATENT_EPS)
}

/// Mean over the last dimension of `|a − b|`: the L1 energy per token.
///
/// # Errors
/// When the shapes differ.
pub fn l1(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    (a - b)?.abs()?.mean(D::Minus1)
}
