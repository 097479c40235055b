//! A fitted probe on disk: `probe.json` and `probe.safetensors`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use candle_core::DType;
use foresight_predictor::checkpoint::safetensors_file::{self, write_f32, Metadata, Planned};
use foresight_predictor::checkpoint::{self, Checkpoint, CheckpointError};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::EncoderLevel;
use foresight_training::attentive_probe::AttentiveProbeConfig;
use foresight_training::classify::FitOptions;
use serde::{Deserialize, Serialize};

const DESCRIPTION: &str = "probe.json";
const WEIGHTS: &str = "probe.safetensors";

/// What a probe is, and what it was fitted on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProbeFolder {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Its size.
    pub probe: AttentiveProbeConfig,
    /// The encoder's model folder.
    pub model: PathBuf,
    /// Digest of the encoder's weights.
    pub encoder_sha256: String,
    /// The encoder's level, where it isn't the model's own.
    pub level: Option<EncoderLevel>,
    /// Whether frames are encoded one by one.
    #[serde(default)]
    pub apart: bool,
    /// Frames of a clip.
    pub clip_frames: usize,
    /// Rate of its frames, Hz; `None` for clips over whole films.
    pub fps: Option<f64>,
    /// Frames between clips.
    pub stride: usize,
    /// How it learned.
    pub fit: FitOptions,
}

impl ProbeFolder {
    /// Writes the folder's two files.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn write(&self, folder: &Path, parameters: &Parameters) -> Result<()> {
        let entries = parameters.entries().iter();
        let planned: Vec<Planned> = entries
            .map(|(name, shape)| Planned {
                name: name.clone(),
                dtype: DType::F32,
                shape: shape.clone(),
            })
            .collect();
        let path = folder.join(WEIGHTS);
        let none = Metadata::new();
        safetensors_file::stream(&path, &planned, &none, |tensor, to| {
            let written = write_f32(parameters.slice(&tensor.name), to);
            written.map_err(CheckpointError::io(&path, "writing"))
        })?;
        let path = folder.join(DESCRIPTION);
        std::fs::write(&path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("writing {}", path.display()))
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// When there is no probe, or its files don't fit each other.
    pub(super) fn read(folder: &Path) -> Result<(Self, Parameters)> {
        let path = folder.join(DESCRIPTION);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is no folder that `foresight classify fit` wrote: reading {DESCRIPTION}",
                folder.display()
            )
        })?;
        let wrong = || format!("{} doesn't describe a probe", path.display());
        let probe: ProbeFolder = serde_json::from_str(&text).with_context(wrong)?;
        probe
            .probe
            .check()
            .map_err(anyhow::Error::msg)
            .with_context(wrong)?;
        if probe.classes.len() != probe.probe.classes {
            bail!(
                "{}: it names {} classes and has {}",
                path.display(),
                probe.classes.len(),
                probe.probe.classes
            );
        }
        let path = folder.join(WEIGHTS);
        let (found, _): (BTreeMap<_, _>, _) = safetensors_file::open(&path, 0)?;
        let mut parameters = Parameters::zeros(probe.probe.layout());
        for (name, shape) in probe.probe.layout() {
            let entry = found.get(&name).filter(|entry| entry.shape == shape);
            let entry = entry.with_context(|| {
                format!(
                    "{}: it has no tensor {name} of shape {shape:?}; fit the probe again",
                    path.display()
                )
            })?;
            entry.read_into(&path, parameters.slice_mut(&name))?;
        }
        Ok((probe, parameters))
    }
}

/// Digest of the weights of the encoder that [`foresight_predictor::ClipEncoder`] takes of a model.
///
/// # Errors
/// When they can't be read.
pub(super) fn encoder_sha256(model: &Path) -> Result<String> {
    let checkpoint = Checkpoint::open(model)?;
    let part = checkpoint.frozen_encoder();
    Ok(checkpoint::part_sha256(&checkpoint, part)?)
}
