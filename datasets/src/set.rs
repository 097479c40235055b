//! A whole dataset in memory, as flat arrays: what training reads.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::episode::Episode;
use crate::error::DatasetError;
use crate::frames::FrameStack;
use crate::index::Index;
use crate::layout;
use crate::split::Split;

/// Episodes read at once before they are appended; bounds the memory on top of the arrays.
const BATCH: usize = 128;

/// What to do with an episode that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unusable {
    /// Fail, naming the episode.
    #[default]
    Refuse,
    /// Leave it out and list it in [`EpisodeSet::skipped`].
    Skip,
}

/// Which episodes to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Camera to read; the first in name order when absent.
    pub camera: Option<String>,
    /// Only episodes recorded for this split; every episode must say its split then.
    pub split: Option<Split>,
    /// At most this many episodes, the first in path order.
    pub limit: Option<usize>,
    /// Episodes that cannot be read.
    pub unusable: Unusable,
}

/// One episode's place in an [`EpisodeSet`].
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeSpan {
    /// Its steps in the set's arrays.
    pub steps: Range<usize>,
    /// Its folder.
    pub folder: PathBuf,
    /// Scene seed, when recorded by us.
    pub seed: Option<u64>,
    /// The demonstrator's behaviour, or the task; empty when unknown.
    pub behaviour: String,
    /// Whether the task was achieved.
    pub success: bool,
    /// Target's centre, x y in the base frame, m; in simulator recordings.
    pub target_position_m: Option<[f32; 2]>,
}

/// The object's truth at one step; labels for probes and statistics.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ObjectState {
    /// Position in the base frame, m.
    pub position_m: [f32; 3],
    /// Orientation.
    pub quaternion_xyzw: [f32; 4],
    /// Between both fingers.
    pub held: bool,
    /// Standing upright.
    pub upright: bool,
}

/// All steps of many episodes, `N` in total, in arrays indexed by step.
#[derive(Debug, Clone, Default)]
pub struct EpisodeSet {
    width: u32,
    height: u32,
    frames: Vec<u8>,
    states: Vec<[f32; 7]>,
    actions: Vec<[f32; 7]>,
    objects: Vec<ObjectState>,
    episodes: Vec<EpisodeSpan>,
    skipped: Vec<(PathBuf, String)>,
}

