//! `foresight model init`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Result};
use clap::Args;
use foresight_predictor::checkpoint::{self, WeightType, PRESETS};
use foresight_predictor::{layout, ModelConfig};
use indicatif::{ProgressBar, ProgressStyle};

use super::architecture;
use super::inspect::thousands;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// A named architecture: tiny, vitl, vith, vitg, vitg-384, vitg-ac (the full-size one), or
    /// V-JEPA 2.1's vjepa2_1_vit_base_384, _large_, _giant_ or _gigantic_384.
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    arch: Option<String>,
    /// JSON with the architecture, as in a model folder's config.json.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Add the mask predictor of pre-training that goes with the encoder.
    #[arg(long)]
    mask_predictor: bool,
    /// Seed of the weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The model folder to write; a new one.
    #[arg(long)]
    out: PathBuf,
    /// Type of the written weights: f32, f16 or bf16.
    #[arg(long, default_value_t = WeightType::Bf16)]
    dtype: WeightType,
}

pub(super) fn run(args: &InitArgs) -> Result<()> {
    super::must_be_new(&args.out)?;
    let started = Instant::now();
    let mut config = configuration(args)?;
    if args.mask_predictor {
        config.mask_predictor = Some(checkpoint::mask_predictor_of(&config.encoder));
    }
    let entries = layout::encoder(&config.encoder)
        .into_iter()
        .chain(config.predictor.iter().flat_map(layout::predictor))
        .chain(
            config
                .mask_predictor
                .iter()
                .flat_map(layout::mask_predictor),
        );
    let total: usize = entries
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(total as u64).with_style(
        ProgressStyle::with_template("{bar:40} {percent}% {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    checkpoint::init(
        &config,
        args.seed,
        args.dtype.dtype(),
        &args.out,
        |values| {
            bar.inc(values as u64);
        },
    )?;
    bar.finish_and_clear();
    println!(
        "{}: {} random parameters from seed {} in {:.1} s",
        args.out.display(),
        thousands(total),
        args.seed,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn configuration(args: &InitArgs) -> Result<ModelConfig> {
    if let Some(path) = &args.config {
        let architecture = architecture::read(path)?;
        let Some(encoder) = architecture.encoder else {
            bail!("{} describes no encoder", path.display());
        };
        return Ok(ModelConfig {
            predictor: architecture.predictor.map(|p| p.config),
            mask_predictor: architecture.mask_predictor.map(|p| p.config),
            ..ModelConfig::of("random", encoder.config)
        });
    }
    let name = args.arch.as_deref().unwrap_or_default();
    match checkpoint::preset(name) {
        Some(config) => Ok(config),
        None => bail!(
            "no architecture is called {name:?}; give one of {} with --arch, or a file with --config",
            PRESETS.join(", ")
        ),
    }
}
