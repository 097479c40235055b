//! Checkpoints of the official code and of Hugging Face: loaded, they compute what they
//! computed there. Fixture kind 09.

use crate::support;
use std::path::Path;

use crate::support::{builder, Fixture};
use candle_core::{DType, Tensor};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::checkpoint::{self, Checkpoint, Format, Part};
use foresight_predictor::encoder::Encoder;
use foresight_predictor::mask_predictor::{MaskPredictor, MaskPredictorConfig};
use foresight_predictor::{layout, EncoderConfig, ModelConfig, PredictorConfig};
use serde_json::json;

const TOLERANCE: f32 = 5e-5;

/// The fixture and its folder.
struct Golden {
    dir: std::path::PathBuf,
    fixture: Fixture,
}

impl Golden {
    fn read() -> Self {
        let dir = support::root().join("09_checkpoints");
        let fixture = Fixture::read(dir.join("expected.json"));
        Golden { dir, fixture }
    }

    fn encoder(&self) -> EncoderConfig {
        self.fixture.parse("encoder_config")
    }

    fn predictor(&self) -> PredictorConfig {
        self.fixture.parse("predictor_config")
    }

    fn mask_predictor(&self) -> MaskPredictorConfig {
        let encoder = self.encoder();
        let mut config = self.fixture.json["pretrain_predictor_config"].clone();
        config["img_size"] = json!(encoder.img_size);
        config["patch_size"] = json!(encoder.patch_size);
        config["embed_dim"] = json!(encoder.embed_dim);
        serde_json::from_value(config).unwrap()
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.fixture.get(name)
    }

    fn close(&self, name: &str, found: &Tensor, tolerance: f32) {
        let expected = self.tensor(&format!("out.{name}"));
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let (found, expected) = (support::values(found), support::values(expected));
        support::close(name, &found, &expected, tolerance);
    }
}

fn run_encoder(checkpoint: &Checkpoint, part: Part, config: &EncoderConfig, x: &Tensor) -> Tensor {
    let tensors = checkpoint.tensors(part, &layout::encoder(config)).unwrap();
    let encoder = Encoder::new(config, builder(&tensors)).unwrap();
    encoder.forward(x).unwrap()
}

/// Predicts `masks_y` from the encoder's tokens at `masks_x`.
fn run_mask_predictor(
    golden: &Golden,
    checkpoint: &Checkpoint,
    config: &MaskPredictorConfig,
    tokens: &Tensor,
) -> Tensor {
    let tensors = checkpoint
        .tensors(Part::MaskPredictor, &layout::mask_predictor(config))
        .unwrap();
    let predictor = MaskPredictor::new(config, builder(&tensors)).unwrap();
    let seen = golden.tensor("in.masks_x").to_dtype(DType::U32).unwrap();
    let masked = golden.tensor("in.masks_y").to_dtype(DType::U32).unwrap();
    let (b, k) = seen.dims2().unwrap();
    let d = tokens.dim(2).unwrap();
    let index = seen.unsqueeze(2).unwrap().broadcast_as((b, k, d)).unwrap();
    let context = tokens.gather(&index.contiguous().unwrap(), 1).unwrap();
    predictor.forward(&context, &seen, &masked, 1).unwrap()
}

#[test]
fn parity_09_action_conditioned() {
    let golden = Golden::read();
    let checkpoint = Checkpoint::open(golden.dir.join("ac_style.pt")).unwrap();
    assert_eq!(checkpoint.format(), Format::Torch);
    let x = golden.tensor("in.x");
    let tokens = run_encoder(&checkpoint, Part::Encoder, &golden.encoder(), x);
    golden.close("ac.encoder_out", &tokens, TOLERANCE);

    let config = golden.predictor();
    let tensors = checkpoint
        .tensors(Part::AcPredictor, &layout::predictor(&config))
        .unwrap();
    let predictor = AcPredictor::new(&config, builder(&tensors)).unwrap();
    let input = |name: &str| golden.tensor(name);
    let out = predictor
        .forward(input("in.z"), input("in.actions"), input("in.states"), None)
        .unwrap();
    golden.close("ac.predictor_out", &out, TOLERANCE);
}

#[test]
fn parity_09_pretraining() {
    let golden = Golden::read();
    let checkpoint = Checkpoint::open(golden.dir.join("pretrain_style.pt")).unwrap();
    assert!(
        checkpoint
            .ignored()
            .iter()
            .any(|n| n.ends_with("pos_embed")),
        "pos_embed is reported as ignored"
    );
    let (config, x) = (golden.encoder(), golden.tensor("in.x"));
    let tokens = run_encoder(&checkpoint, Part::Encoder, &config, x);
    golden.close("pretrain.encoder_out", &tokens, TOLERANCE);
    let target = run_encoder(&checkpoint, Part::TargetEncoder, &config, x);
    golden.close("pretrain.target_encoder_out", &target, TOLERANCE);
    let out = run_mask_predictor(&golden, &checkpoint, &golden.mask_predictor(), &tokens);
    golden.close("pretrain.predictor_out_mask1", &out, TOLERANCE);
}

