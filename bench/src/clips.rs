//! Whether reading and decoding keeps up with training.

use std::time::Instant;

use anyhow::{bail, Context, Result};
use foresight_datasets::{ClipSampler, DatasetError, TrainingClip};
use rayon::prelude::*;

/// How fast clips are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipRate {
    /// Width and height of their frames, px.
    pub size_px: [u32; 2],
    /// Wall time for all of them, s.
    pub seconds: f64,
    /// Clips a second.
    pub clips_per_s: f64,
    /// Time of one thread for one clip, s.
    pub thread_seconds_per_clip: f64,
}

/// Reads as many clips of `source` as there are draws, by `workers` threads.
///
/// # Errors
/// When there are no draws, or a clip can't be read.
pub fn read(source: &ClipSampler, clips: usize, workers: usize) -> Result<ClipRate> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .build()
        .context("starting the threads that read")?;
    let started = Instant::now();
    let sizes: Vec<[u32; 2]> = pool.install(|| {
        let read = (0..clips as u64)
            .into_par_iter()
            .map(|draw| source.clip(draw));
        read.map(|clip| clip.map(|TrainingClip { frames, .. }| [frames.width(), frames.height()]))
            .collect::<Result<_, DatasetError>>()
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let Some(&size_px) = sizes.first() else {
        bail!("no clips to read; give at least 1");
    };
    Ok(ClipRate {
        size_px,
        seconds,
        clips_per_s: clips as f64 / seconds,
        thread_seconds_per_clip: seconds * workers as f64 / clips as f64,
    })
}
