//! `foresight model convert`.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_planner::Component;
use foresight_predictor::checkpoint::{self, Checkpoint, Format, Part, WeightType};
use foresight_predictor::{compact, EncoderLevel, ModelConfig};

use super::architecture::ArchitectureArgs;

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// A .pt, a .safetensors, or a folder with config.json and model.safetensors.
    source: PathBuf,
    /// The model folder to write; a new one.
    #[arg(long)]
    out: PathBuf,
    /// Type of the written weights: f32, f16 or bf16.
    #[arg(long, default_value_t = WeightType::F32)]
    dtype: WeightType,
    /// The model's name; the folder's when absent.
    #[arg(long)]
    name: Option<String>,
    /// Take the target encoder (the moving average) of a pre-training checkpoint. Of a V-JEPA 2.1
    /// checkpoint it is taken anyway, as the official hub does.
    #[arg(long)]
    target_encoder: bool,
    /// Take the encoder in training of a V-JEPA 2.1 checkpoint instead of its moving average.
    #[arg(long, conflicts_with = "target_encoder")]
    online_encoder: bool,
    /// Which of V-JEPA 2.1's four levels a predictor on this model will see: last, all (beside one
    /// another), or 0 to 3, 0 the shallowest.
    #[arg(long)]
    level: Option<EncoderLevel>,
    /// Keep the mask predictor of pre-training in the folder; planning doesn't use it.
    #[arg(long)]
    mask_predictor: bool,
    /// Of a LeWorldModel (stable-worldmodel's weights.pt, config.json beside it): the components of an
    /// action that its numbers are, such as x,y,gripper.
    #[arg(long, value_delimiter = ',', value_parser = component)]
    actions: Vec<Component>,
    /// What each of those was divided by in training, m, rad and closedness; 1 when absent.
    #[arg(long, value_delimiter = ',', requires = "actions")]
    action_scale: Vec<f32>,
    #[command(flatten)]
    architecture: ArchitectureArgs,
}

fn component(name: &str) -> Result<Component, String> {
    serde_json::from_value(name.into())
        .map_err(|_| "give x, y, z, rx, ry, rz or gripper".to_string())
}

/// A LeWorldModel as a compact model's folder.
fn compact(args: &ConvertArgs) -> Result<()> {
    let scale = match args.action_scale.is_empty() {
        true => vec![1.0; args.actions.len()],
        false => args.action_scale.clone(),
    };
    let (mut config, tensors) = compact::convert(&args.source, &args.actions, &scale)?;
    config.name = args.name.clone().unwrap_or_default();
    compact::save(&args.out, &config, &tensors)?;
    println!("{}: a compact model written", args.out.display());
    Ok(())
}

pub(super) fn run(args: &ConvertArgs) -> Result<()> {
    super::must_be_new(&args.out)?;
    if !args.actions.is_empty() || compact::is_checkpoint(&args.source) {
        return compact(args);
    }
    let checkpoint = Checkpoint::open(&args.source)?;
    let folder_name = args.out.file_name().unwrap_or_default().to_string_lossy();
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| folder_name.into_owned());
    let has = |part: Part| checkpoint.entries(part).is_some();
    if args.mask_predictor && !has(Part::MaskPredictor) {
        bail!(
            "{}: it has no mask predictor; leave out --mask-predictor",
            args.source.display()
        );
    }
    let mut config = args
        .architecture
        .model_config(&checkpoint, &name, args.mask_predictor)?;
    let as_the_hub = checkpoint.is_vjepa21() && has(Part::TargetEncoder) && !args.online_encoder;
    let encoder = if args.target_encoder || as_the_hub || !has(Part::Encoder) {
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
    if let Some(level) = args.level {
        config.encoder.level = level;
        if let Err(problem) = config.validate() {
            bail!("{}: {problem}; leave out --level", args.source.display());
        }
    }
    if !has(Part::AcPredictor) {
        // A configuration may describe more than this file holds.
        config.predictor = None;
    }
    checkpoint::convert(&checkpoint, &config, encoder, args.dtype.dtype(), &args.out)?;
    if checkpoint.format() != Format::Foresight {
        write_card(args, &checkpoint, &config, encoder)?;
    }
    for note in checkpoint.notes(&args.architecture.resolve(&checkpoint)?) {
        println!("{note}");
    }
    println!("{}: {encoder} written", args.out.display());
    if config.predictor.is_some() {
        println!("with its action-conditioned predictor");
    } else {
        println!("without a predictor: to plan, one must be trained on it (`foresight train`)");
    }
    if config.mask_predictor.is_some() {
        println!("with the mask predictor of its pre-training");
    } else if has(Part::MaskPredictor) {
        println!("the mask predictor of pre-training is left out: planning doesn't use it");
    }
    Ok(())
}

/// The card of weights from elsewhere: where from, and what is open about their licence.
fn write_card(
    args: &ConvertArgs,
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    encoder: Part,
) -> Result<()> {
    let sha256 = match checkpoint.files() {
        [file, ..] => checkpoint::sha256(file)?,
        [] => String::new(),
    };
    let card = checkpoint::conversion_card(checkpoint, config, encoder, &sha256);
    let path = args.out.join(checkpoint::CARD_FILE);
    std::fs::write(&path, card).with_context(|| format!("writing {}", path.display()))
}
