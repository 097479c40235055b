//! The mask predictor's sizes and options.

use serde::{Deserialize, Serialize};

use super::{RopeVariant, LEVELS};
use crate::rope;

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
    /// What V-JEPA 2.1 adds; absent for V-JEPA 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vjepa2_1: Option<Vjepa21PredictorOptions>,
}

/// What V-JEPA 2.1's predictor has beside V-JEPA 2's; field names are the official ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vjepa21PredictorOptions {
    /// Levels of the encoder that come in and go out, 1 to 4.
    pub n_output_distillation: usize,
    /// Width of the teacher's tokens, all levels together, where it is not the encoder's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_embed_dim: Option<usize>,
    /// Whether context tokens are predicted too, through a projection of their own.
    pub return_all_tokens: bool,
    /// Whether every token gets an embedding of its modality, image or video.
    pub modality_embedding: bool,
    /// Whether patch positions are stretched to those of the training grid. The training
    /// configurations say so; the official hub leaves it out.
    pub interpolate_rope: bool,
}

impl Default for Vjepa21PredictorOptions {
    /// Those of the training configurations.
    fn default() -> Self {
        Vjepa21PredictorOptions {
            n_output_distillation: LEVELS,
            teacher_embed_dim: None,
            return_all_tokens: true,
            modality_embedding: true,
            interpolate_rope: true,
        }
    }
}

/// Depths that the official constructor of V-JEPA 2.1 has a table for; others fail there.
const VJEPA21_DEPTHS: [usize; 6] = [4, 8, 12, 20, 24, 40];

fn default_mlp_ratio() -> f64 {
    4.0
}

impl MaskPredictorConfig {
    /// Hidden width of the MLP.
    pub fn mlp_hidden(&self) -> usize {
        (self.predictor_embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// Levels of the encoder that a context token holds.
    pub fn levels(&self) -> usize {
        self.vjepa2_1
            .as_ref()
            .map_or(1, |o| o.n_output_distillation)
    }

    /// Width of what is predicted, all levels together.
    pub fn out_dim(&self) -> usize {
        let teacher = self.vjepa2_1.as_ref().and_then(|o| o.teacher_embed_dim);
        let levels = self.levels();
        teacher.map_or(self.embed_dim, |width| width / levels.max(1)) * levels
    }

    pub(crate) fn has(&self, what: impl Fn(&Vjepa21PredictorOptions) -> bool) -> bool {
        self.vjepa2_1.as_ref().is_some_and(what)
    }

    /// Whether the sizes are ones that the official code can build.
    ///
    /// # Errors
    /// A sentence naming the field and what it must be.
    pub fn validate(&self) -> std::result::Result<(), String> {
        let (d, heads) = (self.predictor_embed_dim, self.num_heads);
        if heads == 0 || d == 0 || d % heads != 0 || self.patch_size == 0 {
            return Err(format!(
                "mask predictor: a width of {d} can't be cut into {heads} heads"
            ));
        }
        let Some(options) = &self.vjepa2_1 else {
            return Ok(());
        };
        if !VJEPA21_DEPTHS.contains(&self.depth) {
            return Err(format!(
                "mask predictor: V-JEPA 2.1 has predictors of {VJEPA21_DEPTHS:?} blocks, not of {}",
                self.depth
            ));
        }
        if options.n_output_distillation == 0 || options.n_output_distillation > LEVELS {
            return Err("mask predictor: n_output_distillation must be 1, 2, 3 or 4".into());
        }
        if options.interpolate_rope {
            rope::stretch(self.patch_size, [self.side(); 2])
                .map_err(|problem| format!("mask predictor: {problem}"))?;
        }
        Ok(())
    }

    /// Side of the square grid that places are taken on, whatever the width of the images.
    pub(crate) fn side(&self) -> usize {
        (self.img_size[0] / self.patch_size).max(1)
    }
}
