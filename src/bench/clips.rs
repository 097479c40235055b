//! `foresight bench clips`: whether reading and decoding keeps up with training.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::{store, ClipSource, DatasetError, EpisodeClips, TrainingClip};
use rayon::prelude::*;
use serde_json::json;

use foresight_training::finetune::settings::Settings;

/// Arguments of `foresight bench clips`.
#[derive(Debug, Args)]
pub struct ClipsBench {
    /// A DROID-raw root, an index, a list of episode folders or a LeRobot v3 folder.
    data: PathBuf,
    /// Clips read, of as many draws.
    #[arg(long, default_value_t = 64)]
    clips: usize,
    /// Settings (TOML), as for `foresight finetune`; `data.workers` threads read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One of those settings; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight bench clips`.
///
/// # Errors
/// When settings or data can't be used, or a clip can't be read.
pub fn run(args: &ClipsBench) -> Result<()> {
    if args.clips == 0 {
        bail!("--clips must be at least 1");
    }
    let settings = Settings::resolve(args.config.as_deref(), &args.set)?;
    settings.check(1)?;
    let tolerance = settings.data.frame_tolerance;
    let store = store::open_tolerant(&args.data, tolerance)
        .with_context(|| format!("opening {}", args.data.display()))?;
    let source = EpisodeClips::new(store, settings.clip_options())?;
    let workers = settings.data.workers.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .build()
        .context("starting the threads that read")?;
    let draws = 0..args.clips as u64;
    let started = Instant::now();
    let sizes: Vec<[u32; 2]> = pool.install(|| {
        let read = draws.into_par_iter().map(|draw| source.clip(draw));
        read.map(|clip| clip.map(|TrainingClip { frames, .. }| [frames.width(), frames.height()]))
            .collect::<Result<_, DatasetError>>()
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let [width, height] = sizes[0];
    let rate = args.clips as f64 / seconds;
    let thread_s = seconds * workers as f64 / args.clips as f64;
    if args.json {
        println!(
            "{}",
            json!({
                "clips": args.clips, "frames": settings.data.frames, "size": [width, height],
                "workers": workers, "seconds": seconds, "clips_per_s": rate,
                "thread_seconds_per_clip": thread_s,
            })
        );
    } else {
        println!(
            "{} clips of {} frames of {width}×{height} px by {workers} threads in {seconds:.1} s: \
             {rate:.1} clips a second, {:.0} ms of a thread each",
            args.clips,
            settings.data.frames,
            thread_s * 1e3
        );
    }
    Ok(())
}