#[test]
fn parity_09_hugging_face() {
    let golden = Golden::read();
    let checkpoint = Checkpoint::open(golden.dir.join("hf_tiny")).unwrap();
    assert_eq!(checkpoint.format(), Format::HuggingFace);
    let architecture = checkpoint.architecture().unwrap();
    let config = architecture.encoder.as_ref().unwrap().config.clone();
    assert_eq!(
        config,
        golden.encoder(),
        "config.json says the architecture"
    );
    let tokens = run_encoder(&checkpoint, Part::Encoder, &config, golden.tensor("in.x"));
    golden.close("hf.last_hidden_state", &tokens, TOLERANCE);
    let config = architecture.mask_predictor.as_ref().unwrap().config.clone();
    assert_eq!(config, golden.mask_predictor());
    let out = run_mask_predictor(&golden, &checkpoint, &config, &tokens);
    golden.close("hf.predictor_last_hidden_state", &out, TOLERANCE);
}

#[test]
fn parity_09_architectures_are_read_off_the_tensors() {
    let golden = Golden::read();
    let expected = (golden.encoder(), golden.predictor());
    let checkpoint = Checkpoint::open(golden.dir.join("ac_style.pt")).unwrap();
    let architecture = checkpoint.architecture().unwrap();
    let encoder = architecture.encoder.clone().unwrap().config;
    let shapes = |c: &EncoderConfig| layout::encoder(c);
    assert_eq!(shapes(&encoder), shapes(&expected.0));
    assert_eq!(encoder.patch_size, expected.0.patch_size);
    assert_eq!(encoder.tubelet_size, expected.0.tubelet_size);
    let predictor = architecture.predictor.clone().unwrap().config;
    assert_eq!(
        layout::predictor(&predictor),
        layout::predictor(&expected.1)
    );
    for (part, audit) in checkpoint.audit_all(&architecture) {
        assert!(audit.is_clean(), "{part}: {audit}");
    }
}

/// A converted checkpoint computes the same; the widths of types are what they cost.
#[test]
fn parity_09_converted_to_a_model_folder() {
    let golden = Golden::read();
    let checkpoint = Checkpoint::open(golden.dir.join("ac_style.pt")).unwrap();
    let config = ModelConfig {
        model_type: "foresight".into(),
        name: "converted".into(),
        encoder: golden.encoder(),
        predictor: Some(golden.predictor()),
        mask_predictor: None,
        action_space: Default::default(),
    };
    let x = golden.tensor("in.x");
    for (dtype, tolerance) in [
        (DType::F32, TOLERANCE),
        (DType::F16, 2e-2),
        (DType::BF16, 1e-1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("model");
        checkpoint::convert(&checkpoint, &config, Part::Encoder, dtype, &folder).unwrap();
        let loaded = checkpoint::load(&folder).unwrap();
        assert_eq!(loaded.config, config);
        assert!(loaded.encoder.values().all(|t| t.dtype() == dtype));
        let encoder = Encoder::new(&config.encoder, builder(&loaded.encoder)).unwrap();
        let out = encoder.forward(x).unwrap();
        golden.close("ac.encoder_out", &out, tolerance);
        no_temporary_files(&folder);

        let again = folder.join("again");
        let predictor = loaded.predictor.as_ref();
        checkpoint::save(&again, &config, &loaded.encoder, predictor, dtype).unwrap();
        let hash = |folder: &Path| checkpoint::sha256(&folder.join(checkpoint::WEIGHTS_FILE));
        assert_eq!(hash(&folder).unwrap(), hash(&again).unwrap());
    }
}

/// Weights of a training that diverged are not passed on under a new name.
#[test]
fn parity_09_weights_that_are_no_numbers_are_not_converted() {
    let golden = Golden::read();
    let folder = tempfile::tempdir().unwrap();
    let config = ModelConfig {
        model_type: "foresight".into(),
        name: "diverged".into(),
        encoder: golden.encoder(),
        predictor: None,
        mask_predictor: None,
        action_space: Default::default(),
    };
    let checkpoint = Checkpoint::open(golden.dir.join("ac_style.pt")).unwrap();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    checkpoint::convert(&checkpoint, &config, Part::Encoder, DType::F32, &good).unwrap();
    let mut loaded = checkpoint::load(&good).unwrap();
    let bias = loaded.encoder.get_mut("norm.bias").unwrap();
    *bias = (&*bias * f64::NAN).unwrap();
    checkpoint::save(&bad, &config, &loaded.encoder, None, DType::F32).unwrap();
    let diverged = Checkpoint::open(&bad).unwrap();
    let out = folder.path().join("out");
    let error = checkpoint::convert(&diverged, &config, Part::Encoder, DType::BF16, &out);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("norm.bias of the encoder has the value NaN"),
        "{error}"
    );
    assert!(!out.join(checkpoint::WEIGHTS_FILE).exists());
}

fn no_temporary_files(folder: &Path) {
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with('.'), "{name:?}");
    }
}
