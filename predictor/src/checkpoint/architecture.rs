//! What tensors say about the architecture they belong to.
//!
//! Widths, depths and patch sizes are in the shapes. The number of attention heads is not, nor
//! is the image size: those come from a configuration, from the widths of the released models,
//! or stay unknown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::Entry;
use super::family::{self, any, has_modalities, is_vjepa21_predictor};
use crate::config::{
    EncoderConfig, EncoderLevel, PredictorConfig, RopeVariant, Stem, Vjepa21Options,
};
use crate::mask_predictor::{MaskPredictorConfig, Vjepa21PredictorOptions};

/// Image size assumed where nothing says it, px: that of the released models.
const IMAGE_SIZE: usize = 256;
/// That of V-JEPA 2.1's released models, px.
const VJEPA21_IMAGE_SIZE: usize = 384;
/// Nominal clip length assumed where nothing says it: that of the released models.
const NUM_FRAMES: usize = 64;
/// MLP ratio of ViT-g, which its rounded hidden width doesn't give back.
const GIANT_MLP_RATIO: f64 = 48.0 / 11.0;

/// Largest dimension that is believed.
const WIDEST: usize = 1 << 20;

/// An architecture read off tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inferred<C> {
    /// The architecture; `num_heads` is 1 where it is not known.
    pub config: C,
    /// Whether the number of heads is known, from a configuration or by the width.
    pub heads_known: bool,
    /// Name of the released architecture of this width, if there is one.
    pub known_as: Option<&'static str>,
}

/// A released encoder: width, name, blocks, heads.
const ENCODERS: [(usize, &str, usize, usize); 7] = [
    (192, "ViT-Ti", 12, 3),
    (384, "ViT-S", 12, 6),
    (768, "ViT-B", 12, 12),
    (1024, "ViT-L", 24, 16),
    (1280, "ViT-H", 32, 16),
    (1408, "ViT-g", 40, 22),
    (1664, "ViT-G", 48, 26),
];

impl<C> Inferred<C> {
    /// An architecture that needn't be inferred.
    pub fn configured(config: C) -> Self {
        Inferred {
            config,
            heads_known: true,
            known_as: None,
        }
    }
}

type Tensors = BTreeMap<String, Entry>;

/// The encoder these tensors belong to.
///
/// # Errors
/// What is missing to tell.
pub(super) fn encoder(tensors: &Tensors) -> Result<Inferred<EncoderConfig>, String> {
    let proj = "patch_embed.proj.weight";
    let (stem, embed_dim, tubelet_size, patch_size) = match shape(tensors, proj) {
        Some(&[d, 3, t, p, q]) if p == q => (Stem::Conv3d, d, t, p),
        Some(other) => {
            return Err(format!(
                "{proj} is {other:?}, not [width, 3, tubelet, patch, patch]"
            ))
        }
        None => {
            two_level(tensors).ok_or_else(|| format!("there is no {proj}{}", names(tensors)))?
        }
    };
    let released = ENCODERS.iter().find(|e| e.0 == embed_dim);
    let depth = depth(tensors, "blocks.", released.map(|r| r.2));
    let hidden = shape(tensors, "blocks.0.mlp.fc1.weight").and_then(|s| s.first().copied());
    let hidden = hidden.unwrap_or(4 * embed_dim);
    let vjepa2_1 = family::is_vjepa21(tensors).then(|| Vjepa21Options {
        img_temporal_dim_size: any(tensors, "patch_embed_img.").then_some(1),
        modality_embedding: has_modalities(tensors),
        // No file says these; they are the released models'.
        ..Vjepa21Options::default()
    });
    let nominal = match vjepa2_1 {
        Some(_) => VJEPA21_IMAGE_SIZE,
        None => IMAGE_SIZE,
    };
    Ok(Inferred {
        config: EncoderConfig {
            img_size: [image_size(nominal, patch_size); 2],
            patch_size,
            num_frames: NUM_FRAMES,
            tubelet_size,
            embed_dim,
            depth,
            num_heads: released.map_or(1, |r| r.3),
            mlp_ratio: mlp_ratio(hidden, embed_dim),
            rope: rope(vjepa2_1.is_some()),
            stem,
            vjepa2_1,
            level: EncoderLevel::Last,
            views: None,
        },
        heads_known: released.is_some(),
        known_as: released.map(|r| r.1),
    })
}

