//! Our model folder: `config.json` and `model.safetensors`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use candle_core::{DType, Tensor};
use half::{bf16, f16};
use sha2::{Digest, Sha256};

use super::error::CheckpointError;
use super::safetensors_file::{self, Planned};
use super::{Checkpoint, Part};
use crate::config::ModelConfig;
use crate::layout;
use crate::parameters::{Parameters, Tensors};

/// The description of a model.
pub const CONFIG_FILE: &str = "config.json";
/// Its weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// A model folder, read whole. Tensors keep the type they are stored in.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What `config.json` says.
    pub config: ModelConfig,
    /// The encoder's tensors.
    pub encoder: Tensors,
    /// The predictor's, where the model has one.
    pub predictor: Option<Tensors>,
}

/// Reads a model folder.
///
/// # Errors
/// When it is no model folder, damaged, or its tensors don't fit its configuration.
pub fn load(folder: impl AsRef<Path>) -> Result<Loaded, CheckpointError> {
    let (checkpoint, config) = open(folder.as_ref())?;
    let encoder = checkpoint.tensors(Part::Encoder, &layout::encoder(&config.encoder))?;
    let predictor = config
        .predictor
        .as_ref()
        .map(|p| checkpoint.tensors(Part::AcPredictor, &layout::predictor(p)))
        .transpose()?;
    Ok(Loaded {
        config,
        encoder,
        predictor,
    })
}

/// Whether a model folder's description and the names and shapes of its weights agree; no weight is read.
///
/// # Errors
/// As [`load`], but for damage within the weights.
pub(crate) fn check(folder: &Path) -> Result<ModelConfig, CheckpointError> {
    let (checkpoint, config) = open(folder)?;
    checkpoint.check(Part::Encoder, &layout::encoder(&config.encoder))?;
    if let Some(predictor) = &config.predictor {
        checkpoint.check(Part::AcPredictor, &layout::predictor(predictor))?;
    }
    Ok(config)
}

fn open(folder: &Path) -> Result<(Checkpoint, ModelConfig), CheckpointError> {
    let checkpoint = Checkpoint::open(folder)?;
    let config = checkpoint.config().cloned().ok_or_else(|| {
        CheckpointError::unsupported(
            folder,
            "it is a checkpoint, but no model folder of ours",
            "make one with `foresight model convert SOURCE --out FOLDER`",
        )
    })?;
    Ok((checkpoint, config))
}

/// Writes a model folder from tensors under official names, without a mask predictor; `dtype` is f32, f16 or bf16.
///
/// # Errors
/// When tensors are missing or misshapen, a value doesn't fit into `dtype`, or the disk fails.
pub fn save(
    folder: impl AsRef<Path>,
    config: &ModelConfig,
    encoder: &Tensors,
    predictor: Option<&Tensors>,
    dtype: DType,
) -> Result<(), CheckpointError> {
    let folder = folder.as_ref();
    let config = &ModelConfig {
        mask_predictor: None,
        ..config.clone()
    };
    write(folder, config, dtype, &mut |part, name, shape| {
        let tensors = match part {
            Part::AcPredictor => predictor,
            _ => Some(encoder),
        };
        let tensor = tensors.and_then(|t| t.get(name));
        let tensor = tensor.filter(|t| t.dims() == shape).ok_or_else(|| {
            CheckpointError::unsupported(
                folder,
                format!("the {part} to be saved has no {name} of shape {shape:?}"),
                "save tensors of the architecture in the configuration",
            )
        })?;
        encode_tensor(folder, name, tensor, dtype)
    })
}

/// Writes a model folder from another checkpoint, tensor by tensor. `encoder` is the part that
/// becomes the encoder.
///
/// # Errors
/// When the checkpoint's tensors don't fit `config` or have values that are no numbers, or the disk
/// fails.
pub fn convert(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    encoder: Part,
    dtype: DType,
    folder: impl AsRef<Path>,
) -> Result<(), CheckpointError> {
    let folder = folder.as_ref();
    checkpoint.check(encoder, &layout::encoder(&config.encoder))?;
    if let Some(predictor) = &config.predictor {
        checkpoint.check(Part::AcPredictor, &layout::predictor(predictor))?;
    }
    if let Some(predictor) = &config.mask_predictor {
        checkpoint.check(Part::MaskPredictor, &layout::mask_predictor(predictor))?;
    }
    write(folder, config, dtype, &mut |part, name, _| {
        let part = if part == Part::Encoder { encoder } else { part };
        let values = floats(folder, &checkpoint.tensor(part, name)?)?;
        check_finite(checkpoint.path(), part, name, &values)?;
        encode(folder, name, &values, dtype)
    })
}

/// Refuses the tensor `name` of a part of the checkpoint at `path` when one of its values is no number, as a training
/// that diverged leaves them.
///
/// # Errors
/// [`CheckpointError::Unsupported`], with the value.
pub fn check_finite(
    path: &Path,
    part: Part,
    name: &str,
    values: &[f32],
) -> Result<(), CheckpointError> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(value) => Err(CheckpointError::unsupported(
            path,
            format!("{name} of the {part} has the value {value}"),
            "take an earlier checkpoint of this training",
        )),
    }
}

