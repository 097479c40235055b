//! The V-JEPA 2.1 encoder: images and clips, one embedding each, and four levels of features.
//!
//! Official code: `app/vjepa_2_1/models/vision_transformer.py`, `VisionTransformer(use_rope=True)`.
//! Where it drops what doesn't fit (the last of an odd number of frames, pixels beyond whole
//! patches) or computes NaN (a grid one patch wide), this refuses with the reason.

use candle_core::{Result, Tensor, D};
use candle_nn::{Linear, Module, VarBuilder};

use crate::block::{Block, LayerNorm};
use crate::config::{EncoderConfig, EncoderLevel, LEVELS};
use crate::encoder::{clip_positions, patches, through_blocks};

/// What a clip is, which decides its patch embedding and its modality embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// As many frames as the encoder takes for an image: one.
    Image,
    /// Everything else, two frames included.
    Video,
}

/// The encoder.
#[derive(Debug, Clone)]
pub struct Vjepa21Encoder {
    config: EncoderConfig,
    n_output_distillation: usize,
    levels: [usize; LEVELS],
    patch_embed: Linear,
    patch_embed_img: Option<Linear>,
    /// Of images and of videos, `[1, 1, D]`.
    modalities: Option<[Tensor; 2]>,
    blocks: Vec<Block>,
    norms: Vec<LayerNorm>,
}

impl Vjepa21Encoder {
    /// Reads the official state-dict names (`patch_embed_img.proj.weight`, `norms_block.0.weight`,
    /// …) from `vb`.
    ///
    /// # Errors
    /// When the configuration is not V-JEPA 2.1's, has a depth without levels, or a tensor is
    /// missing or of another shape.
    pub fn new(config: &EncoderConfig, vb: VarBuilder) -> Result<Self> {
        let Some(options) = config.vjepa2_1.clone() else {
            candle_core::bail!("this is a V-JEPA 2 encoder: build an Encoder");
        };
        if ![1, LEVELS].contains(&options.n_output_distillation) {
            candle_core::bail!(
                "n_output_distillation is {}, but must be 1 or {LEVELS}",
                options.n_output_distillation
            );
        }
        let d = config.embed_dim;
        let embedding = |name: &str, t: usize| -> Result<Linear> {
            let (vb, p) = (vb.pp(name), config.patch_size);
            let weight = vb.get((d, 3, t, p, p), "weight")?.flatten_from(1)?;
            Ok(Linear::new(weight, Some(vb.get(d, "bias")?)))
        };
        let modalities = options
            .modality_embedding
            .then(|| -> Result<_> {
                let get = |name| vb.get((1, 1, d), name);
                Ok([get("img_mod_embed")?, get("video_mod_embed")?])
            })
            .transpose()?;
        let blocks = (0..config.depth)
            .map(|i| {
                let vb = vb.pp(format!("blocks.{i}"));
                Block::new(d, config.num_heads, config.mlp_hidden(), vb)
            })
            .collect::<Result<_>>()?;
        let norms = (0..LEVELS)
            .map(|level| LayerNorm::new(d, vb.pp(format!("norms_block.{level}"))))
            .collect::<Result<_>>()?;
        Ok(Vjepa21Encoder {
            levels: config.level_blocks().map_err(candle_core::Error::msg)?,
            patch_embed: embedding("patch_embed.proj", config.tubelet_size)?,
            patch_embed_img: options
                .img_temporal_dim_size
                .map(|_| embedding("patch_embed_img.proj", 1))
                .transpose()?,
            config: config.clone(),
            n_output_distillation: options.n_output_distillation,
            modalities,
            blocks,
            norms,
        })
    }

    /// With candle's fused kernels, which have no derivatives.
    pub fn fused(self) -> Self {
        Vjepa21Encoder {
            blocks: self.blocks.into_iter().map(Block::fused).collect(),
            norms: self.norms.into_iter().map(LayerNorm::fused).collect(),
            ..self
        }
    }

    /// The architecture.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Whether a clip of `frames` frames goes through the image path.
    pub fn modality(&self, frames: usize) -> Modality {
        if self.config.is_image(frames) {
            Modality::Image
        } else {
            Modality::Video
        }
    }

    /// A clip or image `[B, 3, T, H, W]`, normalised pixels, to tokens `[B, N, D]` of the last
    /// level.
    ///
    /// # Errors
    /// When the clip doesn't divide into tubelets and patches, or its grid can't be interpolated.
    pub fn forward(&self, clip: &Tensor) -> Result<Tensor> {
        self.last(&self.trunk(clip, None, &mut |_, _| Ok(()))?)
    }

