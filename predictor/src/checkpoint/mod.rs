//! Checkpoints in and out.
//!
//! Three layouts are read: PyTorch's `.pt` as the official code writes it (action-conditioned
//! training and pre-training), Hugging Face's `VJEPA2Model`, and our own model folder. All end
//! as tensors under the official state-dict names (`patch_embed.proj.weight`,
//! `predictor_blocks.0.attn.qkv.weight`, …). Opening a checkpoint reads only names, shapes and
//! places; data are read tensor by tensor, so that five gigabytes need not be in memory to be
//! inspected or converted.
//!
//! An action-conditioned checkpoint carries its own encoder. Encoders are never taken from
//! another file than the predictor's: they differ, and their latents don't mix.

mod architecture;
mod audit;
mod card;
mod entry;
mod error;
mod family;
mod folder;
mod hugging_face;
pub mod init;
mod open;
mod pickle;
pub mod safetensors_file;
mod torch;
mod weight_type;
mod wrappers;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::Serialize;

pub use architecture::Inferred;
pub use audit::{Audit, Misshapen, Unmatched};
pub use card::{conversion_card, CARD_FILE};
pub use entry::Entry;
pub use error::CheckpointError;
pub use family::VJEPA21_LICENCE;
pub(crate) use folder::check;
pub use folder::{
    check_finite, convert, load, part_sha256, save, save_tuned, sha256, Loaded, CONFIG_FILE,
    WEIGHTS_FILE,
};
pub use init::{init, mask_predictor_of, preset, PRESETS};
pub use weight_type::WeightType;

use crate::config::{EncoderConfig, ModelConfig, PredictorConfig};
use crate::layout;
use crate::mask_predictor::MaskPredictorConfig;
use crate::parameters::Tensors;

/// Names that may be there or not: the official predictor carries an extrinsics encoder even
/// when it doesn't use it.
const OPTIONAL: [&str; 2] = ["extrinsics_encoder.weight", "extrinsics_encoder.bias"];

/// One network of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The encoder.
    Encoder,
    /// Its moving average, in pre-training checkpoints.
    TargetEncoder,
    /// The action-conditioned predictor.
    AcPredictor,
    /// The predictor of pre-training.
    MaskPredictor,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Encoder => "encoder",
            Part::TargetEncoder => "target encoder",
            Part::AcPredictor => "action-conditioned predictor",
            Part::MaskPredictor => "mask predictor",
        })
    }
}

/// How a checkpoint is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// PyTorch's `.pt`.
    Torch,
    /// Hugging Face's `VJEPA2Model`.
    HuggingFace,
    /// Our model folder, or safetensors with its names.
    Foresight,
}

/// Architectures of the parts a checkpoint has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Architecture {
    /// Of the encoder, and of the target encoder.
    pub encoder: Option<Inferred<EncoderConfig>>,
    /// Of the action-conditioned predictor.
    pub predictor: Option<Inferred<PredictorConfig>>,
    /// Of the mask predictor.
    pub mask_predictor: Option<Inferred<MaskPredictorConfig>>,
}

/// An opened checkpoint: names, shapes and places of its tensors.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    files: Vec<PathBuf>,
    parts: BTreeMap<Part, BTreeMap<String, Entry>>,
    ignored: Vec<String>,
    others: Vec<String>,
    /// Contradictions that were settled, and how.
    remarks: Vec<String>,
    /// What a `config.json` beside the weights says.
    config: Option<ModelConfig>,
    hugging_face: Option<hugging_face::Config>,
}

