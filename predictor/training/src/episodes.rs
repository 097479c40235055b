//! Which episodes are trained on and which are held out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, Context, Result};
use foresight_datasets::doubts::Doubts;
use foresight_datasets::{ClipSampler, Draws, EpisodeStore, Split, Subset};

use crate::origin::plain;
use crate::settings::Data;

/// Episodes whose poses are questioned, at most: whether a dataset is in degrees a few tell.
const LOOKED_AT: usize = 50;

/// The episodes of a run.
pub struct Episodes {
    /// Trained on.
    pub training: Subset,
    /// Validated on.
    pub held_out: Subset,
    /// Where the latter are.
    pub held_out_root: PathBuf,
    /// How they were chosen, in words.
    pub held_out_by: String,
}

/// Clips of `frames` frames of a pre-training's episodes in `path`, `clips` a step; what of them can't be used is
/// named.
///
/// # Errors
/// When there is none.
pub(crate) fn sampler(
    subset: Subset,
    path: &Path,
    settings: &Data,
    [frames, clips]: [usize; 2],
    seed: u64,
) -> Result<ClipSampler> {
    let mut options = settings.clip_options(Draws::Any { batch: clips }, seed);
    options.shape.frames = frames;
    let sampler = ClipSampler::new(Box::new(subset), options);
    let sampler = sampler.with_context(|| format!("in {}", path.display()))?;
    name_left_out(&sampler);
    name_length_mismatches(&sampler);
    Ok(sampler)
}

/// Names the episodes that can't be used; how many there are.
pub fn name_left_out(source: &ClipSampler) -> usize {
    for (episode, reason) in source.skipped() {
        tracing::warn!("{episode} is left out: {reason}");
    }
    source.skipped().len()
}

/// Names the episodes of which a frame or a state has no counterpart; how many there are.
pub fn name_length_mismatches(source: &ClipSampler) -> usize {
    let mismatches = source.length_mismatches();
    for (episode, what) in &mismatches {
        tracing::warn!("{episode}: {what}");
    }
    mismatches.len()
}

/// Opens the datasets. Without one for validation, the episodes recorded for it are held out, or,
/// where none says so, a share of all, chosen by their names.
///
/// # Errors
/// When a dataset can't be read, or one of the two sets is empty.
pub fn open(data: &Path, validation: Option<&Path>, settings: &Data) -> Result<Episodes> {
    let share = settings.validation_share;
    let store = opened(data, settings)?;
    let usable = chosen(&store, |split| matches!(split, None | Some(Split::Train)));
    let recorded = chosen(&store, |split| split == Some(Split::Validation));
    if usable.is_empty() {
        bail!(
            "{} has no episode to train on: {} recorded for validation, {}",
            data.display(),
            recorded.len(),
            unusable(&store)
        );
    }
    if let Some(path) = validation {
        let other = opened(path, settings)?;
        let held_out = chosen(&other, |split| split != Some(Split::Train));
        if held_out.is_empty() {
            bail!(
                "{} has no episode to validate on: {} recorded for training, {}",
                path.display(),
                other.episodes().len(),
                unusable(&other)
            );
        }
        return Ok(Episodes {
            training: Subset::new(&store, usable, true),
            held_out: Subset::new(&other, held_out, true),
            held_out_root: path.to_path_buf(),
            held_out_by: plain(path).display().to_string(),
        });
    }
    let (training, held_out, held_out_by) = if recorded.is_empty() {
        let (training, held_out) = by_name(&store, usable, share);
        let by = format!("{:.1} % of the episodes, by name", share * 100.0);
        (training, held_out, by)
    } else {
        (usable, recorded, "recorded for validation".to_owned())
    };
    if training.is_empty() || held_out.is_empty() {
        bail!(
            "{} has {} episodes to train on and {} to validate on ({}); record more, name some \
             with --validation, or change data.validation_share",
            data.display(),
            training.len(),
            held_out.len(),
            unusable(&store)
        );
    }
    Ok(Episodes {
        training: Subset::new(&store, training, true),
        held_out: Subset::new(&store, held_out, false),
        held_out_root: data.to_path_buf(),
        held_out_by,
    })
}

/// Episodes to judge a model on: those not recorded for training, or `only_held_out`, those that
/// [`open`] would hold out.
///
/// # Errors
/// When the dataset can't be read, or none is left.
pub fn held_out(data: &Path, only_held_out: bool, settings: &Data) -> Result<Subset> {
    if only_held_out {
        return Ok(open(data, None, settings)?.held_out);
    }
    let store = opened(data, settings)?;
    let kept = chosen(&store, |split| split != Some(Split::Train));
    if kept.is_empty() {
        bail!(
            "{} has no episode to judge a model on: {} recorded for training, {}",
            data.display(),
            store.episodes().len(),
            unusable(&store)
        );
    }
    Ok(Subset::new(&store, kept, true))
}

fn opened(path: &Path, settings: &Data) -> Result<Arc<dyn EpisodeStore>> {
    let store = foresight_datasets::open_tolerant(path, settings.frame_tolerance);
    let store = store.with_context(|| format!("opening {}", path.display()))?;
    for doubt in Doubts::of(store.as_ref(), LOOKED_AT).words() {
        tracing::warn!("{}: {doubt}", path.display());
    }
    Ok(Arc::from(store))
}

/// How many of a dataset's episodes are unusable, and why the first one is.
fn unusable(store: &Arc<dyn EpisodeStore>) -> String {
    match store.unusable() {
        [] => "none unusable".to_owned(),
        [(episode, reason), rest @ ..] => {
            format!(
                "{} unusable, the first: {episode}: {reason}",
                rest.len() + 1
            )
        }
    }
}

/// Indices of the episodes whose split is wanted.
fn chosen(store: &Arc<dyn EpisodeStore>, wanted: impl Fn(Option<Split>) -> bool) -> Vec<usize> {
    let episodes = store.episodes().iter().enumerate();
    let wanted = episodes.filter(|(_, entry)| wanted(entry.split));
    wanted.map(|(i, _)| i).collect()
}

/// The episodes whose names have the smallest hashes are held out: the same ones when others are
/// added, but for those at the edge.
fn by_name(
    store: &Arc<dyn EpisodeStore>,
    mut episodes: Vec<usize>,
    share: f64,
) -> (Vec<usize>, Vec<usize>) {
    let count = (episodes.len() as f64 * share).ceil() as usize;
    episodes.sort_by_key(|i| fnv1a(store.episodes()[*i].path.as_bytes()));
    let mut training = episodes.split_off(count.min(episodes.len()));
    training.sort_unstable();
    episodes.sort_unstable();
    (training, episodes)
}

/// The FNV-1a hash: the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