    /// As [`Vjepa21Encoder::forward`], keeping only the tokens `kept` `[B, K]` (u32 indices);
    /// positions are those of the kept indices, and the other tokens are never seen.
    ///
    /// # Errors
    /// As [`Vjepa21Encoder::forward`], and when an index is out of range.
    pub fn forward_masked(&self, clip: &Tensor, kept: &Tensor) -> Result<Tensor> {
        self.last(&self.trunk(clip, Some(kept), &mut |_, _| Ok(()))?)
    }

    /// What training sees: the levels that `n_output_distillation` asks for beside one another,
    /// `[B, N, L·D]`, the shallowest first; of the tokens `kept` `[B, K]`, if given.
    ///
    /// # Errors
    /// As [`Vjepa21Encoder::forward_masked`].
    pub fn forward_training(&self, clip: &Tensor, kept: Option<&Tensor>) -> Result<Tensor> {
        let first = LEVELS - self.n_output_distillation;
        let levels = self.forward_levels(clip, kept, &self.levels[first..])?;
        Tensor::cat(&levels, D::Minus1)
    }

    /// The tokens after each block of `blocks`, in block order, each through its own norm.
    ///
    /// # Errors
    /// As [`Vjepa21Encoder::forward`], and when a block ends no level.
    pub fn forward_layers(&self, clip: &Tensor, blocks: &[usize]) -> Result<Vec<Tensor>> {
        if let Some(block) = blocks.iter().find(|b| !self.levels.contains(b)) {
            candle_core::bail!(
                "block {block} has no norm of its own; the levels end with blocks {:?}",
                self.levels
            );
        }
        self.forward_levels(clip, None, blocks)
    }

    /// The latents that the configuration's `level` asks for, `[B, N, D]` or `[B, N, 4·D]`.
    ///
    /// # Errors
    /// As [`Vjepa21Encoder::forward`].
    pub fn forward_latents(&self, clip: &Tensor) -> Result<Tensor> {
        let blocks = match self.config.level {
            EncoderLevel::Last => return self.forward(clip),
            EncoderLevel::One(level) if level < LEVELS => &self.levels[level..=level],
            EncoderLevel::One(level) => candle_core::bail!("there is no level {level}"),
            EncoderLevel::All => &self.levels[..],
        };
        Tensor::cat(&self.forward_levels(clip, None, blocks)?, D::Minus1)
    }

    /// Frames `[B, 3, H, W]`, each doubled to a tubelet of its own as V-JEPA 2-AC does it, to
    /// latents as [`Vjepa21Encoder::forward_latents`].
    ///
    /// # Errors
    /// As [`Vjepa21Encoder::forward`].
    pub fn forward_frames(&self, frames: &Tensor) -> Result<Tensor> {
        let copies = vec![frames; self.config.tubelet_size];
        self.forward_latents(&Tensor::stack(&copies, 2)?)
    }

    fn last(&self, x: &Tensor) -> Result<Tensor> {
        self.norms[LEVELS - 1].forward(x)
    }

    fn forward_levels(
        &self,
        clip: &Tensor,
        kept: Option<&Tensor>,
        blocks: &[usize],
    ) -> Result<Vec<Tensor>> {
        let mut outs = Vec::with_capacity(blocks.len());
        self.trunk(clip, kept, &mut |i, x| {
            let level = self.levels.iter().position(|block| *block == i);
            if let Some(level) = level.filter(|_| blocks.contains(&i)) {
                outs.push(self.norms[level].forward(x)?);
            }
            Ok(())
        })?;
        Ok(outs)
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

    /// `[B, 3, T, H, W]` to `[B, N, D]`, modality embedding added.
    fn embed(&self, clip: &Tensor) -> Result<Tensor> {
        let frames = clip.dim(2)?;
        let modality = self.modality(frames);
        let proj = match (modality, &self.patch_embed_img) {
            (Modality::Image, Some(proj)) => proj,
            _ => &self.patch_embed,
        };
        let rows = patches(clip, self.config.tubelet(frames), self.config.patch_size)?;
        let x = proj.forward(&rows)?;
        match (&self.modalities, modality) {
            (None, _) => Ok(x),
            (Some([image, _]), Modality::Image) => x.broadcast_add(image),
            (Some([_, video]), Modality::Video) => x.broadcast_add(video),
        }
    }
}
