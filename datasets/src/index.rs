//! The list of a dataset's episodes, with every unusable one and its reason.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::episode::Episode;
use crate::error::DatasetError;
use crate::frames::FrameStack;
use crate::layout;
use crate::metadata::Metadata;
use crate::split::Split;
use crate::trajectory::Trajectory;

/// Name of the index inside a dataset's root.
pub const FILE_NAME: &str = "index.json";
/// Version of the index this program writes.
const VERSION: u32 = 1;

/// A dataset's episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Version of the format.
    pub version: u32,
    /// Usable episodes, in path order.
    pub episodes: Vec<IndexEntry>,
    /// Unusable episodes, in path order.
    pub unusable: Vec<UnusableEntry>,
}

/// One usable episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Folder below the root, with forward slashes.
    pub path: String,
    /// Number of states, `T`.
    pub length: usize,
    /// Seconds from first to last state; 0 when times were not recorded.
    pub duration_s: f64,
    /// States per second, measured; 0 when times were not recorded.
    pub rate_hz: f64,
    /// Whether the task was achieved.
    pub success: bool,
    /// What was attempted.
    pub task: String,
    /// The demonstrator's behaviour; empty when unknown.
    pub behaviour: String,
    /// What the episode may be used for, when recorded by us.
    pub split: Option<Split>,
    /// Scene seed, when recorded by us.
    pub seed: Option<u64>,
    /// Its cameras.
    pub cameras: Vec<CameraEntry>,
}

/// One camera of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraEntry {
    /// Name or serial number.
    pub name: String,
    /// How its pictures are stored.
    pub storage: Storage,
    /// Width, px; 0 for videos, which are not opened.
    pub width: u32,
    /// Height, px; 0 for videos, which are not opened.
    pub height: u32,
}

/// How a camera's pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Losslessly, [`crate::frames`].
    Frames,
    /// As DROID's MP4.
    Video,
}

/// One unusable episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnusableEntry {
    /// Folder below the root, with forward slashes.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// How closely to look at each episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Metadata, trajectory, and the frame files' headers and sizes.
    Quick,
    /// Every byte of what training reads.
    Full,
}

impl Index {
    /// Looks at every episode below a root.
    ///
    /// `done` is called after each episode, for a progress bar.
    ///
    /// # Errors
    /// [`DatasetError::Io`] when folders cannot be listed; unusable episodes are no error but
    /// listed.
    pub fn build(
        root: &Path,
        depth: Depth,
        done: impl Fn(usize, usize) + Sync,
    ) -> Result<Self, DatasetError> {
        let folders = layout::episode_folders(root)?;
        let count = std::sync::atomic::AtomicUsize::new(0);
        let results: Vec<_> = folders
            .par_iter()
            .map(|folder| {
                let path = relative(root, folder);
                let result = inspect(folder, path.clone(), depth);
                let at = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                done(at, folders.len());
                result.map_err(|error| UnusableEntry {
                    path,
                    reason: error.to_string(),
                })
            })
            .collect();
        let mut index = Index {
            version: VERSION,
            episodes: Vec::new(),
            unusable: Vec::new(),
        };
        for result in results {
            match result {
                Ok(entry) => index.episodes.push(entry),
                Err(entry) => index.unusable.push(entry),
            }
        }
        Ok(index)
    }

