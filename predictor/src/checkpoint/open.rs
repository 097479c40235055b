//! Finding out which layout a path is in, and sorting its tensors into networks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::entry::Entry;
use super::error::CheckpointError;
use super::folder::{CONFIG_FILE, WEIGHTS_FILE};
use super::wrappers::{self, without_usual};
use super::{hugging_face, safetensors_file, torch, Checkpoint, Format, Part};
use crate::config::{ModelConfig, MODEL_TYPE};
use foresight_planner::git_lfs;

/// Positions of the pre-training files: RoPE replaced them, the official hub ignores them too.
const IGNORED: [&str; 2] = ["pos_embed", "predictor_pos_embed"];
/// Hugging Face's list of the files a large model is cut into.
const SHARD_INDEX: &str = "model.safetensors.index.json";
/// Largest JSON file that is read, bytes.
const MAX_JSON: u64 = 64 << 20;

pub(super) fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let kind = std::fs::metadata(path).map_err(CheckpointError::io(path, "opening"))?;
    if kind.is_dir() {
        folder(path)
    } else if path.extension().is_some_and(|e| e == "safetensors") {
        let config = path.with_file_name(CONFIG_FILE);
        // A config.json beside weights of another name may belong to other weights.
        let beside = path.file_name().is_some_and(|n| n == WEIGHTS_FILE) && config.is_file();
        safetensors(
            path,
            vec![path.to_path_buf()],
            beside.then_some(config),
            None,
        )
    } else {
        torch_file(path)
    }
}

fn folder(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let config = path.join(CONFIG_FILE);
    let config = config.is_file().then_some(config);
    let weights = path.join(WEIGHTS_FILE);
    let index = path.join(SHARD_INDEX);
    if weights.is_file() {
        let mut checkpoint = safetensors(path, vec![weights], config, None)?;
        if index.is_file() {
            checkpoint.remarks.push(format!(
                "both {WEIGHTS_FILE} and {SHARD_INDEX}, a list of shards, are there and may differ: {WEIGHTS_FILE} is taken; delete whichever is out of date"
            ));
        }
        return Ok(checkpoint);
    }
    if index.is_file() {
        let (files, shards) = shards(path, &index)?;
        return safetensors(path, files, config, Some(&shards));
    }
    Err(CheckpointError::unsupported(
        path,
        format!("the folder has no {WEIGHTS_FILE}"),
        "give a folder with config.json and model.safetensors, or a .pt file",
    ))
}

/// Which file has which tensor, by the list of the files a model is cut into.
type WeightMap = BTreeMap<String, String>;

/// The files of a model cut into several, without repetition, and what is said to be in which.
fn shards(folder: &Path, index: &Path) -> Result<(Vec<PathBuf>, WeightMap), CheckpointError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: WeightMap,
    }
    let parsed: Index = json(index)?;
    let mut names: Vec<&String> = parsed.weight_map.values().collect();
    names.sort();
    names.dedup();
    let files = names
        .into_iter()
        .map(|name| {
            let plain = Path::new(name)
                .file_name()
                .is_some_and(|n| n == name.as_str());
            if plain {
                Ok(folder.join(name))
            } else {
                Err(CheckpointError::unsupported(
                    index,
                    format!("it names {name:?}, which is no file of this folder"),
                    "put all shards into the folder of their index",
                ))
            }
        })
        .collect::<Result<_, _>>()?;
    Ok((files, parsed.weight_map))
}

fn safetensors(
    path: &Path,
    files: Vec<PathBuf>,
    config: Option<PathBuf>,
    shards: Option<&WeightMap>,
) -> Result<Checkpoint, CheckpointError> {
    let mut tensors = BTreeMap::new();
    let mut remarks = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let mut found = safetensors_file::index(file, i)?;
        if let (Some(shards), Some(file)) = (shards, file.file_name()) {
            // As the index says, where several shards have a tensor.
            let elsewhere = |name: &String| shards.get(name).filter(|to| file != to.as_str());
            found.retain(|name, _| {
                let Some(to) = elsewhere(name) else {
                    return true;
                };
                remarks.push(format!(
                    "{name} is in {} too, but {SHARD_INDEX} names {to}: that one is taken",
                    file.display()
                ));
                false
            });
        }
        tensors.extend(found);
    }
    if let Some((name, file)) =
        shards.and_then(|s| s.iter().find(|(n, _)| !tensors.contains_key(*n)))
    {
        return Err(CheckpointError::unsupported(
            path,
            format!("{SHARD_INDEX} says that {name} is in {file}, but it isn't"),
            "index and shards are of different savings: copy all of them again from one",
        ));
    }
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        format: Format::Foresight,
        files,
        parts: BTreeMap::new(),
        ignored: Vec::new(),
        others: Vec::new(),
        remarks,
        config: None,
        hugging_face: None,
    };
    if let Some(file) = config {
        read_config(&file, &mut checkpoint)?;
    }
    if sort(&mut checkpoint, tensors)? {
        checkpoint.format = Format::HuggingFace;
    }
    if checkpoint.parts.values().all(BTreeMap::is_empty) {
        return Err(CheckpointError::unsupported(
            path,
            "it has no tensors",
            "give a checkpoint with an encoder",
        ));
    }
    Ok(checkpoint)
}

