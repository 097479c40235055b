//! Architecture of the encoder.

use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::RopeVariant;
use crate::rope::{self, Position, RopeTable};

/// How pixels become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// The official `PatchEmbed3D`: one convolution of a tubelet of patches.
    #[default]
    Conv3d,
    /// Two levels: patches of half the size to half the width, GELU, then 2×2 of them merged.
    /// A tiny encoder learns small things (a gripper's fingers) far sooner this way than with
    /// one 16×16 convolution.
    TwoLevel,
}

/// Architecture of the V-JEPA 2 encoder; field names are the official ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Nominal height and width, px. Other sizes are accepted: RoPE has no learned positions.
    pub img_size: [usize; 2],
    /// Side of a patch, px.
    pub patch_size: usize,
    /// Nominal number of frames in a clip.
    pub num_frames: usize,
    /// Frames in one tubelet.
    pub tubelet_size: usize,
    /// Width of a token, `D`.
    pub embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden width of the MLP over `embed_dim`; the hidden width is truncated to an integer.
    pub mlp_ratio: f64,
    /// Rotary embedding variant.
    #[serde(default)]
    pub rope: RopeVariant,
    /// Patch embedding.
    #[serde(default)]
    pub stem: Stem,
    /// What V-JEPA 2.1 adds; absent for V-JEPA 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vjepa2_1: Option<Vjepa21Options>,
    /// Which of V-JEPA 2.1's levels a model's latents are.
    #[serde(default, skip_serializing_if = "EncoderLevel::is_last")]
    pub level: EncoderLevel,
    /// Cameras whose pictures stand side by side in every frame, each as wide as the others:
    /// `img_size` is that of them all, and each is cropped by itself. One when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views: Option<NonZeroUsize>,
}

/// What V-JEPA 2.1's encoder has beside V-JEPA 2's; field names are the official ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vjepa21Options {
    /// Clips of this many frames are images, with a patch embedding of their own
    /// (`patch_embed_img`); `None` for an encoder without one.
    pub img_temporal_dim_size: Option<usize>,
    /// Whether patch positions are stretched to those of the training grid.
    pub interpolate_rope: bool,
    /// Whether every token gets an embedding of its modality, image or video.
    pub modality_embedding: bool,
    /// Levels the encoder gives to training: 4, or 1, the last.
    pub n_output_distillation: usize,
}

impl Default for Vjepa21Options {
    /// Those of the released encoders.
    fn default() -> Self {
        Vjepa21Options {
            img_temporal_dim_size: Some(1),
            interpolate_rope: true,
            modality_embedding: true,
            n_output_distillation: 4,
        }
    }
}

/// Which level of V-JEPA 2.1's encoder becomes a latent. V-JEPA 2 has the last only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderLevel {
    /// The last block, the plain output.
    #[default]
    Last,
    /// One of the four, 0 the shallowest.
    One(usize),
    /// All four beside one another in each token, the shallowest first.
    All,
}

impl FromStr for EncoderLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(EncoderLevel::Last),
            "all" => Ok(EncoderLevel::All),
            "0" | "1" | "2" | "3" => text.parse().map(EncoderLevel::One).map_err(|_| text.into()),
            _ => Err("give last, all, 0, 1, 2 or 3".into()),
        }
    }
}

impl EncoderLevel {
    fn is_last(&self) -> bool {
        *self == EncoderLevel::Last
    }
}

/// Levels of V-JEPA 2.1's encoder.
pub const LEVELS: usize = 4;

impl EncoderConfig {
    /// Cameras whose pictures a frame shows side by side.
    pub fn views(&self) -> usize {
        self.views.map_or(1, NonZeroUsize::get)
    }

    /// Height and width of one camera's picture, px.
    pub fn picture_size(&self) -> [usize; 2] {
        [self.img_size[0], self.img_size[1] / self.views()]
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.embed_dim / self.num_heads
    }

