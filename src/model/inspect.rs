//! `foresight model inspect`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_predictor::checkpoint::{Architecture, Audit, Checkpoint, Part};
use foresight_predictor::{compact, ModelConfig};
use serde_json::{json, Value};

use super::architecture::{format_name, must_be_possible, ArchitectureArgs};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A .pt, a .safetensors, or a folder with config.json and model.safetensors.
    path: PathBuf,
    #[command(flatten)]
    architecture: ArchitectureArgs,
    /// List every tensor.
    #[arg(long)]
    tensors: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Prints a compact model's architecture and size.
fn compact(args: &InspectArgs) -> Result<()> {
    let (config, parameters) = compact::read(&args.path)?;
    let described = json!({
        "format": "compact", "architecture": config, "parameters": parameters.values().len(),
    });
    if args.json {
        println!("{described}");
    } else {
        println!("{}", serde_json::to_string_pretty(&described)?);
    }
    Ok(())
}

pub(super) fn run(args: &InspectArgs) -> Result<()> {
    if compact::is_compact(&args.path) {
        return compact(args);
    }
    if compact::is_checkpoint(&args.path) {
        bail!(
            "{}: a LeWorldModel of stable-worldmodel; `foresight model convert` makes a compact model's folder of it",
            args.path.display()
        );
    }
    let checkpoint = Checkpoint::open(&args.path)?;
    let architecture = args.architecture.resolve(&checkpoint)?;
    let audits = checkpoint.audit_all(&architecture);
    if args.json {
        println!("{}", describe(&checkpoint, &architecture, &audits));
    } else {
        print(args, &checkpoint, &architecture, &audits);
    }
    let unfit: Vec<String> = audits
        .iter()
        .filter(|(_, audit)| !audit.is_clean())
        .map(|(part, audit)| format!("the {part} doesn't fit its architecture:\n{audit}"))
        .collect();
    if !unfit.is_empty() {
        bail!(
            "{}: {}\nuse a whole checkpoint, or give its architecture with --config",
            args.path.display(),
            unfit.join("\n")
        );
    }
    let Some(encoder) = &architecture.encoder else {
        return Ok(());
    };
    let config = ModelConfig {
        predictor: architecture.predictor.as_ref().map(|p| p.config.clone()),
        ..ModelConfig::of("", encoder.config.clone())
    };
    must_be_possible(&checkpoint, &config)
}

/// Parameters, bytes and tensors by type of one part.
struct Sizes {
    parameters: usize,
    bytes: usize,
    types: BTreeMap<String, usize>,
}

fn sizes(checkpoint: &Checkpoint, part: Part) -> Sizes {
    let mut sizes = Sizes {
        parameters: 0,
        bytes: 0,
        types: BTreeMap::new(),
    };
    for entry in checkpoint
        .entries(part)
        .into_iter()
        .flat_map(|e| e.values())
    {
        sizes.parameters += entry.elements();
        sizes.bytes += entry.elements() * entry.dtype.size_in_bytes();
        *sizes.types.entry(entry.dtype.as_str().into()).or_default() += 1;
    }
    sizes
}

/// The architecture of a part; heads are left out where they are not known.
fn configuration(architecture: &Architecture, part: Part) -> Value {
    let (mut value, heads_known) = match part {
        Part::Encoder | Part::TargetEncoder => match &architecture.encoder {
            Some(e) => (json!(e.config), e.heads_known),
            None => return Value::Null,
        },
        Part::AcPredictor => match &architecture.predictor {
            Some(p) => (json!(p.config), p.heads_known),
            None => return Value::Null,
        },
        Part::MaskPredictor => match &architecture.mask_predictor {
            Some(m) => (json!(m.config), m.heads_known),
            None => return Value::Null,
        },
    };
    if !heads_known {
        value["num_heads"] = Value::Null;
    }
    value
}

fn known_as(architecture: &Architecture, part: Part) -> Option<&'static str> {
    match part {
        Part::Encoder | Part::TargetEncoder => architecture.encoder.as_ref()?.known_as,
        Part::AcPredictor => architecture.predictor.as_ref()?.known_as,
        Part::MaskPredictor => architecture.mask_predictor.as_ref()?.known_as,
    }
}

fn describe(
    checkpoint: &Checkpoint,
    architecture: &Architecture,
    audits: &BTreeMap<Part, Audit>,
) -> Value {
    let mut parts = serde_json::Map::new();
    for (part, audit) in audits {
        let sizes = sizes(checkpoint, *part);
        let tensors: Vec<Value> = checkpoint
            .entries(*part)
            .into_iter()
            .flatten()
            .map(|(name, entry)| {
                json!({"name": name, "shape": entry.shape, "dtype": entry.dtype.as_str()})
            })
            .collect();
        let key = serde_json::to_value(part).unwrap_or_default();
        let key = key.as_str().unwrap_or_default().to_owned();
        let description = json!({
            "architecture": configuration(architecture, *part),
            "known_as": known_as(architecture, *part),
            "parameters": sizes.parameters,
            "bytes": sizes.bytes,
            "dtypes": sizes.types,
            "tensors": tensors,
            "missing": audit.missing,
            "unexpected": audit.unexpected,
            "wrong_shape": audit.misshapen,
            "not_float": audit.not_float,
        });
        parts.insert(key, description);
    }
    json!({
        "path": checkpoint.path(),
        "format": checkpoint.format(),
        "files": checkpoint.files(),
        "parts": parts,
        "ignored": checkpoint.ignored(),
        "other_keys": checkpoint.other_keys(),
        "notes": checkpoint.notes(architecture),
        "consistent": audits.values().all(Audit::is_clean),
    })
}

fn print(
    args: &InspectArgs,
    checkpoint: &Checkpoint,
    architecture: &Architecture,
    audits: &BTreeMap<Part, Audit>,
) {
    println!(
        "{}: {}",
        checkpoint.path().display(),
        format_name(checkpoint.format())
    );
    for (part, audit) in audits {
        let sizes = sizes(checkpoint, *part);
        let types: Vec<String> = sizes
            .types
            .iter()
            .map(|(dtype, count)| format!("{count} × {dtype}"))
            .collect();
        let known = known_as(architecture, *part).map(|k| format!(" ({k})"));
        println!("\n{part}{}", known.unwrap_or_default());
        println!(
            "  parameters           {} in {} tensors ({}), {:.1} MB",
            thousands(sizes.parameters),
            checkpoint.entries(*part).map_or(0, |e| e.len()),
            types.join(", "),
            sizes.bytes as f64 / 1e6
        );
        if let Value::Object(fields) = configuration(architecture, *part) {
            for (key, value) in fields {
                let value = match value {
                    Value::Null => "not in the file; give it with --config".into(),
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                println!("  {key:<20} {value}");
            }
        }
        if args.tensors {
            for (name, entry) in checkpoint.entries(*part).into_iter().flatten() {
                println!("  {name} {:?} {}", entry.shape, entry.dtype.as_str());
            }
        }
        let verdict = if audit.is_clean() {
            "every tensor is there, in its shape"
        } else {
            "DOESN'T FIT, see below"
        };
        println!("  tensors              {verdict}");
    }
    if !checkpoint.ignored().is_empty() {
        println!("\nignored: {}", checkpoint.ignored().join(", "));
    }
    if !checkpoint.other_keys().is_empty() {
        println!("also in the file: {}", checkpoint.other_keys().join(", "));
    }
    for note in checkpoint.notes(architecture) {
        println!("\n{note}");
    }
}

/// A number in groups of three digits.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
#[path = "../../tests/unit/model_inspect.rs"]
mod tests;
