//! What a user says about an architecture that its tensors don't say.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context, Result};
use clap::Args;
use foresight_predictor::checkpoint::{Architecture, Checkpoint, Format, Inferred, Part};
use foresight_predictor::mask_predictor::MaskPredictorConfig;
use foresight_predictor::{EncoderConfig, ModelConfig, PredictorConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The architecture, where the checkpoint alone doesn't tell it.
#[derive(Debug, Args)]
pub(crate) struct ArchitectureArgs {
    /// JSON with the architecture: a model folder's config.json, or an object with
    /// `encoder_config` and `predictor_config`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Attention heads of the encoder; no checkpoint says it, released widths imply it.
    #[arg(long, value_name = "N")]
    encoder_heads: Option<usize>,
    /// Attention heads of the predictor, of whichever kind.
    #[arg(long, value_name = "N")]
    predictor_heads: Option<usize>,
    /// Side of the square images, px; 256 unless something says otherwise.
    #[arg(long, value_name = "PX")]
    img_size: Option<usize>,
}

impl ArchitectureArgs {
    /// The checkpoint's architecture with what the arguments say.
    pub(crate) fn resolve(&self, checkpoint: &Checkpoint) -> Result<Architecture> {
        let mut architecture = match &self.config {
            Some(path) => read(path)?,
            None => checkpoint.architecture()?,
        };
        let lacks = |part: Part, known: bool| !known && checkpoint.entries(part).is_some();
        if lacks(Part::AcPredictor, architecture.predictor.is_some()) {
            architecture.predictor = checkpoint.architecture()?.predictor;
        }
        if lacks(Part::MaskPredictor, architecture.mask_predictor.is_some()) {
            architecture.mask_predictor = checkpoint.architecture()?.mask_predictor;
        }
        let tell =
            |told: Option<usize>, known: &mut bool, heads: &mut usize, size: &mut [usize; 2]| {
                if let Some(told) = told.filter(|told| *known && *told != *heads) {
                    tracing::warn!("{told} heads are taken, as given; the checkpoint says {heads}");
                }
                (*heads, *known) = told.map_or((*heads, *known), |told| (told, true));
                *size = self.img_size.map_or(*size, |side| [side; 2]);
            };
        let [encoder, predictor] = [self.encoder_heads, self.predictor_heads];
        if let Some(of) = &mut architecture.encoder {
            let (known, c) = (&mut of.heads_known, &mut of.config);
            tell(encoder, known, &mut c.num_heads, &mut c.img_size);
        }
        if let Some(of) = &mut architecture.predictor {
            let (known, c) = (&mut of.heads_known, &mut of.config);
            tell(predictor, known, &mut c.num_heads, &mut c.img_size);
        }
        if let Some(of) = &mut architecture.mask_predictor {
            let (known, c) = (&mut of.heads_known, &mut of.config);
            tell(predictor, known, &mut c.num_heads, &mut c.img_size);
        }
        Ok(architecture)
    }

    /// As [`ArchitectureArgs::resolve`], as the configuration of a model folder, with the mask
    /// predictor if that is asked for. Fails where the number of heads is neither known nor
    /// given.
    pub(crate) fn model_config(
        &self,
        checkpoint: &Checkpoint,
        name: &str,
        mask_predictor: bool,
    ) -> Result<ModelConfig> {
        let architecture = self.resolve(checkpoint)?;
        let path = checkpoint.path().display();
        let Some(encoder) = architecture.encoder else {
            bail!("{path}: there is no encoder in it, and a model needs its own; give a checkpoint with both");
        };
        let known = |what: &str, known: bool, width: usize, flag: &str| {
            if known {
                return Ok(());
            }
            bail!("{path}: no released {what} is {width} wide, so its number of attention heads is not known; give it with {flag} or --config")
        };
        let (told, width) = (encoder.heads_known, encoder.config.embed_dim);
        known("encoder", told, width, "--encoder-heads")?;
        let flag = "--predictor-heads";
        if let Some(p) = &architecture.predictor {
            let (told, width) = (p.heads_known, p.config.predictor_embed_dim);
            known("predictor", told, width, flag)?;
        }
        let mask_predictor = architecture.mask_predictor.filter(|_| mask_predictor);
        if let Some(p) = &mask_predictor {
            let (told, width) = (p.heads_known, p.config.predictor_embed_dim);
            known("mask predictor", told, width, flag)?;
        }
        let config = ModelConfig {
            predictor: architecture.predictor.map(|p| p.config),
            mask_predictor: mask_predictor.map(|p| p.config),
            action_space: checkpoint
                .config()
                .map(|c| c.action_space.clone())
                .unwrap_or_default(),
            ..ModelConfig::of(name, encoder.config)
        };
        must_be_possible(checkpoint, &config)?;
        Ok(config)
    }
}

/// Refuses sizes that no network can have.
pub(super) fn must_be_possible(checkpoint: &Checkpoint, config: &ModelConfig) -> Result<()> {
    config.validate().map_err(|problem| {
        anyhow!(
            "{}: {problem}; correct it with --config, --encoder-heads, --predictor-heads or --img-size",
            checkpoint.path().display()
        )
    })
}

/// Reads a configuration in either form.
pub(super) fn read(path: &Path) -> Result<Architecture> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the architecture from {}", path.display()))?;
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let encoder: Option<EncoderConfig> = part(path, &value, ["encoder", "encoder_config"])?;
    let Some(encoder) = encoder else {
        bail!(
            "{} has no `encoder` or `encoder_config`; see the config.json of a model folder",
            path.display()
        );
    };
    let predictor: Option<PredictorConfig> = part(path, &value, ["predictor", "predictor_config"])?;
    // The pre-training predictor shares its image and token sizes with the encoder.
    let mut value = value;
    if let Some(Value::Object(mask)) = value.get_mut("pretrain_predictor_config") {
        let shared = serde_json::to_value(&encoder)?;
        for key in ["img_size", "patch_size", "embed_dim"] {
            mask.entry(key).or_insert_with(|| shared[key].clone());
        }
    }
    let mask: Option<MaskPredictorConfig> = part(
        path,
        &value,
        ["mask_predictor", "pretrain_predictor_config"],
    )?;
    Ok(Architecture {
        encoder: Some(Inferred::configured(encoder)),
        predictor: predictor.map(Inferred::configured),
        mask_predictor: mask.map(Inferred::configured),
    })
}

fn part<T: DeserializeOwned>(path: &Path, value: &Value, keys: [&str; 2]) -> Result<Option<T>> {
    for key in keys {
        match value.get(key) {
            None | Some(Value::Null) => {}
            Some(found) => {
                return serde_json::from_value(found.clone())
                    .map(Some)
                    .with_context(|| format!("`{key}` in {}", path.display()))
            }
        }
    }
    Ok(None)
}

/// A layout's name for people.
pub(super) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Torch => "PyTorch checkpoint",
        Format::HuggingFace => "Hugging Face VJEPA2Model",
        Format::Foresight => "Foresight model",
    }
}