    /// Hidden width of the MLP: `int(embed_dim * mlp_ratio)` as in the official code.
    pub fn mlp_hidden(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// Token grid at the nominal image size, `[rows, columns]`: a compact model's one token covers pictures
    /// side by side.
    pub fn grid(&self) -> [usize; 2] {
        self.img_size
            .map(|side| side.div_ceil(self.patch_size.max(1)))
    }

    /// Tokens of one frame at the nominal image size.
    pub fn tokens_per_frame(&self) -> usize {
        let [rows, columns] = self.grid();
        rows * columns
    }

    /// Whether a clip of `frames` frames goes through V-JEPA 2.1's image path.
    pub fn is_image(&self, frames: usize) -> bool {
        let image = self.vjepa2_1.as_ref().map(|o| o.img_temporal_dim_size);
        image.flatten() == Some(frames)
    }

    /// Frames in one token of a clip of `frames` frames.
    pub fn tubelet(&self, frames: usize) -> usize {
        if self.is_image(frames) {
            1
        } else {
            self.tubelet_size
        }
    }

    /// Tokens over time, rows and columns of a clip `[T, H, W]`.
    ///
    /// # Errors
    /// A sentence, when it doesn't divide into tubelets and patches.
    pub fn clip_grid(&self, [frames, height, width]: [usize; 3]) -> Result<[usize; 3], String> {
        let (t, p) = (self.tubelet(frames), self.patch_size);
        if !frames.is_multiple_of(t)
            || !height.is_multiple_of(p)
            || !width.is_multiple_of(p)
            || frames * height * width == 0
        {
            return Err(format!(
                "a clip of {frames} frames of {height}×{width} px doesn't divide into tubelets of {t} frames and patches of {p} px"
            ));
        }
        Ok([frames / t, height / p, width / p])
    }

    /// Where the tokens of a grid over time, rows and columns are, stretched if this encoder
    /// stretches them.
    ///
    /// # Errors
    /// As [`rope::stretch`].
    pub fn clip_positions(
        &self,
        [times, rows, columns]: [usize; 3],
    ) -> Result<Vec<Position>, String> {
        let mut grid = RopeTable::grid(times, rows, columns);
        if self.vjepa2_1.as_ref().is_some_and(|o| o.interpolate_rope) {
            let by = rope::stretch(self.patch_size, [rows, columns])?;
            rope::stretched(&mut grid, by);
        }
        Ok(grid)
    }

    /// Width of the tokens that [`EncoderConfig::level`] gives: `D`, or four times that.
    pub fn latent_dim(&self) -> usize {
        match self.level {
            EncoderLevel::All => LEVELS * self.embed_dim,
            EncoderLevel::Last | EncoderLevel::One(_) => self.embed_dim,
        }
    }

    /// Whether this encoder has its [`EncoderConfig::level`].
    ///
    /// # Errors
    /// A sentence.
    pub fn check_level(&self) -> Result<(), String> {
        match self.level {
            EncoderLevel::Last => Ok(()),
            _ if self.vjepa2_1.is_none() => {
                Err("encoder.level is V-JEPA 2.1's; V-JEPA 2 has the last level only".into())
            }
            EncoderLevel::One(level) if level >= LEVELS => {
                Err("encoder.level.one must be 0, 1, 2 or 3".into())
            }
            _ => Ok(()),
        }
    }

    /// The blocks, counted from 0, after which V-JEPA 2.1 takes its levels
    /// (`hierarchical_layers` of the official constructor). The third of 48 blocks is 37 there,
    /// where the paper says 35.
    ///
    /// # Errors
    /// A sentence, when the official code knows no levels for this depth.
    pub fn level_blocks(&self) -> Result<[usize; LEVELS], String> {
        match self.depth {
            12 => Ok([2, 5, 8, 11]),
            24 => Ok([5, 11, 17, 23]),
            40 => Ok([9, 19, 29, 39]),
            48 => Ok([11, 23, 37, 47]),
            other => Err(format!(
                "V-JEPA 2.1 has levels for 12, 24, 40 and 48 blocks, not for {other}"
            )),
        }
    }
}

/// What V-JEPA 2.1's options ask of the rest of an encoder.
pub(super) fn vjepa2_1(e: &EncoderConfig) -> Result<(), String> {
    e.check_level()?;
    let Some(options) = &e.vjepa2_1 else {
        return Ok(());
    };
    e.level_blocks().map_err(|p| format!("encoder: {p}"))?;
    if ![1, LEVELS].contains(&options.n_output_distillation) {
        return Err("encoder.vjepa2_1.n_output_distillation must be 1 or 4".into());
    }
    if e.stem != Stem::Conv3d {
        return Err("encoder.stem must be conv3d for V-JEPA 2.1".into());
    }
    if options.interpolate_rope {
        let [rows, columns] = e.img_size.map(|side| side / e.patch_size);
        rope::stretch(e.patch_size, [rows, columns]).map_err(|p| format!("encoder: {p}"))?;
    }
    Ok(())
}
