//! stable-worldmodel's LeWorldModel checkpoints: `weights.pt`, a plain state dict, with `config.json` beside
//! it.

use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::{DType, Tensor};
use foresight_planner::Component;
use serde_json::Value;

use super::config::{layout, CompactConfig, CompactEyes};
use crate::config::ActionSpace;
use crate::error::Result;
use crate::parameters::{self, Tensors};
use crate::side_network::{self, damaged};

/// PyTorch's for batch normalisation.
const BATCH_NORM_EPS: f64 = 1e-5;

/// Whether a file is a LeWorldModel's state dict.
pub fn is_checkpoint(weights: &Path) -> bool {
    let known = |t: PthTensors| {
        t.tensor_infos()
            .contains_key("predictor.transformer.norm.weight")
    };
    PthTensors::new(weights, None).is_ok_and(known)
}

/// Reads `weights.pt`; its actions are `actions`, each divided by its `scale`, which the checkpoint doesn't
/// say. Batch normalisation becomes part of the layer before it, as it is in use.
///
/// # Errors
/// When a file is missing or damaged, or the architecture isn't LeWorldModel's.
pub fn convert(
    weights: &Path,
    actions: &[Component],
    scale: &[f32],
) -> Result<(CompactConfig, Tensors)> {
    let description = weights.with_file_name("config.json");
    let described: Value = side_network::read_description(&description)?;
    let number = |path: &str| {
        described
            .pointer(path)
            .and_then(Value::as_u64)
            .map(|n| n as usize)
    };
    let Some(heads) = number("/predictor/heads") else {
        return Err(damaged(
            &description,
            &"it has no predictor.heads; give the one that training wrote",
        ));
    };
    let source = StateDict {
        path: weights,
        tensors: PthTensors::new(weights, None).map_err(|e| damaged(weights, &e))?,
    };
    let depth =
        |block: &dyn Fn(usize) -> String| (0..).take_while(|i| source.has(&block(*i))).count();
    let named = |names: &&[&str; 7]| source.has(&format!("{}.0.layernorm_before.weight", names[6]));
    let names = EYES_NAMES.iter().find(named).unwrap_or(&EYES_NAMES[0]);
    let eyes_depth = depth(&|i| format!("{}.{i}.layernorm_before.weight", names[6]));
    let block = |i: usize| format!("predictor.transformer.layers.{i}");
    let d = source.dims("encoder.embeddings.cls_token")?[2];
    let patch = source.dims("encoder.embeddings.patch_embeddings.projection.weight")?[3];
    let places = source.dims("encoder.embeddings.position_embeddings")?[1];
    let first = source.dims("action_encoder.patch_embed.weight")?;
    let qkv = source.dims(&format!("{}.attn.to_qkv.weight", block(0)))?;
    let config = CompactConfig {
        name: String::new(),
        views: 1,
        side_px: (places.saturating_sub(1) as f64).sqrt().round() as usize * patch,
        eyes: CompactEyes::VisionTransformer {
            patch_size: patch,
            depth: eyes_depth,
            // Heads of 64, as every such transformer has unless its description says otherwise.
            heads: number("/encoder/num_attention_heads").unwrap_or((d / 64).max(1)),
            mlp_hidden: source.dims(&format!("{}.0.{}.bias", names[6], names[4]))?[0],
        },
        latent_dim: d,
        projector_hidden: source.dims("projector.net.0.bias")?[0],
        history: source.dims("predictor.pos_embedding")?[1],
        actions: actions.to_vec(),
        action_scale: scale.to_vec(),
        action_width: first[0],
        action_hidden: source.dims("action_encoder.embed.0.bias")?[0],
        depth: depth(&|i| format!("{}.attn.norm.weight", block(i))),
        heads,
        head_dim: qkv[0] / 3 / heads.max(1),
        mlp_hidden: source.dims(&format!("{}.mlp.net.1.bias", block(0)))?[0],
        residual: false,
        action_space: ActionSpace::default(),
    };
    if first[1] != actions.len() {
        return Err(damaged(
            weights,
            &format!(
                "it takes actions of {} numbers, and {} components are named: say which they are with \
                 --actions, one for each",
                first[1],
                actions.len()
            ),
        ));
    }
    config.validate().map_err(|e| damaged(weights, &e))?;
    let mut tensors = source.eyes(names, eyes_depth, d, patch)?;
    for (ours, theirs) in [("projector", "projector"), ("head", "pred_proj")] {
        source.projector(&mut tensors, ours, theirs)?;
    }
    let first_weight = source
        .read("action_encoder.patch_embed.weight")?
        .squeeze(2)?;
    tensors.insert("action.first.weight".into(), first_weight);
    source.copy(
        &mut tensors,
        "action.first.bias",
        "action_encoder.patch_embed.bias",
    )?;
    source.pair(&mut tensors, "action.fc1", "action_encoder.embed.0")?;
    source.pair(&mut tensors, "action.fc2", "action_encoder.embed.2")?;
    let places = source.read("predictor.pos_embedding")?.squeeze(0)?;
    tensors.insert("pos_embed".into(), places);
    for i in 0..config.depth {
        let (ours, theirs) = (format!("blocks.{i}"), block(i));
        for (to, from) in [
            ("ada", "adaLN_modulation.1"),
            ("norm1", "attn.norm"),
            ("out", "attn.to_out.0"),
            ("norm2", "mlp.net.0"),
            ("fc1", "mlp.net.1"),
            ("fc2", "mlp.net.4"),
        ] {
            source.pair(
                &mut tensors,
                &format!("{ours}.{to}"),
                &format!("{theirs}.{from}"),
            )?;
        }
        let weight = source.read(&format!("{theirs}.attn.to_qkv.weight"))?;
        let none = Tensor::zeros(weight.dim(0)?, DType::F32, weight.device())?;
        tensors.insert(format!("{ours}.qkv.weight"), weight);
        tensors.insert(format!("{ours}.qkv.bias"), none);
    }
    source.pair(&mut tensors, "norm", "predictor.transformer.norm")?;
    parameters::check(&layout(&config), &tensors)?;
    Ok((config, tensors))
}

