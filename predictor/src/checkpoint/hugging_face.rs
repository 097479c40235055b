//! Hugging Face's `VJEPA2Model`: its names and its `config.json`.
//!
//! It stores query, key and value apart where the official code fuses them, all mask tokens in
//! one tensor where the official code has a list, and calls most other things differently.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::entry::{Entry, Piece};
use super::Part;
use crate::config::{EncoderConfig, EncoderLevel, RopeVariant, Stem};
use crate::mask_predictor::MaskPredictorConfig;

/// The `model_type` of its `config.json`.
pub(super) const MODEL_TYPE: &str = "vjepa2";

/// What we use of its `config.json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    crop_size: usize,
    frames_per_clip: usize,
    hidden_size: usize,
    mlp_ratio: f64,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    patch_size: usize,
    tubelet_size: usize,
    #[serde(default)]
    pred_hidden_size: usize,
    #[serde(default)]
    pred_mlp_ratio: f64,
    #[serde(default)]
    pred_num_attention_heads: usize,
    #[serde(default)]
    pred_num_hidden_layers: usize,
    #[serde(default)]
    pred_num_mask_tokens: usize,
    #[serde(default)]
    use_rope_interleave: bool,
    #[serde(default)]
    use_modality_embeddings: bool,
    #[serde(default)]
    interpolate_rope: bool,
    #[serde(default)]
    use_image_patch_embedder: bool,
}

impl Config {
    /// Whether it describes V-JEPA 2.1. Its layout there isn't settled (the change to `transformers` was
    /// still under review in May 2026), and read as V-JEPA 2 it would give other numbers without a word.
    pub(super) fn is_vjepa21(&self) -> bool {
        self.use_rope_interleave
            || self.use_modality_embeddings
            || self.interpolate_rope
            || self.use_image_patch_embedder
    }

    pub(super) fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            img_size: [self.crop_size; 2],
            patch_size: self.patch_size,
            num_frames: self.frames_per_clip,
            tubelet_size: self.tubelet_size,
            embed_dim: self.hidden_size,
            depth: self.num_hidden_layers,
            num_heads: self.num_attention_heads,
            mlp_ratio: self.mlp_ratio,
            rope: RopeVariant::Tiled,
            stem: Stem::Conv3d,
            vjepa2_1: None,
            level: EncoderLevel::Last,
            views: None,
        }
    }

    /// `None` for a model saved without its predictor.
    pub(super) fn mask_predictor(&self) -> Option<MaskPredictorConfig> {
        (self.pred_num_attention_heads > 0).then_some(MaskPredictorConfig {
            img_size: [self.crop_size; 2],
            patch_size: self.patch_size,
            embed_dim: self.hidden_size,
            predictor_embed_dim: self.pred_hidden_size,
            depth: self.pred_num_hidden_layers,
            num_heads: self.pred_num_attention_heads,
            num_mask_tokens: self.pred_num_mask_tokens,
            mlp_ratio: self.pred_mlp_ratio,
            rope: RopeVariant::Tiled,
            vjepa2_1: None,
        })
    }
}

/// Whether names are Hugging Face's.
pub(super) fn recognises<'a>(mut names: impl Iterator<Item = &'a String>) -> bool {
    names.any(|name| {
        let name = name.strip_prefix("vjepa2.").unwrap_or(name);
        name.starts_with("encoder.layer.") || name.starts_with("encoder.embeddings.")
    })
}