impl Checkpoint {
    /// Opens a `.pt`, a `.safetensors`, or a folder with `config.json` and weights.
    ///
    /// # Errors
    /// When nothing is there, it is damaged, or of no layout known here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        open::open(path.as_ref())
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its layout.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The files with its weights.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The networks it has.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.parts.keys().copied()
    }

    /// A network's tensors by official name, not yet read.
    pub fn entries(&self, part: Part) -> Option<&BTreeMap<String, Entry>> {
        self.parts.get(&part)
    }

    /// Tensors that are known and not needed (`pos_embed` of the pre-training files), with the
    /// names they have in the file.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Keys of a `.pt` that hold no network (`opt`, `epoch`, …).
    pub fn other_keys(&self) -> &[String] {
        &self.others
    }

    /// The `config.json` of a model folder.
    pub fn config(&self) -> Option<&ModelConfig> {
        self.config.as_ref()
    }

    /// Architectures of its parts: from its configuration, else from its tensors.
    ///
    /// # Errors
    /// When tensors that tell the architecture are missing or misshapen.
    pub fn architecture(&self) -> Result<Architecture, CheckpointError> {
        let cannot_tell = |part: Part| {
            move |problem: String| {
                CheckpointError::unsupported(
                    &self.path,
                    format!("the architecture of its {part} can't be told: {problem}"),
                    "give a whole checkpoint, or the architecture with --config",
                )
            }
        };
        let entries = |part: Part| self.parts.get(&part);
        let encoder = match (&self.config, &self.hugging_face) {
            (Some(config), _) => Some(Inferred::configured(config.encoder.clone())),
            (None, Some(config)) => Some(Inferred::configured(config.encoder())),
            (None, None) => entries(Part::Encoder)
                .or_else(|| entries(Part::TargetEncoder))
                .map(architecture::encoder)
                .transpose()
                .map_err(cannot_tell(Part::Encoder))?,
        };
        let around = encoder.as_ref().map(|e| &e.config);
        let configured = self.config.as_ref().and_then(|c| c.predictor.clone());
        let predictor = match (configured, entries(Part::AcPredictor)) {
            (Some(config), _) => Some(Inferred::configured(config)),
            (None, Some(entries)) => Some(
                architecture::ac_predictor(entries, around)
                    .map_err(cannot_tell(Part::AcPredictor))?,
            ),
            (None, None) => None,
        };
        let ours = self.config.as_ref().and_then(|c| c.mask_predictor.clone());
        let theirs = self.hugging_face.as_ref();
        let configured = ours.or_else(|| theirs.and_then(|c| c.mask_predictor()));
        let mask_predictor = match (configured, entries(Part::MaskPredictor)) {
            (Some(config), Some(_)) => Some(Inferred::configured(config)),
            (None, Some(entries)) => Some(
                architecture::mask_predictor(entries, around)
                    .map_err(cannot_tell(Part::MaskPredictor))?,
            ),
            (_, None) => None,
        };
        Ok(Architecture {
            encoder,
            predictor,
            mask_predictor,
        })
    }

    /// Compares a part's tensors with the parameters an architecture needs.
    pub fn audit(&self, part: Part, expected: &[layout::Entry]) -> Audit {
        let found = self.parts.get(&part).into_iter().flatten();
        let found = found.map(|(name, e)| (name.as_str(), (&e.shape[..], e.dtype)));
        let optional: &[&str] = match part {
            Part::AcPredictor => &OPTIONAL,
            _ => &[],
        };
        Audit::new(found, expected, optional)
    }

    /// Audits every part against `architecture`.
    pub fn audit_all(&self, architecture: &Architecture) -> BTreeMap<Part, Audit> {
        self.parts()
            .map(|part| (part, self.audit(part, &architecture.layout(part))))
            .collect()
    }

    /// Reads a part whole, as it is stored, after checking it against `expected`.
    ///
    /// # Errors
    /// When the audit finds anything, or reading fails.
    pub fn tensors(
        &self,
        part: Part,
        expected: &[layout::Entry],
    ) -> Result<Tensors, CheckpointError> {
        self.check(part, expected)?;
        let entries = self.parts.get(&part).into_iter().flatten();
        entries
            .map(|(name, entry)| Ok((name.clone(), entry.tensor(&self.files)?)))
            .collect()
    }

    /// Reads one tensor, as it is stored.
    ///
    /// # Errors
    /// When there is no such tensor, or reading fails.
    pub fn tensor(&self, part: Part, name: &str) -> Result<Tensor, CheckpointError> {
        let entry = self.parts.get(&part).and_then(|p| p.get(name));
        let entry = entry.ok_or_else(|| {
            CheckpointError::unsupported(
                &self.path,
                format!("its {part} has no tensor {name}"),
                "see `foresight model inspect` for what it has",
            )
        })?;
        entry.tensor(&self.files)
    }

    /// What its names are, where `expected` is of the other family; ends in a line break.
    fn other_family(&self, part: Part, expected: &[layout::Entry]) -> String {
        let encoder = matches!(part, Part::Encoder | Part::TargetEncoder);
        let Some(found) = self.parts.get(&part).filter(|_| encoder) else {
            return String::new();
        };
        let expected: BTreeMap<String, ()> =
            expected.iter().map(|(n, _)| (n.clone(), ())).collect();
        if family::is_vjepa21(found) == family::is_vjepa21(&expected) {
            return String::new();
        }
        format!("{}\n", family::sentence(found))
    }

    pub(crate) fn check(
        &self,
        part: Part,
        expected: &[layout::Entry],
    ) -> Result<(), CheckpointError> {
        let audit = self.audit(part, expected);
        if audit.is_clean() {
            return Ok(());
        }
        Err(CheckpointError::Mismatch {
            path: self.path.clone(),
            part,
            family: self.other_family(part, expected),
            audit: Box::new(audit),
        })
    }
}

impl Architecture {
    /// Names and shapes of a part's parameters; none where the architecture has no such part.
    pub fn layout(&self, part: Part) -> Vec<layout::Entry> {
        match part {
            Part::Encoder | Part::TargetEncoder => {
                self.encoder.as_ref().map(|e| layout::encoder(&e.config))
            }
            Part::AcPredictor => self
                .predictor
                .as_ref()
                .map(|p| layout::predictor(&p.config)),
            Part::MaskPredictor => self
                .mask_predictor
                .as_ref()
                .map(|m| layout::mask_predictor(&m.config)),
        }
        .unwrap_or_default()
    }

    /// Whether the number of heads of the encoder and of the predictor are known.
    pub fn heads_known(&self) -> bool {
        self.encoder.as_ref().is_none_or(|e| e.heads_known)
            && self.predictor.as_ref().is_none_or(|p| p.heads_known)
            && self.mask_predictor.as_ref().is_none_or(|m| m.heads_known)
    }
}