/// Takes what a `config.json` says, whichever of the two kinds it is.
fn read_config(file: &Path, checkpoint: &mut Checkpoint) -> Result<(), CheckpointError> {
    let value: Value = json(file)?;
    let wrong = |e: serde_json::Error| {
        CheckpointError::unsupported(
            file,
            format!("it doesn't describe the model ({e})"),
            "compare it with the config.json of a working model folder",
        )
    };
    match value.get("model_type").and_then(Value::as_str) {
        Some(MODEL_TYPE) => {
            let config: ModelConfig = serde_json::from_value(value).map_err(wrong)?;
            config.validate().map_err(|problem| {
                CheckpointError::unsupported(file, problem, "correct the config.json")
            })?;
            checkpoint.config = Some(config);
        }
        Some(hugging_face::MODEL_TYPE) => {
            let config: hugging_face::Config = serde_json::from_value(value).map_err(wrong)?;
            if config.is_vjepa21() {
                return Err(CheckpointError::unsupported(
                    file,
                    "it describes V-JEPA 2.1 in Hugging Face's layout, which isn't settled yet",
                    "convert the official .pt file instead: `foresight model convert FILE.pt`",
                ));
            }
            checkpoint.hugging_face = Some(config);
        }
        other => {
            return Err(CheckpointError::unsupported(
                file,
                format!("its model_type is {other:?}, which is no model known here"),
                format!(
                    "give a folder whose model_type is {MODEL_TYPE:?} or {:?}",
                    hugging_face::MODEL_TYPE
                ),
            ))
        }
    }
    Ok(())
}

/// Reads a JSON file.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    let file = File::open(path).map_err(CheckpointError::io(path, "opening"))?;
    if git_lfs::is_pointer(path) {
        return Err(CheckpointError::lfs_pointer(path));
    }
    let mut text = String::new();
    file.take(MAX_JSON)
        .read_to_string(&mut text)
        .map_err(CheckpointError::io(path, "reading"))?;
    serde_json::from_str(&text).map_err(|e| {
        CheckpointError::unsupported(
            path,
            format!("it is no valid JSON here: {e}"),
            "correct it, or copy it again if the copy was cut short",
        )
    })
}

fn torch_file(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let is_network = |key: &str| {
        matches!(
            key,
            "encoder" | "predictor" | "target_encoder" | "ema_encoder"
        )
    };
    if git_lfs::is_pointer(path) {
        return Err(CheckpointError::lfs_pointer(path));
    }
    let file = torch::index(path, is_network)?;
    let mut checkpoint = Checkpoint {
        path: path.to_path_buf(),
        format: Format::Torch,
        files: vec![path.to_path_buf()],
        parts: BTreeMap::new(),
        ignored: Vec::new(),
        others: file.others,
        remarks: Vec::new(),
        config: None,
        hugging_face: None,
    };
    for (key, tensors) in file.dictionaries {
        if tensors.is_empty() {
            checkpoint.others.push(format!("{key} (empty)"));
            continue;
        }
        if key.is_empty() {
            sort(&mut checkpoint, tensors)?;
            continue;
        }
        let clean = unwrapped(&mut checkpoint, &key, tensors)?;
        let part = match key.as_str() {
            "encoder" => Part::Encoder,
            "predictor" => predictor_kind(&clean),
            _ => Part::TargetEncoder,
        };
        checkpoint.parts.insert(part, clean);
    }
    if checkpoint.parts.values().all(BTreeMap::is_empty) {
        return Err(CheckpointError::unsupported(
            path,
            format!(
                "it has no encoder, target_encoder or predictor, only {:?}",
                checkpoint.others
            ),
            "give a checkpoint of the official training code",
        ));
    }
    Ok(checkpoint)
}

