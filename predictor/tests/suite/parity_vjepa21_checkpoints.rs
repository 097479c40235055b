//! Fixture 16: checkpoints of V-JEPA 2.1. Loaded, they compute what they computed there; what the
//! official hub refuses is refused with the same names; where it is silent, we speak.

use candle_core::{DType, Tensor};
use foresight_predictor::checkpoint::{
    self, Architecture, Checkpoint, CheckpointError, Inferred, Part,
};
use foresight_predictor::mask_predictor::{MaskPredictor, MaskPredictorConfig};
use foresight_predictor::vjepa21_encoder::{Modality, Vjepa21Encoder};
use foresight_predictor::{layout, EncoderConfig, ModelConfig};
use serde_json::{json, Value};

use crate::support::{self, builder, close, values, vjepa21_encoder, vjepa21_predictor, Fixture};

const BOUND: f32 = 5e-5;

struct Golden {
    dir: std::path::PathBuf,
    fixture: Fixture,
}

impl Golden {
    fn read() -> Self {
        let dir = support::root().join("16_checkpoints_2_1");
        let fixture = Fixture::read(dir.join("expected.json"));
        Golden { dir, fixture }
    }

    fn open(&self, name: &str) -> Checkpoint {
        Checkpoint::open(self.dir.join(name)).unwrap()
    }

    fn encoder(&self) -> EncoderConfig {
        vjepa21_encoder(&self.fixture.json["encoder_config"])
    }

    /// The predictor called `kind`: `distilled` or `levels4`.
    fn predictor(&self, kind: &str) -> MaskPredictorConfig {
        vjepa21_predictor(&self.fixture.json[format!("{kind}_predictor_config")])
    }

    fn close(&self, key: &str, found: &Tensor) {
        let key = format!("out.{key}");
        assert_eq!(found.dims(), self.fixture.get(&key).dims(), "{key}");
        close(&key, &values(found), &self.fixture.vec(&key), BOUND);
    }
}

fn load(checkpoint: &Checkpoint, part: Part, config: &EncoderConfig) -> Vjepa21Encoder {
    let tensors = checkpoint.tensors(part, &layout::encoder(config)).unwrap();
    Vjepa21Encoder::new(config, builder(&tensors)).unwrap()
}

/// Every encoder of every file; the three differ, so that reading the wrong one shows.
#[test]
fn parity_16_encoders() {
    let golden = Golden::read();
    for name in golden.fixture.json["files"].as_object().unwrap().keys() {
        let checkpoint = golden.open(name);
        let layout = golden.fixture.json["files"][name]["layout"]
            .as_str()
            .unwrap();
        let average = match layout.contains("ema_encoder") {
            true => "ema_encoder",
            false => "target_encoder",
        };
        for (part, key) in [(Part::Encoder, "encoder"), (Part::TargetEncoder, average)] {
            let encoder = load(&checkpoint, part, &golden.encoder());
            for input in ["video", "image"] {
                let x = golden.fixture.get(&format!("in.{input}"));
                golden.close(&format!("{key}.{input}"), &encoder.forward(x).unwrap());
            }
        }
    }
}

fn run_predictor(golden: &Golden, name: &str, kind: &str) {
    let checkpoint = golden.open(name);
    let config = golden.predictor(kind);
    let tensors = checkpoint
        .tensors(Part::MaskPredictor, &layout::mask_predictor(&config))
        .unwrap();
    let predictor = MaskPredictor::new(&config, builder(&tensors)).unwrap();
    let get = |name: &str| golden.fixture.get(name);
    let (seen, masked) = (get("in.masks_x"), get("in.masks_y"));
    let tokens = match config.levels() {
        1 => load(&checkpoint, Part::TargetEncoder, &golden.encoder())
            .forward_masked(get("in.video"), seen),
        _ => load(&checkpoint, Part::Encoder, &golden.encoder())
            .forward_training(get("in.video"), Some(seen)),
    };
    let out = predictor
        .predict(&tokens.unwrap(), seen, masked, 1, Modality::Video)
        .unwrap();
    golden.close(&format!("{kind}.pred"), &out.masked);
    golden.close(&format!("{kind}.context"), &out.context.unwrap());
}

#[test]
fn parity_16_predictors() {
    let golden = Golden::read();
    for name in golden.fixture.json["files"].as_object().unwrap().keys() {
        let layout = golden.fixture.json["files"][name]["layout"]
            .as_str()
            .unwrap();
        let kind = match layout.contains("Linear-GELU-Linear") {
            true => "levels4",
            false => "distilled",
        };
        run_predictor(&golden, name, kind);
    }
}

