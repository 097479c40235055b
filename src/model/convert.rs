//! `foresight model convert`.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_predictor::checkpoint::{self, Checkpoint, Part, WeightType};

use super::architecture::ArchitectureArgs;

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// A .pt, a .safetensors, or a folder with config.json and model.safetensors.
    source: PathBuf,
    /// The model folder to write.
    #[arg(long)]
    out: PathBuf,
    /// Type of the written weights: f32, f16 or bf16.
    #[arg(long, default_value_t = WeightType::F32)]
    dtype: WeightType,
    /// The model's name; the folder's when absent.
    #[arg(long)]
    name: Option<String>,
    /// Take the target encoder (the moving average) of a pre-training checkpoint.
    #[arg(long)]
    target_encoder: bool,
    #[command(flatten)]
    architecture: ArchitectureArgs,
}

pub(super) fn run(args: &ConvertArgs) -> Result<()> {
    let checkpoint = Checkpoint::open(&args.source)?;
    let folder_name = args.out.file_name().unwrap_or_default().to_string_lossy();
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| folder_name.into_owned());
    let mut config = args.architecture.model_config(&checkpoint, &name)?;
    let has = |part: Part| checkpoint.entries(part).is_some();
    let encoder = if args.target_encoder || !has(Part::Encoder) {
        Part::TargetEncoder
    } else {
        Part::Encoder
    };
    if !has(encoder) {
        bail!(
            "{}: it has no {encoder}; leave out --target-encoder",
            args.source.display()
        );
    }
    if !has(Part::AcPredictor) {
        // A configuration may describe more than this file holds.
        config.predictor = None;
    }
    checkpoint::convert(&checkpoint, &config, encoder, args.dtype.dtype(), &args.out)?;
    println!("{}: {encoder} written", args.out.display());
    if config.predictor.is_some() {
        println!("with its action-conditioned predictor");
    } else {
        println!("without a predictor: to plan, one must be trained on it (`foresight train`)");
    }
    if has(Part::MaskPredictor) {
        println!("the mask predictor of pre-training is left out: planning doesn't use it");
    }
    Ok(())
}