/// Names without what wrappers put before them, and without what is ignored.
fn unwrapped(
    checkpoint: &mut Checkpoint,
    key: &str,
    tensors: BTreeMap<String, Entry>,
) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    let tensors = without_prefix(checkpoint, tensors, false)?;
    let mut clean = BTreeMap::new();
    for (raw, entry) in tensors {
        let name = without_usual(&raw);
        if IGNORED.contains(&name) {
            checkpoint.ignored.push(format!("{key}.{raw}"));
        } else if clean.insert(name.to_owned(), entry).is_some() {
            return Err(CheckpointError::unsupported(
                &checkpoint.path,
                format!("{key} has {name} twice, with and without a wrapper's prefix"),
                "save one state dict",
            ));
        }
    }
    Ok(clean)
}

/// Names without what a wrapper of any name puts before all of them.
fn without_prefix(
    checkpoint: &mut Checkpoint,
    tensors: BTreeMap<String, Entry>,
    several: bool,
) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    let unwrapped = wrappers::unwrap(tensors, several).map_err(|problem| {
        CheckpointError::unsupported(&checkpoint.path, problem, "save one state dict")
    })?;
    checkpoint.others.extend(unwrapped.outside);
    Ok(unwrapped.tensors)
}

/// Sorts one dictionary into networks; whether its names are Hugging Face's.
fn sort(
    checkpoint: &mut Checkpoint,
    mut tensors: BTreeMap<String, Entry>,
) -> Result<bool, CheckpointError> {
    if !hugging_face::recognises(tensors.keys()) {
        tensors = without_prefix(checkpoint, tensors, true)?;
    }
    if !hugging_face::recognises(tensors.keys()) {
        sort_flat(checkpoint, tensors);
        return Ok(false);
    }
    checkpoint.parts = hugging_face::rename(tensors).map_err(|problem| {
        CheckpointError::unsupported(
            &checkpoint.path,
            problem,
            "save it again with VJEPA2Model.save_pretrained",
        )
    })?;
    Ok(true)
}

fn predictor_kind(tensors: &BTreeMap<String, Entry>) -> Part {
    let is_mask =
        |n: &String| n.starts_with("mask_tokens.") || n.starts_with("predictor_proj_context.");
    if tensors.keys().any(is_mask) {
        Part::MaskPredictor
    } else {
        Part::AcPredictor
    }
}

/// Sorts one dictionary of all networks, `encoder.<name>` and `predictor.<name>`, or of a single
/// one without a prefix.
fn sort_flat(checkpoint: &mut Checkpoint, tensors: BTreeMap<String, Entry>) {
    let mut plain = BTreeMap::new();
    let mut predictor = BTreeMap::new();
    for (raw, entry) in tensors {
        let name = without_usual(&raw);
        let part = match name.split_once('.') {
            Some(("encoder", rest)) => Some((Part::Encoder, rest)),
            Some(("target_encoder" | "ema_encoder", rest)) => Some((Part::TargetEncoder, rest)),
            Some(("predictor", rest)) => Some((Part::AcPredictor, rest)),
            Some(("mask_predictor", rest)) => Some((Part::MaskPredictor, rest)),
            _ => None,
        };
        let rest = part.map_or(name, |(_, rest)| rest);
        let rest = without_usual(rest);
        if IGNORED.contains(&rest) {
            checkpoint.ignored.push(raw.clone());
            continue;
        }
        let tensors = match part {
            Some((Part::AcPredictor, _)) => &mut predictor,
            Some((part, _)) => checkpoint.parts.entry(part).or_default(),
            None => &mut plain,
        };
        tensors.insert(rest.to_owned(), entry);
    }
    if !predictor.is_empty() {
        checkpoint
            .parts
            .insert(predictor_kind(&predictor), predictor);
    }
    if !plain.is_empty() {
        let is_predictor = plain.keys().any(|n| n.starts_with("predictor_"));
        let part = if is_predictor {
            predictor_kind(&plain)
        } else {
            Part::Encoder
        };
        // Beside prefixed names, plain ones are strangers: let the audit say so.
        checkpoint.parts.entry(part).or_default().extend(plain);
    }
}