/// Writes a model folder with the encoder of `checkpoint`, tensor by tensor, and another
/// predictor, laid out as [`layout::predictor`]: what fine-tuning makes.
///
/// # Errors
/// When they don't fit `config`, or the disk fails.
pub fn save_tuned(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    predictor: &Parameters,
    dtype: DType,
    folder: impl AsRef<Path>,
) -> Result<(), CheckpointError> {
    let folder = folder.as_ref();
    checkpoint.check(Part::Encoder, &layout::encoder(&config.encoder))?;
    write(folder, config, dtype, &mut |part, name, shape| {
        if part != Part::AcPredictor {
            let tensor = checkpoint.tensor(part, name)?;
            return encode_tensor(folder, name, &tensor, dtype);
        }
        let known = predictor
            .entries()
            .iter()
            .any(|(n, s)| n == name && s == shape);
        if !known {
            return Err(CheckpointError::unsupported(
                folder,
                format!("the trained predictor has no {name} of shape {shape:?}"),
                "save a predictor of the architecture in the configuration",
            ));
        }
        encode(folder, name, predictor.slice(name), dtype)
    })
}

/// Bytes of the parameter `name` of shape `shape` of a part.
pub(super) type Source<'a> =
    &'a mut dyn FnMut(Part, &str, &[usize]) -> Result<Vec<u8>, CheckpointError>;

/// Writes both files, the weights first: a folder with a `config.json` is whole.
pub(super) fn write(
    folder: &Path,
    config: &ModelConfig,
    dtype: DType,
    source: Source,
) -> Result<(), CheckpointError> {
    config.validate().map_err(|problem| {
        CheckpointError::unsupported(folder, problem, "correct the configuration")
    })?;
    std::fs::create_dir_all(folder).map_err(CheckpointError::io(folder, "creating"))?;
    let prefixed = |prefix: &str, entries: Vec<layout::Entry>| {
        let prefix = prefix.to_owned();
        entries.into_iter().map(move |(name, shape)| Planned {
            name: format!("{prefix}.{name}"),
            dtype,
            shape,
        })
    };
    let mut plan: Vec<Planned> = prefixed("encoder", layout::encoder(&config.encoder)).collect();
    if let Some(predictor) = &config.predictor {
        plan.extend(prefixed("predictor", layout::predictor(predictor)));
    }
    if let Some(predictor) = &config.mask_predictor {
        plan.extend(prefixed(
            "mask_predictor",
            layout::mask_predictor(predictor),
        ));
    }
    safetensors_file::write(&folder.join(WEIGHTS_FILE), &plan, |planned| {
        match planned.name.split_once('.') {
            Some(("predictor", name)) => source(Part::AcPredictor, name, &planned.shape),
            Some(("mask_predictor", name)) => source(Part::MaskPredictor, name, &planned.shape),
            Some((_, name)) => source(Part::Encoder, name, &planned.shape),
            None => source(Part::Encoder, &planned.name, &planned.shape),
        }
    })?;
    let path = folder.join(CONFIG_FILE);
    let mut text = serde_json::to_string_pretty(config).map_err(|e| {
        CheckpointError::unsupported(&path, e.to_string(), "correct the configuration")
    })?;
    text.push('\n');
    safetensors_file::replace(&path, |file| {
        file.write_all(text.as_bytes())
            .map_err(CheckpointError::io(&path, "writing"))
    })
}

fn encode_tensor(
    folder: &Path,
    name: &str,
    tensor: &Tensor,
    dtype: DType,
) -> Result<Vec<u8>, CheckpointError> {
    encode(folder, name, &floats(folder, tensor)?, dtype)
}

fn floats(folder: &Path, tensor: &Tensor) -> Result<Vec<f32>, CheckpointError> {
    tensor
        .to_dtype(DType::F32)
        .and_then(|t| t.flatten_all())
        .and_then(|t| t.to_vec1::<f32>())
        .map_err(CheckpointError::tensor(folder))
}

/// Values as little-endian bytes of `dtype`.
pub(super) fn encode(
    folder: &Path,
    name: &str,
    values: &[f32],
    dtype: DType,
) -> Result<Vec<u8>, CheckpointError> {
    let bytes: Vec<u8> = match dtype {
        DType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::BF16 => values
            .iter()
            .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
            .collect(),
        DType::F16 => {
            let too_large = values
                .iter()
                .find(|v| v.is_finite() && !f16::from_f32(**v).is_finite());
            if let Some(value) = too_large {
                return Err(CheckpointError::unsupported(
                    folder,
                    format!("{name} has the value {value}, which f16 can't hold"),
                    "use --dtype bf16 or f32",
                ));
            }
            values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect()
        }
        other => {
            return Err(CheckpointError::unsupported(
                folder,
                format!("weights can't be written as {other:?}"),
                "write f32, f16 or bf16",
            ))
        }
    };
    Ok(bytes)
}

/// SHA-256 of a part's values as f32, in hexadecimal: the same for the same network, whatever
/// else its file holds.
///
/// # Errors
/// When it can't be read.
pub fn part_sha256(checkpoint: &Checkpoint, part: Part) -> Result<String, CheckpointError> {
    let mut hash = Sha256::new();
    let path = checkpoint.path();
    for name in checkpoint
        .parts
        .get(&part)
        .into_iter()
        .flat_map(|p| p.keys())
    {
        hash.update(name.as_bytes());
        let tensor = checkpoint.tensor(part, name)?;
        hash.update(encode_tensor(path, name, &tensor, DType::F32)?);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// SHA-256 of a file in hexadecimal, as `sha256sum` prints it.
///
/// # Errors
/// When it can't be read.
pub fn sha256(path: &Path) -> Result<String, CheckpointError> {
    let mut file = File::open(path).map_err(CheckpointError::io(path, "opening"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(CheckpointError::io(path, "reading"))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
