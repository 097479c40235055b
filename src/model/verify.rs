//! `foresight model verify`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Result};
use candle_core::{DType, Tensor};
use clap::Args;
use foresight_planner::{ActionSequences, Energy, Pose};
use foresight_predictor::checkpoint::{self, Architecture, Checkpoint, CheckpointError, Part};
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::{backend, layout, Budget, EncoderConfig, ModelConfig, WorldModel};
use serde_json::{json, Value};

use super::architecture::{must_be_possible, ArchitectureArgs};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A .pt, a .safetensors, or a folder with config.json and model.safetensors.
    path: PathBuf,
    #[command(flatten)]
    architecture: ArchitectureArgs,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// What a part was found to be.
struct Checked {
    tensors: usize,
    parameters: usize,
}

pub(super) fn run(args: &VerifyArgs) -> Result<()> {
    let started = Instant::now();
    let checkpoint = Checkpoint::open(&args.path)?;
    let architecture = args.architecture.resolve(&checkpoint)?;
    let mut checked = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for part in checkpoint.parts() {
        let read = checkpoint.tensors(part, &architecture.layout(part))?;
        let parameters = finite(args, part, &read)?;
        let result = Checked {
            tensors: read.len(),
            parameters,
        };
        checked.insert(part, result);
        // Only what the forward pass needs stays in memory.
        let needed = match part {
            Part::Encoder | Part::AcPredictor => true,
            Part::TargetEncoder => checkpoint.entries(Part::Encoder).is_none(),
            Part::MaskPredictor => false,
        };
        if needed {
            tensors.insert(part, read);
        }
    }
    let forward = forward(&checkpoint, &architecture, tensors)?;
    let hashes = checkpoint
        .files()
        .iter()
        .map(|file| Ok((file.display().to_string(), checkpoint::sha256(file)?)))
        .collect::<Result<BTreeMap<_, _>, CheckpointError>>()?;
    report(
        args,
        &checked,
        &forward,
        &hashes,
        started.elapsed().as_secs_f64(),
    );
    Ok(())
}

/// Checks every value; returns their number.
fn finite(args: &VerifyArgs, part: Part, tensors: &Tensors) -> Result<usize> {
    let mut count = 0;
    for (name, tensor) in tensors {
        let values = floats(tensor)?;
        checkpoint::check_finite(&args.path, part, name, &values)?;
        count += values.len();
    }
    Ok(count)
}

fn floats(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// Runs a fixed input through the model, as far as it goes.
fn forward(
    checkpoint: &Checkpoint,
    architecture: &Architecture,
    mut tensors: BTreeMap<Part, Tensors>,
) -> Result<Value> {
    let skipped = |why: &str| Ok(json!({"ran": false, "why": why}));
    let encoder = tensors.remove(&Part::Encoder);
    let Some(encoder) = encoder.or_else(|| tensors.remove(&Part::TargetEncoder)) else {
        return skipped("there is no encoder in it");
    };
    if !architecture.heads_known() {
        return skipped("the number of attention heads is not in the file; give it with --config");
    }
    let Some(config) = architecture.encoder.as_ref().map(|e| e.config.clone()) else {
        return skipped("the architecture of the encoder is not known");
    };
    let predictor = tensors.remove(&Part::AcPredictor).zip(
        architecture
            .predictor
            .as_ref()
            .filter(|p| !p.config.use_extrinsics),
    );
    let config = ModelConfig {
        predictor: predictor.as_ref().map(|(_, p)| p.config.clone()),
        ..ModelConfig::of("", config)
    };
    must_be_possible(checkpoint, &config)?;
    let pixels = pattern(&config.encoder);
    let (latents, energy) = match predictor {
        Some((predictor, _)) => {
            let model = WorldModel::from_tensors(config, &encoder, &predictor)?;
            drop((encoder, predictor));
            let latents = model.encode_pixels(&pixels)?;
            let [context, goal] = &latents[..] else {
                bail!("two frames gave {} latents", latents.len());
            };
            let pose = Pose::from_array([0.5, 0.0, 0.2, std::f64::consts::PI, 0.0, 0.0, 0.0]);
            let energy = model.energy(context, &pose, goal, Budget::default());
            let energy = energy.energies(&ActionSequences::zeros(1, 1))?;
            (
                [context.values.clone(), goal.values.clone()].concat(),
                energy.first().copied(),
            )
        }
        None => {
            let config = config.encoder;
            let parameters = Parameters::from_tensors(layout::encoder(&config), &encoder)?;
            drop(encoder);
            let latents = backend::encode(&config, &parameters, &pixels, config.img_size)?;
            (latents, None)
        }
    };
    if latents.iter().chain(&energy).any(|v| !v.is_finite()) {
        bail!(
            "{}: every weight is finite but its output is not; the weights are damaged, or not of this architecture",
            checkpoint.path().display()
        );
    }
    let mean = latents.iter().map(|v| v.abs()).sum::<f32>() / latents.len().max(1) as f32;
    Ok(
        json!({"ran": true, "latent_mean_abs": mean, "latent_start": latents.get(..4), "energy": energy}),
    )
}

/// Two frames of waves, `[2, 3, H, W]`: the same on every machine, different from each other.
fn pattern(config: &EncoderConfig) -> Vec<f32> {
    let [height, width] = config.img_size;
    let mut pixels = Vec::with_capacity(2 * 3 * height * width);
    for frame in 0..2 {
        for channel in 0..3 {
            for y in 0..height {
                for x in 0..width {
                    let phase = (x * (channel + 1)) as f32 * 0.11 + y as f32 * 0.07;
                    pixels.push(1.5 * (phase + frame as f32).sin());
                }
            }
        }
    }
    pixels
}

fn report(
    args: &VerifyArgs,
    checked: &BTreeMap<Part, Checked>,
    forward: &Value,
    hashes: &BTreeMap<String, String>,
    seconds: f64,
) {
    if args.json {
        let parts: Vec<Value> = checked
            .iter()
            .map(
                |(part, c)| json!({"part": part, "tensors": c.tensors, "parameters": c.parameters}),
            )
            .collect();
        let report = json!({
            "path": args.path, "ok": true, "parts": parts, "forward": forward,
            "sha256": hashes, "seconds": seconds,
        });
        println!("{report}");
        return;
    }
    for (part, c) in checked {
        println!(
            "{part}: {} tensors, {} values, all finite, names and shapes as they must be",
            c.tensors,
            super::inspect::thousands(c.parameters)
        );
    }
    match (forward["ran"].as_bool(), forward["energy"].as_f64()) {
        (Some(true), Some(energy)) => println!("a fixed input gives energy {energy:.6}"),
        (Some(true), None) => println!("a fixed input gives finite latents"),
        _ => println!(
            "not computed: {}",
            forward["why"].as_str().unwrap_or_default()
        ),
    }
    for (file, hash) in hashes {
        println!("sha256 {hash}  {file}");
    }
}