/// The action-conditioned predictor these tensors belong to; image and patch size are those of
/// its encoder.
///
/// # Errors
/// What is missing to tell.
pub(super) fn ac_predictor(
    tensors: &Tensors,
    encoder: Option<&EncoderConfig>,
) -> Result<Inferred<PredictorConfig>, String> {
    let [predictor_embed_dim, embed_dim] = embed(tensors)?;
    let released = predictor_embed_dim == 1024;
    let hidden = hidden(tensors, predictor_embed_dim);
    Ok(Inferred {
        config: PredictorConfig {
            img_size: encoder.map_or([IMAGE_SIZE; 2], |e| e.img_size),
            patch_size: encoder.map_or(16, |e| e.patch_size),
            num_frames: NUM_FRAMES,
            tubelet_size: encoder.map_or(2, |e| e.tubelet_size),
            embed_dim,
            predictor_embed_dim,
            depth: depth(tensors, "predictor_blocks.", released.then_some(24)),
            num_heads: if released { 16 } else { 1 },
            // Official checkpoints carry an extrinsics encoder whether it is used or not.
            use_extrinsics: false,
            mlp_ratio: mlp_ratio(hidden, predictor_embed_dim),
            rope: RopeVariant::Tiled,
            euler_around_rad: None,
            context_steps: None,
        },
        heads_known: released,
        known_as: released.then_some("V-JEPA 2-AC predictor"),
    })
}

/// The pre-training predictor these tensors belong to.
///
/// # Errors
/// What is missing to tell.
pub(super) fn mask_predictor(
    tensors: &Tensors,
    encoder: Option<&EncoderConfig>,
) -> Result<Inferred<MaskPredictorConfig>, String> {
    let [predictor_embed_dim, embed_dim, levels] = mask_embed(tensors)?;
    let released = predictor_embed_dim == 384;
    let vjepa2_1 = is_vjepa21_predictor(tensors).then(|| {
        let out = shape(tensors, "predictor_proj.weight").and_then(|s| s.first().copied());
        Vjepa21PredictorOptions {
            n_output_distillation: levels,
            teacher_embed_dim: out.filter(|out| *out != levels * embed_dim),
            return_all_tokens: any(tensors, "predictor_proj_context."),
            modality_embedding: has_modalities(tensors),
            ..Vjepa21PredictorOptions::default()
        }
    });
    let blocks = if levels > 1 { 24 } else { 12 };
    let hidden = hidden(tensors, predictor_embed_dim);
    Ok(Inferred {
        config: MaskPredictorConfig {
            img_size: encoder.map_or([IMAGE_SIZE; 2], |e| e.img_size),
            patch_size: encoder.map_or(16, |e| e.patch_size),
            embed_dim,
            predictor_embed_dim,
            depth: depth(tensors, "predictor_blocks.", released.then_some(blocks)),
            num_heads: if released { 12 } else { 1 },
            num_mask_tokens: count(tensors, "mask_tokens."),
            mlp_ratio: mlp_ratio(hidden, predictor_embed_dim),
            rope: rope(vjepa2_1.is_some()),
            vjepa2_1: vjepa2_1.clone(),
        },
        heads_known: released,
        known_as: released.then_some(match vjepa2_1 {
            Some(_) => "V-JEPA 2.1 mask predictor",
            None => "V-JEPA 2 mask predictor",
        }),
    })
}

/// A tensor's shape, unless it is beyond what any model has: an empty tensor may claim any.
fn shape<'a>(tensors: &'a Tensors, name: &str) -> Option<&'a [usize]> {
    let shape = tensors.get(name)?.shape.as_slice();
    shape.iter().all(|d| *d <= WIDEST).then_some(shape)
}

