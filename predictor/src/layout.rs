//! Names and shapes of every parameter of the two networks, in the official state-dict order.

use crate::config::{EncoderConfig, MaskPredictorConfig, PredictorConfig, Stem, LEVELS};
use crate::kernels::{BlockShape, PARAMETER_NAMES};

/// A parameter's official name and its shape.
pub type Entry = (String, Vec<usize>);

/// Parameters of an encoder.
pub fn encoder(config: &EncoderConfig) -> Vec<Entry> {
    let d = config.embed_dim;
    let (t, p) = (config.tubelet_size, config.patch_size);
    let mut entries = Vec::new();
    let modern = config.vjepa2_1.as_ref();
    if modern.is_some_and(|o| o.modality_embedding) {
        for modality in ["img_mod_embed", "video_mod_embed"] {
            entries.push((modality.into(), vec![1, 1, d]));
        }
    }
    match config.stem {
        Stem::Conv3d => {
            entries.push(("patch_embed.proj.weight".into(), vec![d, 3, t, p, p]));
            entries.push(("patch_embed.proj.bias".into(), vec![d]));
        }
        Stem::TwoLevel => {
            let small = 3 * t * p * p / 4;
            linear(&mut entries, "patch_embed.small", small, d / 2);
            linear(&mut entries, "patch_embed.merge", 2 * d, d);
        }
    }
    if modern.is_some_and(|o| o.img_temporal_dim_size.is_some()) {
        entries.push(("patch_embed_img.proj.weight".into(), vec![d, 3, 1, p, p]));
        entries.push(("patch_embed_img.proj.bias".into(), vec![d]));
    }
    entries.extend(blocks("blocks", config.depth, encoder_block(config)));
    match modern {
        None => norm(&mut entries, "norm", d),
        Some(_) => {
            for level in 0..LEVELS {
                norm(&mut entries, &format!("norms_block.{level}"), d);
            }
        }
    }
    entries
}

/// Parameters of an action-conditioned predictor. The official module always carries an
/// `extrinsics_encoder`, used or not; ours lists it only when it is used.
pub fn predictor(config: &PredictorConfig) -> Vec<Entry> {
    let (outer, d) = (config.embed_dim, config.predictor_embed_dim);
    let mut entries = Vec::new();
    linear(&mut entries, "predictor_embed", outer, d);
    linear(&mut entries, "action_encoder", 7, d);
    linear(&mut entries, "state_encoder", 7, d);
    if config.use_extrinsics {
        linear(&mut entries, "extrinsics_encoder", 6, d);
    }
    let shape = predictor_block(config);
    entries.extend(blocks("predictor_blocks", config.depth, shape));
    norm(&mut entries, "predictor_norm", d);
    linear(&mut entries, "predictor_proj", d, outer);
    entries
}

/// Sizes of an encoder block.
pub fn encoder_block(config: &EncoderConfig) -> BlockShape {
    BlockShape {
        dim: config.embed_dim,
        heads: config.num_heads,
        hidden: config.mlp_hidden(),
    }
}

/// Sizes of a predictor block.
pub fn predictor_block(config: &PredictorConfig) -> BlockShape {
    BlockShape {
        dim: config.predictor_embed_dim,
        heads: config.num_heads,
        hidden: config.mlp_hidden(),
    }
}

/// Parameters of the blocks `<prefix>.0` to `<prefix>.<depth − 1>`.
pub fn blocks(prefix: &str, depth: usize, shape: BlockShape) -> Vec<Entry> {
    let mut entries = Vec::new();
    for i in 0..depth {
        block(&mut entries, &format!("{prefix}.{i}"), shape);
    }
    entries
}

fn block(entries: &mut Vec<Entry>, prefix: &str, shape: BlockShape) {
    let (d, m) = (shape.dim, shape.hidden);
    let shapes: [Vec<usize>; 12] = [
        vec![d],
        vec![d],
        vec![3 * d, d],
        vec![3 * d],
        vec![d, d],
        vec![d],
        vec![d],
        vec![d],
        vec![m, d],
        vec![m],
        vec![d, m],
        vec![d],
    ];
    for (name, shape) in PARAMETER_NAMES.into_iter().zip(shapes) {
        entries.push((format!("{prefix}.{name}"), shape));
    }
}

pub(crate) fn linear(entries: &mut Vec<Entry>, name: &str, inputs: usize, outputs: usize) {
    entries.push((format!("{name}.weight"), vec![outputs, inputs]));
    entries.push((format!("{name}.bias"), vec![outputs]));
}

pub(crate) fn norm(entries: &mut Vec<Entry>, name: &str, dim: usize) {
    entries.push((format!("{name}.weight"), vec![dim]));
    entries.push((format!("{name}.bias"), vec![dim]));
}

/// Names and shapes of the mask predictor's parameters.
pub fn mask_predictor(config: &MaskPredictorConfig) -> Vec<Entry> {
    let (outer, d) = (config.embed_dim, config.predictor_embed_dim);
    let mut entries = Vec::new();
    if config.has(|o| o.modality_embedding) {
        for modality in ["video_mod_embed", "img_mod_embed"] {
            entries.push((modality.into(), vec![1, 1, d]));
        }
    }
    match config.levels() {
        1 => linear(&mut entries, "predictor_embed", outer, d),
        levels => {
            linear(&mut entries, "predictor_embed.0", levels * outer, outer);
            linear(&mut entries, "predictor_embed.2", outer, d);
        }
    }
    for i in 0..config.num_mask_tokens {
        entries.push((format!("mask_tokens.{i}"), vec![1, 1, d]));
    }
    let shape = BlockShape {
        dim: d,
        heads: config.num_heads,
        hidden: config.mlp_hidden(),
    };
    entries.extend(blocks("predictor_blocks", config.depth, shape));
    norm(&mut entries, "predictor_norm", d);
    linear(&mut entries, "predictor_proj", d, config.out_dim());
    if config.has(|o| o.return_all_tokens) {
        linear(&mut entries, "predictor_proj_context", d, config.out_dim());
    }
    entries
}
