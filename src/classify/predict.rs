//! `foresight classify predict`.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_datasets::FilmSampling;
use foresight_predictor::{ClipEncoderOptions, ComputeDevice, Precision};
use foresight_training::classify::ClipTokens;
use foresight_training::clip_features::ClipFeatures;
use serde_json::json;

use super::folder::{encoder_sha256, ProbeFolder};

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Videos, images, folders of images, or folders of recorded episodes.
    #[arg(required = true, value_name = "VIDEO|IMAGE")]
    films: Vec<PathBuf>,
    /// Folder that `foresight classify fit` wrote.
    #[arg(long)]
    probe: PathBuf,
    /// The encoder's model, where it no longer lies where it lay.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Numbers that products are taken in: f32 or bf16.
    #[arg(long, default_value_t = Precision::F32)]
    precision: Precision,
    /// Where the encoder computes: cpu, cuda, cuda:N or candle-cpu.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    /// One JSON object a film on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PredictArgs) -> Result<()> {
    let (probe, parameters) = ProbeFolder::read(&args.probe)?;
    let model = args.model.as_ref().unwrap_or(&probe.model);
    let sha256 = encoder_sha256(model)?;
    if sha256 != probe.encoder_sha256 {
        bail!(
            "{} has another encoder than the one that the probe {} was fitted on; give that one with --model, or fit again",
            model.display(),
            args.probe.display()
        );
    }
    let options = ClipEncoderOptions {
        level: probe.level,
        apart: probe.apart,
        device: args.device,
        precision: args.precision,
    };
    let sampling = FilmSampling {
        frames: probe.clip_frames,
        rate_hz: probe.fps,
        stride: probe.stride,
    };
    let features = ClipFeatures::load(model, options, sampling)?;
    let tokens = ClipTokens::open(features, &sha256, &args.probe.join("features"))?;
    for film in &args.films {
        let verdict = tokens.verdict(&probe.probe, &parameters, film)?;
        let class = &probe.classes[verdict.predicted()];
        let said = verdict.probabilities[verdict.predicted()];
        if args.json {
            let all = probe.classes.iter().zip(&verdict.probabilities);
            let all: serde_json::Map<_, _> = all.map(|(c, p)| (c.clone(), json!(p))).collect();
            println!(
                "{}",
                json!({"film": film, "class": class, "probabilities": all})
            );
        } else {
            println!("{class}  {:.1} %  {}", 100.0 * said, film.display());
        }
    }
    Ok(())
}