/// How transformers names a block's layers: up to version 4, and from 5 on.
const EYES_NAMES: [[&str; 7]; 2] = [
    [
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
        "encoder.encoder.layer",
    ],
    [
        "attention.q_proj",
        "attention.k_proj",
        "attention.v_proj",
        "attention.o_proj",
        "mlp.fc1",
        "mlp.fc2",
        "encoder.layers",
    ],
];

/// The state dict.
struct StateDict<'a> {
    path: &'a Path,
    tensors: PthTensors,
}

impl StateDict<'_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.tensor_infos().contains_key(name)
    }

    fn dims(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.read(name)?.dims().to_vec())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        match self.tensors.get(name)? {
            Some(tensor) => Ok(tensor.to_dtype(DType::F32)?),
            None => Err(damaged(
                self.path,
                &format!("it has no {name}: this is no LeWorldModel of stable-worldmodel 0.1 as published"),
            )),
        }
    }

    fn copy(&self, to: &mut Tensors, ours: &str, theirs: &str) -> Result<()> {
        to.insert(ours.into(), self.read(theirs)?);
        Ok(())
    }

    fn pair(&self, to: &mut Tensors, ours: &str, theirs: &str) -> Result<()> {
        for part in ["weight", "bias"] {
            self.copy(to, &format!("{ours}.{part}"), &format!("{theirs}.{part}"))?;
        }
        Ok(())
    }

    /// Two layers with batch normalisation between them.
    fn projector(&self, to: &mut Tensors, ours: &str, theirs: &str) -> Result<()> {
        let norm = |part: &str| self.read(&format!("{theirs}.net.1.{part}"));
        let scale = (norm("weight")? / (norm("running_var")? + BATCH_NORM_EPS)?.sqrt()?)?;
        let weight = self.read(&format!("{theirs}.net.0.weight"))?;
        let bias = self.read(&format!("{theirs}.net.0.bias"))?;
        let bias = (((bias - norm("running_mean")?)? * &scale)? + norm("bias")?)?;
        let weight = weight.broadcast_mul(&scale.unsqueeze(1)?)?;
        to.insert(format!("{ours}.fc1.weight"), weight);
        to.insert(format!("{ours}.fc1.bias"), bias);
        self.pair(to, &format!("{ours}.fc2"), &format!("{theirs}.net.3"))
    }

    /// The vision transformer, of Hugging Face's names.
    fn eyes(&self, names: &[&str; 7], depth: usize, d: usize, patch: usize) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        let patches = self.read("encoder.embeddings.patch_embeddings.projection.weight")?;
        let patches = patches.permute((0, 2, 3, 1))?.contiguous()?;
        tensors.insert(
            "eyes.patches.weight".into(),
            patches.reshape((d, 3 * patch * patch))?,
        );
        let bias = "encoder.embeddings.patch_embeddings.projection.bias";
        self.copy(&mut tensors, "eyes.patches.bias", bias)?;
        for (ours, theirs) in [
            ("class_token", "cls_token"),
            ("pos_embed", "position_embeddings"),
        ] {
            let tensor = self
                .read(&format!("encoder.embeddings.{theirs}"))?
                .squeeze(0)?;
            tensors.insert(format!("eyes.{ours}"), tensor);
        }
        let [query, key, value, out, fc1, fc2, blocks] = names;
        for i in 0..depth {
            let (ours, theirs) = (format!("eyes.blocks.{i}"), format!("{blocks}.{i}"));
            for (to, from) in [
                ("out", *out),
                ("norm1", "layernorm_before"),
                ("norm2", "layernorm_after"),
                ("fc1", *fc1),
                ("fc2", *fc2),
            ] {
                self.pair(
                    &mut tensors,
                    &format!("{ours}.{to}"),
                    &format!("{theirs}.{from}"),
                )?;
            }
            for part in ["weight", "bias"] {
                let of = |name: &str| self.read(&format!("{theirs}.{name}.{part}"));
                let qkv = Tensor::cat(&[of(query)?, of(key)?, of(value)?], 0)?;
                tensors.insert(format!("{ours}.qkv.{part}"), qkv);
            }
        }
        self.pair(&mut tensors, "eyes.norm", "encoder.layernorm")?;
        Ok(tensors)
    }
}