/// Sorts tensors into networks under official names. What has no official name keeps its own,
/// to be reported as unexpected.
pub(super) fn rename(
    tensors: BTreeMap<String, Entry>,
) -> Result<BTreeMap<Part, BTreeMap<String, Entry>>, String> {
    let mut parts: BTreeMap<Part, BTreeMap<String, Entry>> = BTreeMap::new();
    // Fused tensors by part and name: query, key and value as they turn up.
    let mut fused: BTreeMap<(Part, String), [Option<Entry>; 3]> = BTreeMap::new();
    for (raw, entry) in tensors {
        let name = raw.strip_prefix("vjepa2.").unwrap_or(&raw);
        let (part, rest) = match name.split_once('.') {
            Some(("encoder", rest)) => (Part::Encoder, rest),
            Some(("predictor", rest)) => (Part::MaskPredictor, rest),
            _ => (Part::Encoder, name),
        };
        if (part, rest) == (Part::MaskPredictor, "embeddings.mask_tokens") {
            let tokens = parts.entry(part).or_default();
            for (i, token) in mask_tokens(&entry)?.into_iter().enumerate() {
                tokens.insert(format!("mask_tokens.{i}"), token);
            }
            continue;
        }
        let official = official(part, rest);
        match qkv(&official) {
            Some((name, i)) => fused.entry((part, name)).or_default()[i] = Some(entry),
            None => {
                parts.entry(part).or_default().insert(official, entry);
            }
        }
    }
    for ((part, name), pieces) in fused {
        let [Some(q), Some(k), Some(v)] = pieces else {
            return Err(format!("{name} lacks its query, key or value"));
        };
        let entry = fuse(q, k, v)
            .ok_or_else(|| format!("query, key and value of {name} differ in shape or type"))?;
        parts.entry(part).or_default().insert(name, entry);
    }
    Ok(parts)
}

/// The official name, but for the query, key and value it may still end in.
fn official(part: Part, name: &str) -> String {
    let (blocks, norm, proj) = match part {
        Part::MaskPredictor => ("predictor_blocks", "predictor_norm", "predictor_proj"),
        _ => ("blocks", "norm", "proj"),
    };
    if let Some(rest) = name.strip_prefix("layer.") {
        return format!("{blocks}.{}", rest.replacen(".attention.", ".attn.", 1));
    }
    for (theirs, ours) in [
        ("embeddings.patch_embeddings.proj.", "patch_embed.proj"),
        ("embeddings.predictor_embeddings.", "predictor_embed"),
        ("layernorm.", norm),
        ("proj.", proj),
    ] {
        if let Some(rest) = name.strip_prefix(theirs) {
            return format!("{ours}.{rest}");
        }
    }
    name.to_owned()
}

/// The fused name of a query, key or value tensor, and its place in it.
fn qkv(name: &str) -> Option<(String, usize)> {
    ["query", "key", "value"]
        .iter()
        .enumerate()
        .find_map(|(i, part)| {
            let (before, after) = name.split_once(&format!(".attn.{part}."))?;
            Some((format!("{before}.attn.qkv.{after}"), i))
        })
}

fn fuse(q: Entry, k: Entry, v: Entry) -> Option<Entry> {
    if q.shape != k.shape || q.shape != v.shape || q.dtype != k.dtype || q.dtype != v.dtype {
        return None;
    }
    let mut shape = q.shape;
    *shape.first_mut()? *= 3;
    Some(Entry {
        dtype: q.dtype,
        shape,
        pieces: [q.pieces, k.pieces, v.pieces].concat(),
    })
}

/// `[M, 1, 1, D]` to `M` tensors `[1, 1, D]`.
fn mask_tokens(entry: &Entry) -> Result<Vec<Entry>, String> {
    let ([count, 1, 1, width], [Piece::Dense(span)]) = (&entry.shape[..], &entry.pieces[..]) else {
        return Err(format!(
            "predictor.embeddings.mask_tokens is {:?}, not [tokens, 1, 1, width]",
            entry.shape
        ));
    };
    let length = width * entry.dtype.size_in_bytes();
    Ok((0..*count)
        .map(|i| {
            let mut span = *span;
            span.offset += (i * length) as u64;
            span.length = length;
            Entry {
                dtype: entry.dtype,
                shape: vec![1, 1, *width],
                pieces: vec![Piece::Dense(span)],
            }
        })
        .collect())
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_hugging_face.rs"]
mod tests;