/// Names are the official ones, and they tell the family and the architecture.
#[test]
fn parity_16_names_and_architectures() {
    let golden = Golden::read();
    for name in golden.fixture.json["files"].as_object().unwrap().keys() {
        let checkpoint = golden.open(name);
        let names = |part| -> Vec<String> {
            let entries = checkpoint.entries(part).unwrap();
            entries.keys().cloned().collect()
        };
        let official = |key: &str| -> Vec<String> {
            let mut names: Vec<String> =
                serde_json::from_value(golden.fixture.json["official_keys"][key].clone()).unwrap();
            names.sort();
            names
        };
        for part in [Part::Encoder, Part::TargetEncoder] {
            assert_eq!(names(part), official("encoder"), "{name} {part}");
        }
        let architecture = checkpoint.architecture().unwrap();
        let found = architecture.encoder.as_ref().unwrap().config.clone();
        assert_eq!(layout::encoder(&found), layout::encoder(&golden.encoder()));
        assert_eq!(found.rope, golden.encoder().rope);
        assert_eq!(found.vjepa2_1, golden.encoder().vjepa2_1);
        let found = architecture.mask_predictor.as_ref().unwrap().config.clone();
        let kind = if found.levels() == 1 {
            "distilled"
        } else {
            "levels4"
        };
        assert_eq!(
            names(Part::MaskPredictor),
            official(&format!("{kind}_predictor"))
        );
        assert_eq!(
            layout::mask_predictor(&found),
            layout::mask_predictor(&golden.predictor(kind)),
            "{name}"
        );
        for (part, audit) in checkpoint.audit_all(&architecture) {
            assert!(audit.is_clean(), "{name} {part}: {audit}");
        }
        let notes = checkpoint.notes(&architecture).join("\n");
        assert!(notes.contains("it is V-JEPA 2.1's, by"), "{notes}");
        assert!(notes.contains("CC BY-NC"), "{notes}");
    }
}

/// The names in quotation marks of one list of an official error, and what comes without them.
fn listed(message: &str, list: &str) -> Vec<String> {
    let Some((_, rest)) = message.split_once(list) else {
        return Vec::new();
    };
    let rest = rest.split(". Unexpected key").next().unwrap_or(rest);
    // A message may be cut in the middle of its last name.
    let mut names: Vec<String> = rest.split('"').skip(1).step_by(2).map(Into::into).collect();
    if rest.matches('"').count() % 2 == 1 {
        names.pop();
    }
    names
}

/// Compares what is refused, and by which names, with what the official hub says.
fn check(what: &str, official: &str, found: Result<(), CheckpointError>) {
    if official == "loaded" {
        found.unwrap_or_else(|e| panic!("{what}: the official hub loads it: {e}"));
        return;
    }
    let error = found.expect_err(&format!("{what}: must not load"));
    let CheckpointError::Mismatch { audit, .. } = &error else {
        panic!("{what}: {error}");
    };
    let missing: Vec<&str> = audit.missing.iter().map(|u| u.name.as_str()).collect();
    for name in listed(official, "Missing key(s) in state_dict:") {
        assert!(
            missing.contains(&name.as_str()),
            "{what}: {name} is missing"
        );
    }
    let unexpected: Vec<&str> = audit.unexpected.iter().map(|u| u.name.as_str()).collect();
    for name in listed(official, "Unexpected key(s) in state_dict:") {
        let known = unexpected.contains(&name.as_str()) || name == "pos_embed";
        assert!(known, "{what}: {name} is unexpected");
    }
    if let Some((_, rest)) = official.split_once("size mismatch for ") {
        let name = rest.split(':').next().unwrap();
        let misshapen = audit.misshapen.iter().any(|m| m.name == name);
        assert!(misshapen, "{what}: {name} has another shape");
    }
    println!("{what}: {error}\n");
}

#[test]
fn parity_16_bad_files() {
    let golden = Golden::read();
    for (name, bad) in golden.fixture.json["bad_files"].as_object().unwrap() {
        let checkpoint = golden.open(name);
        let part = match bad["encoder_key"].as_str().unwrap() {
            "encoder" => Part::Encoder,
            _ => Part::TargetEncoder,
        };
        let official = |key: &str| bad["official_hub_strict"][key].as_str().unwrap();
        let encoder = layout::encoder(&golden.encoder());
        let found = checkpoint.tensors(part, &encoder).map(drop);
        check(&format!("{name}, encoder"), official("encoder"), found);
        let predictor =
            layout::mask_predictor(&golden.predictor(bad["predictor"].as_str().unwrap()));
        let found = checkpoint
            .tensors(Part::MaskPredictor, &predictor)
            .map(drop);
        check(&format!("{name}, predictor"), official("predictor"), found);
        // The architecture read off a file that lacks something finds the fault too.
        let architecture = checkpoint.architecture().unwrap();
        let clean = checkpoint
            .audit_all(&architecture)
            .values()
            .all(|audit| audit.is_clean());
        let loaded = [official("encoder"), official("predictor")] == ["loaded"; 2];
        if checkpoint.is_vjepa21() {
            assert_eq!(clean, loaded, "{name}");
        }
    }
}