/// Some of the names there are, for a sentence that ends in one that isn't.
fn names(tensors: &Tensors) -> String {
    const QUOTED: usize = 3;
    let mut names: Vec<String> = tensors
        .keys()
        .take(QUOTED)
        .map(|n| format!("{n:?}"))
        .collect();
    if tensors.len() > QUOTED {
        names.push(format!("and {} more", tensors.len() - QUOTED));
    }
    format!("; its names are {}", names.join(", "))
}

fn two_level(tensors: &Tensors) -> Option<(Stem, usize, usize, usize)> {
    let &[half, inputs] = shape(tensors, "patch_embed.small.weight")? else {
        return None;
    };
    // 3 · tubelet · (patch/2)²: with the tubelets of two frames that every model here has.
    let side = ((inputs / 6) as f64).sqrt() as usize;
    (side > 0 && 6 * side * side == inputs).then_some((Stem::TwoLevel, 2 * half, 2, 2 * side))
}

/// `[width inside, width of the encoder's tokens]`.
fn embed(tensors: &Tensors) -> Result<[usize; 2], String> {
    match shape(tensors, "predictor_embed.weight") {
        Some(&[inside, outside]) => Ok([inside, outside]),
        Some(other) => Err(format!(
            "predictor_embed.weight is {other:?}, not [width, encoder's width]"
        )),
        None => Err(format!(
            "there is no predictor_embed.weight{}",
            names(tensors)
        )),
    }
}

/// `[width inside, width of the encoder's tokens, levels]`; more than one level goes through two
/// layers.
fn mask_embed(tensors: &Tensors) -> Result<[usize; 3], String> {
    let second = shape(tensors, "predictor_embed.2.weight");
    match (shape(tensors, "predictor_embed.0.weight"), second) {
        (Some(&[width, all]), Some(&[inside, outside]))
            if width == outside && width > 0 && all % width == 0 =>
        {
            Ok([inside, width, all / width])
        }
        (None, None) => embed(tensors).map(|[inside, outside]| [inside, outside, 1]),
        (first, second) => Err(format!(
            "predictor_embed.0.weight is {first:?} and predictor_embed.2.weight {second:?}, not [D, levels·D] and [width, D]"
        )),
    }
}

/// V-JEPA 2.1 mended the rotation.
fn rope(vjepa21: bool) -> RopeVariant {
    if vjepa21 {
        RopeVariant::Interleaved
    } else {
        RopeVariant::Tiled
    }
}

fn hidden(tensors: &Tensors, width: usize) -> usize {
    shape(tensors, "predictor_blocks.0.mlp.fc1.weight")
        .and_then(|s| s.first().copied())
        .unwrap_or(4 * width)
}

/// One more than the largest number after `prefix`.
fn count(tensors: &Tensors, prefix: &str) -> usize {
    tensors
        .keys()
        .filter_map(|name| {
            let number = name.strip_prefix(prefix)?.split('.').next()?;
            number.parse::<usize>().ok()?.checked_add(1)
        })
        .max()
        .unwrap_or(0)
        // A name is no reason to list a billion missing blocks.
        .min(1024)
}

/// Blocks there are; where a released model of this width has more, those: a file that lacks
/// some must not pass for a shallower model. At least one.
fn depth(tensors: &Tensors, prefix: &str, released: Option<usize>) -> usize {
    count(tensors, prefix).max(released.unwrap_or(1))
}

fn image_size(nominal: usize, patch: usize) -> usize {
    (nominal / patch.max(1)).max(1) * patch
}

/// A ratio that gives `hidden` back when the product is truncated.
fn mlp_ratio(hidden: usize, width: usize) -> f64 {
    let gives = |ratio: f64| (width as f64 * ratio) as usize == hidden;
    let exact = hidden as f64 / width.max(1) as f64;
    if gives(GIANT_MLP_RATIO) {
        GIANT_MLP_RATIO
    } else if gives(exact) {
        exact
    } else {
        (hidden as f64 + 0.5) / width.max(1) as f64
    }
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_architecture.rs"]
mod tests;
