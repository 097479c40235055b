//! Where the golden fixtures are, and how the parity tests read them.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use foresight_predictor::mask_predictor::MaskPredictorConfig;
use foresight_predictor::EncoderConfig;
use serde::de::DeserializeOwned;
use serde_json::{json, Value};

/// The project's folder, from any of its crates.
fn project() -> &'static Path {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .find(|folder| folder.join("fixtures").is_dir())
        .unwrap()
}

/// `FORESIGHT_FIXTURES`, or the project's own copy.
pub fn root() -> PathBuf {
    match std::env::var_os("FORESIGHT_FIXTURES") {
        Some(path) => PathBuf::from(path),
        None => project().join("fixtures"),
    }
}

/// Where `folder` is, if anywhere: frames that are not the project's to distribute lie beside
/// the checkout.
pub fn find(folder: &str) -> Option<PathBuf> {
    [root(), project().join("../shared/fixtures")]
        .into_iter()
        .map(|root| root.join(folder))
        .find(|path| path.is_dir())
}

/// Every fixture of `folder` whose JSON says it is of `kind`.
pub fn of_kind(folder: &str, kind: &str) -> Vec<Fixture> {
    let mut found = Vec::new();
    let path = root().join(folder);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            if json["kind"] == kind {
                found.push(Fixture::new(path, json));
            }
        }
    }
    assert!(!found.is_empty(), "no fixture of kind {kind} in {folder}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// One JSON file and the tensors beside it.
pub struct Fixture {
    pub path: PathBuf,
    pub json: Value,
    tensors: HashMap<String, Tensor>,
}

impl Fixture {
    /// The JSON file `path` and the tensors beside it.
    pub fn read(path: PathBuf) -> Self {
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let json = serde_json::from_slice(&bytes).unwrap();
        Fixture::new(path, json)
    }

    fn new(path: PathBuf, json: Value) -> Self {
        let tensors =
            candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu)
                .unwrap();
        Fixture {
            path,
            json,
            tensors,
        }
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("{}: no tensor {name}", self.path.display()))
    }

    pub fn vec(&self, name: &str) -> Vec<f32> {
        values(self.get(name))
    }

    /// The JSON value at `key` as a configuration.
    pub fn parse<T: DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_value(self.json[key].clone())
            .unwrap_or_else(|e| panic!("{}: {key}: {e}", self.path.display()))
    }

    /// The weights file named by `key`.
    pub fn weights(&self, key: &str) -> BTreeMap<String, Tensor> {
        let file = root().join(self.json[key].as_str().unwrap());
        candle_core::safetensors::load(file, &Device::Cpu)
            .unwrap()
            .into_iter()
            .collect()
    }
}

pub fn values(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

pub fn builder(weights: &BTreeMap<String, Tensor>) -> VarBuilder<'static> {
    let map = weights.clone().into_iter().collect();
    VarBuilder::from_tensors(map, DType::F32, &Device::Cpu)
}

/// Asserts that two slices agree within `bound` in every element.
pub fn close(what: &str, got: &[f32], expected: &[f32], bound: f32) {
    assert_eq!(got.len(), expected.len(), "{what}: number of values");
    let mut worst = 0f32;
    for (g, e) in got.iter().zip(expected) {
        let difference = (g - e).abs();
        assert!(!difference.is_nan(), "{what}: NaN");
        worst = worst.max(difference);
    }
    println!("{what}: max abs difference {worst:.2e} (bound {bound:.0e})");
    assert!(
        worst <= bound,
        "{what}: off by {worst:.2e}, bound {bound:.0e}"
    );
}

/// Asserts that parameters are listed as the official state dict of `fixture` has them.
pub fn listed_as_official(mut listed: Vec<(String, Vec<usize>)>, fixture: &Fixture) {
    listed.sort();
    let official: Vec<(String, Vec<usize>)> = fixture
        .weights("weights")
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.dims().to_vec()))
        .collect();
    assert_eq!(listed, official);
}

/// The options of `json` that V-JEPA 2.1 adds, as our configurations group them, with its RoPE.
fn vjepa21(json: &Value, options: &[(&str, Value)]) -> Value {
    let mut config = json.clone();
    config["rope"] = json!("interleaved");
    for (name, default) in options {
        let value = json.get(*name).unwrap_or(default);
        config["vjepa2_1"][*name] = value.clone();
    }
    config
}

/// A V-JEPA 2.1 encoder from the arguments of the official constructor; what they leave out is
/// as there.
pub fn vjepa21_encoder(json: &Value) -> EncoderConfig {
    let options = [
        ("img_temporal_dim_size", Value::Null),
        ("interpolate_rope", json!(false)),
        ("modality_embedding", json!(true)),
        ("n_output_distillation", json!(4)),
    ];
    serde_json::from_value(vjepa21(json, &options)).unwrap()
}

/// A V-JEPA 2.1 predictor, likewise.
pub fn vjepa21_predictor(json: &Value) -> MaskPredictorConfig {
    let modality = json
        .get("img_temporal_dim_size")
        .is_some_and(|v| !v.is_null())
        && json.get("modality_embedding") != Some(&json!(false));
    let options = [
        ("n_output_distillation", json!(4)),
        ("teacher_embed_dim", Value::Null),
        ("return_all_tokens", json!(false)),
        ("interpolate_rope", json!(false)),
    ];
    let mut config = vjepa21(json, &options);
    config["vjepa2_1"]["modality_embedding"] = json!(modality);
    serde_json::from_value(config).unwrap()
}