/// A V-JEPA 2 encoder asked for as V-JEPA 2.1's, and the other way round: the error says so.
#[test]
fn parity_16_families_are_told_apart() {
    let golden = Golden::read();
    let v21 = layout::encoder(&golden.encoder());
    let v2 = layout::encoder(&EncoderConfig {
        vjepa2_1: None,
        ..golden.encoder()
    });
    for (name, bad) in golden.fixture.json["bad_files"].as_object().unwrap() {
        if bad["encoder_key"] != "target_encoder" {
            continue;
        }
        let checkpoint = golden.open(name);
        assert!(!checkpoint.is_vjepa21());
        let error = checkpoint.tensors(Part::TargetEncoder, &v21).unwrap_err();
        assert!(error.to_string().contains("it is V-JEPA 2's"), "{error}");
        // As V-JEPA 2 it is whole; what has no part in it is reported.
        checkpoint.tensors(Part::TargetEncoder, &v2).unwrap();
        let ignored = checkpoint.ignored();
        assert!(
            ignored.iter().any(|n| n.ends_with("pos_embed")),
            "{ignored:?}"
        );
        let others = checkpoint.other_keys();
        assert!(
            others.contains(&"predictor (empty)".to_owned()),
            "{others:?}"
        );
    }
    let name = golden.fixture.json["files"]
        .as_object()
        .unwrap()
        .keys()
        .next();
    let error = golden
        .open(name.unwrap())
        .tensors(Part::Encoder, &v2)
        .unwrap_err();
    assert!(error.to_string().contains("it is V-JEPA 2.1's"), "{error}");
}

/// The official training code goes on with half a predictor and a line in its log; here a deeper
/// predictor than the file's is an error that names what is missing.
#[test]
fn parity_16_missing_blocks_are_no_silence() {
    let golden = Golden::read();
    let loads = golden.fixture.json["official_train_load_checkpoint"]
        .as_object()
        .unwrap();
    for (case, official) in loads {
        let (name, depth) = case.split_once(", predictor depth ").unwrap();
        let config = MaskPredictorConfig {
            depth: depth.parse().unwrap(),
            ..golden.predictor("levels4")
        };
        let found = golden
            .open(name)
            .tensors(Part::MaskPredictor, &layout::mask_predictor(&config));
        let logged: Vec<&str> = official["logged"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|line| line.as_str()?.split('"').nth(1))
            .map(|name| name.trim_start_matches("module.backbone."))
            .collect();
        if logged.is_empty() {
            found.unwrap();
            continue;
        }
        let error = found.expect_err("blocks are missing");
        let CheckpointError::Mismatch { audit, .. } = &error else {
            panic!("{error}");
        };
        for name in logged {
            assert!(audit.missing.iter().any(|u| u.name == name), "{name}");
        }
    }
}

/// A folder keeps what was converted, the mask predictor included, and computes the same.
#[test]
fn parity_16_converted_to_a_model_folder() {
    let golden = Golden::read();
    for name in golden.fixture.json["files"].as_object().unwrap().keys() {
        let checkpoint = golden.open(name);
        let inferred = checkpoint.architecture().unwrap().mask_predictor.unwrap();
        let kind = if inferred.config.levels() == 1 {
            "distilled"
        } else {
            "levels4"
        };
        let config = ModelConfig {
            model_type: "foresight".into(),
            name: "converted".into(),
            encoder: golden.encoder(),
            predictor: None,
            mask_predictor: Some(golden.predictor(kind)),
            action_space: Default::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        checkpoint::convert(
            &checkpoint,
            &config,
            Part::TargetEncoder,
            DType::F32,
            folder.path(),
        )
        .unwrap();
        let again = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(again.config(), Some(&config));
        let x = golden.fixture.get("in.image");
        let kept = load(&again, Part::Encoder, &config.encoder).forward(x);
        let before = load(&checkpoint, Part::TargetEncoder, &config.encoder).forward(x);
        assert_eq!(values(&kept.unwrap()), values(&before.unwrap()));
        let architecture = Architecture {
            encoder: Some(Inferred::configured(config.encoder.clone())),
            predictor: None,
            mask_predictor: config.mask_predictor.clone().map(Inferred::configured),
        };
        for (part, audit) in again.audit_all(&architecture) {
            assert!(audit.is_clean(), "{part}: {audit}");
        }
        let read = again.tensors(
            Part::MaskPredictor,
            &architecture.layout(Part::MaskPredictor),
        );
        assert_eq!(
            read.unwrap().len(),
            layout::mask_predictor(&inferred.config).len()
        );
        let card = checkpoint::conversion_card(&checkpoint, &config, Part::TargetEncoder, "00");
        assert!(card.contains("MIT") && card.contains("CC BY-NC"), "{card}");
        let value: Value = serde_json::to_value(&config).unwrap();
        assert_eq!(value["encoder"].get("level"), None, "{value}");
        assert_eq!(value["encoder"]["rope"], json!("interleaved"));
    }
}