    /// Writes the index, replacing an older one at once.
    ///
    /// # Errors
    /// [`DatasetError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), DatasetError> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| DatasetError::corrupt(path, format!("cannot be written as JSON: {e}")))?;
        text.push('\n');
        let partial = path.with_extension("json.partial");
        fs::write(&partial, text).map_err(|e| DatasetError::io("write", &partial, e))?;
        fs::rename(&partial, path).map_err(|e| DatasetError::io("write", path, e))
    }

    /// Reads an index.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Corrupt`].
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = fs::read(path).map_err(|e| DatasetError::io("read", path, e))?;
        let index: Index = serde_json::from_slice(&text).map_err(|e| {
            DatasetError::corrupt(
                path,
                format!("not an index ({e}); make it anew with `foresight dataset index`"),
            )
        })?;
        if index.version != VERSION {
            return Err(DatasetError::corrupt(
                path,
                format!(
                    "index version {} is unknown here; make it anew with `foresight dataset index`",
                    index.version
                ),
            ));
        }
        for entry in &index.episodes {
            if Path::new(&entry.path).is_absolute() || entry.path.split('/').any(|p| p == "..") {
                return Err(DatasetError::corrupt(
                    path,
                    format!(
                        "the episode path {} leaves the dataset's folder",
                        entry.path
                    ),
                ));
            }
        }
        Ok(index)
    }

    /// The usable episodes' folders, for an index that lies at `index_file`.
    pub fn folders(&self, index_file: &Path) -> Vec<PathBuf> {
        let root = index_file.parent().unwrap_or(Path::new("."));
        self.episodes.iter().map(|e| root.join(&e.path)).collect()
    }
}

fn inspect(folder: &Path, path: String, depth: Depth) -> Result<IndexEntry, DatasetError> {
    let metadata = Metadata::read(&layout::metadata_file(folder)?)?;
    let trajectory = Trajectory::read(&folder.join(layout::TRAJECTORY))?;
    let length = trajectory.len();
    let mut cameras = Vec::new();
    for (name, file) in layout::frame_files(folder)? {
        let shape = FrameStack::read_shape(&file)?;
        if shape.frames as usize != length {
            return Err(DatasetError::episode(
                folder,
                format!(
                    "{} has {length} states, but camera {name} has {} frames",
                    layout::TRAJECTORY,
                    shape.frames
                ),
            ));
        }
        cameras.push(CameraEntry {
            name,
            storage: Storage::Frames,
            width: shape.width,
            height: shape.height,
        });
    }
    let has_frames = !cameras.is_empty();
    for (name, file) in layout::video_files(folder)? {
        let size = fs::metadata(&file).map_err(|e| DatasetError::io("read", &file, e))?;
        if size.len() == 0 {
            return Err(DatasetError::corrupt(
                &file,
                "the video is empty; it was not copied completely",
            ));
        }
        cameras.push(CameraEntry {
            name,
            storage: Storage::Video,
            width: 0,
            height: 0,
        });
    }
    if cameras.is_empty() {
        return Err(DatasetError::episode(
            folder,
            format!("it has neither {} nor {}", layout::FRAMES, layout::VIDEOS),
        ));
    }
    if length < 2 {
        return Err(DatasetError::episode(
            folder,
            format!("it has {length} states; an action needs at least two"),
        ));
    }
    if let Some(recording) = &metadata.foresight {
        recording.split.check(recording.seed)?;
    }
    if depth == Depth::Full && has_frames {
        for camera in cameras.iter().filter(|c| c.storage == Storage::Frames) {
            Episode::read(folder, Some(&camera.name))?;
        }
    }
    let duration_s = match (trajectory.time_s.first(), trajectory.time_s.last()) {
        (Some(first), Some(last)) => last - first,
        _ => 0.0,
    };
    if trajectory.time_s.windows(2).any(|pair| pair[1] <= pair[0]) {
        return Err(DatasetError::episode(
            folder,
            "its times do not increase from state to state",
        ));
    }
    let recording = metadata.foresight.as_ref();
    Ok(IndexEntry {
        path,
        length,
        duration_s,
        rate_hz: if duration_s > 0.0 {
            (length - 1) as f64 / duration_s
        } else {
            0.0
        },
        success: metadata.success,
        task: metadata.current_task.clone(),
        behaviour: recording.map_or(String::new(), |r| r.behaviour.clone()),
        split: recording.map(|r| r.split),
        seed: recording.map(|r| r.seed),
        cameras,
    })
}

fn relative(root: &Path, folder: &Path) -> String {
    let path = folder.strip_prefix(root).unwrap_or(folder);
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
