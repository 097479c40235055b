//! What a predictor's run learns from its clips before it begins: the directions in which latents
//! change, and which clips change in ways that the robot's pose doesn't explain.

use std::path::Path;

use anyhow::{Context, Result};

use crate::change_directions::{ChangeDirections, Changes, DIRECTIONS_FILE};
use crate::latent_clips::LatentClips;
use crate::settings::Settings;
use crate::LatentMetric;

/// Changes that directions are fitted to, at most.
const CHANGES: usize = 24_000;
/// The same in bytes, for encoders with large latents.
const CHANGE_BYTES: usize = 2 << 30;
/// Clips read at a time.
const CLIPS_AT_ONCE: usize = 512;
/// One in so many clips counts as surprising.
const SURPRISING: usize = 6;

/// The directions that the settings ask for: those of the run's folder where it goes on, else
/// fitted to clips of `training`.
///
/// # Errors
/// When clips can't be read or are too few.
pub(crate) fn directions(
    settings: &Settings,
    training: &LatentClips,
    folder: &Path,
    [resume, leads]: [bool; 2],
) -> Result<Option<ChangeDirections>> {
    if settings.loss.metric != LatentMetric::Whitened {
        return Ok(None);
    }
    let file = folder.join(DIRECTIONS_FILE);
    if resume && file.exists() {
        return Ok(Some(ChangeDirections::load(&file)?));
    }
    let pairs = settings.data.frames - 1;
    let most = CHANGES.min(CHANGE_BYTES / (4 * training.frame_values()));
    let clips = (most / pairs).min(training.source().epoch());
    let draws: Vec<u64> = (0..clips as u64).collect();
    let mut changes = Changes::default();
    for part in draws.chunks(CLIPS_AT_ONCE) {
        for clip in training.clips(part)? {
            changes.push(&clip);
        }
    }
    let seed = settings.optimisation.seed;
    let fitted = ChangeDirections::fit(&changes, settings.loss.whitened_directions, seed)
        .context("fitting directions of change")?;
    if leads {
        fitted.save(&file)?;
    }
    Ok(Some(fitted))
}

/// Lets the surprising sixth of the clips be drawn as much more often as the settings say.
///
/// # Errors
/// When clips can't be read.
pub(crate) fn emphasise(
    settings: &Settings,
    training: &mut LatentClips,
    directions: &ChangeDirections,
) -> Result<()> {
    let factor = settings.data.surprising;
    if factor == 1.0 {
        return Ok(());
    }
    let windows = training.source().evenly_spaced(usize::MAX)?;
    let mut surprises = Vec::with_capacity(windows.len());
    for part in windows.chunks(CLIPS_AT_ONCE) {
        for clip in training.clips_at(part)? {
            // One that is left out surprises nobody.
            let Some(clip) = clip else {
                surprises.push(0.0);
                continue;
            };
            let mut changes = Changes::default();
            changes.push(&clip);
            let most = directions.surprise(&changes)?.into_iter();
            surprises.push(most.fold(0.0, f32::max));
        }
    }
    let mut ordered = surprises.clone();
    ordered.sort_by(|a, b| b.total_cmp(a));
    let least = ordered[(ordered.len() - 1) / SURPRISING];
    let weights = surprises
        .iter()
        .map(|surprise| if *surprise >= least { factor } else { 1.0 });
    training.emphasise(weights.collect())
}