impl EpisodeSet {
    /// Loads the episodes below a folder, or those of an index file, in path order.
    ///
    /// # Errors
    /// The first unusable episode's error, unless they are skipped; [`DatasetError::Mismatch`]
    /// when frame sizes differ; [`DatasetError::Empty`] when nothing is left.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, DatasetError> {
        let folders = if path.is_file() {
            Index::read(path)?.folders(path)
        } else {
            layout::episode_folders(path)?
        };
        let mut set = EpisodeSet::default();
        let mut reserved = false;
        for batch in folders.chunks(BATCH) {
            let read: Vec<Result<Episode, DatasetError>> = batch
                .par_iter()
                .map(|folder| Episode::read(folder, options.camera.as_deref()))
                .collect();
            for (folder, result) in batch.iter().zip(read) {
                match result.and_then(|episode| {
                    Ok(wanted(&episode, folder, options.split)?.then_some(episode))
                }) {
                    Ok(Some(episode)) => {
                        if !reserved {
                            let steps = folders.len().min(options.limit.unwrap_or(usize::MAX))
                                * episode.trajectory.len();
                            set.frames.reserve(steps * episode.frames.frame_bytes());
                            reserved = true;
                        }
                        set.push(folder, &episode)?;
                    }
                    Ok(None) => {}
                    Err(error) if options.unusable == Unusable::Skip => {
                        set.skipped.push((folder.clone(), error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
                if options.limit.is_some_and(|n| set.episodes.len() >= n) {
                    return Ok(set);
                }
            }
        }
        if set.episodes.is_empty() {
            let split = options.split.map_or("any".to_owned(), |s| s.to_string());
            let first = set.skipped.first().map(|(_, reason)| reason.as_str());
            return Err(DatasetError::Empty {
                path: path.to_path_buf(),
                reason: format!(
                    "{} folders looked at for the {split} split; {}",
                    folders.len(),
                    first.unwrap_or("record some with `foresight record`")
                ),
            });
        }
        Ok(set)
    }

    /// Appends an episode.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when its frames have another size than the set's.
    pub fn push(&mut self, folder: &Path, episode: &Episode) -> Result<(), DatasetError> {
        let stack: &FrameStack = &episode.frames;
        if self.episodes.is_empty() {
            (self.width, self.height) = (stack.width(), stack.height());
        } else if (self.width, self.height) != (stack.width(), stack.height()) {
            return Err(DatasetError::Mismatch(format!(
                "{} has frames of {}×{} px, the episodes before it {}×{}; load recordings of \
                 different sizes separately",
                folder.display(),
                stack.width(),
                stack.height(),
                self.width,
                self.height
            )));
        }
        let trajectory = &episode.trajectory;
        let first = self.states.len();
        self.frames.extend_from_slice(stack.data());
        self.states
            .extend(trajectory.states.iter().map(|s| narrow(s.to_array())));
        self.actions
            .extend(trajectory.actions().iter().map(|a| narrow(a.to_array())));
        self.actions.push([0.0; 7]);
        match &trajectory.simulator {
            Some(s) => self
                .objects
                .extend((0..trajectory.len()).map(|t| ObjectState {
                    position_m: s.object_position_m[t].map(|v| v as f32),
                    quaternion_xyzw: s.object_quaternion_xyzw[t].map(|v| v as f32),
                    held: s.held[t],
                    upright: s.upright[t],
                })),
            // Episodes without truth and episodes with it may be mixed: an absent object
            // counts as one that never moves.
            None => self
                .objects
                .extend(vec![ObjectState::default(); trajectory.len()]),
        }
        let recording = episode.metadata.foresight.as_ref();
        self.episodes.push(EpisodeSpan {
            steps: first..self.states.len(),
            folder: folder.to_path_buf(),
            seed: recording.map(|r| r.seed),
            behaviour: recording.map_or_else(
                || episode.metadata.current_task.clone(),
                |r| r.behaviour.clone(),
            ),
            success: episode.metadata.success,
            target_position_m: trajectory
                .simulator
                .as_ref()
                .map(|s| s.target_position_m.map(|v| v as f32)),
        });
        Ok(())
    }

    /// Frames' width, px.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Frames' height, px.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Number of steps of all episodes, `N`.
    pub fn steps(&self) -> usize {
        self.states.len()
    }

    /// The episodes, in loading order.
    pub fn episodes(&self) -> &[EpisodeSpan] {
        &self.episodes
    }

    /// The episode a step belongs to; `None` past the last.
    pub fn episode_of(&self, step: usize) -> Option<&EpisodeSpan> {
        let index = self.episodes.partition_point(|e| e.steps.end <= step);
        self.episodes.get(index)
    }

    /// Frame of one step, `[H, W, 3]` u8.
    pub fn frame(&self, step: usize) -> &[u8] {
        self.frames_of(step..step + 1)
    }

    /// Frames of consecutive steps, `[T, H, W, 3]` u8.
    pub fn frames_of(&self, steps: Range<usize>) -> &[u8] {
        let bytes = self.width as usize * self.height as usize * 3;
        &self.frames[steps.start * bytes..steps.end * bytes]
    }

    /// Measured poses, `[N, 7]`.
    pub fn states(&self) -> &[[f32; 7]] {
        &self.states
    }

    /// Realised actions, `[N, 7]`: from each step to the next; zero at an episode's last step.
    pub fn actions(&self) -> &[[f32; 7]] {
        &self.actions
    }

    /// The object's truth, `[N]`; all zero for episodes without it.
    pub fn objects(&self) -> &[ObjectState] {
        &self.objects
    }

    /// Episodes left out because they are unusable, with reasons.
    pub fn skipped(&self) -> &[(PathBuf, String)] {
        &self.skipped
    }
}

/// Whether an episode belongs to the wanted split.
fn wanted(episode: &Episode, folder: &Path, split: Option<Split>) -> Result<bool, DatasetError> {
    let Some(split) = split else {
        return Ok(true);
    };
    match &episode.metadata.foresight {
        Some(recording) => Ok(recording.split == split),
        None => Err(DatasetError::episode(
            folder,
            format!(
                "its metadata does not say a split, so it cannot be taken for {split}; load \
                 the folder without a split"
            ),
        )),
    }
}

fn narrow(values: [f64; 7]) -> [f32; 7] {
    values.map(|v| v as f32)
}
