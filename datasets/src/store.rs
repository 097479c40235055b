//! Episodes wherever they lie: what sampling, conversion and statistics need of a dataset.

use std::path::Path;

use foresight_planner::Pose;

use crate::droid::DroidStore;
use crate::error::DatasetError;
use crate::frames::FrameStack;
use crate::index::{Depth, Index, IndexEntry, Inspection};
use crate::lerobot::store::{is_lerobot, LeRobotStore};
use crate::metadata::Metadata;
use crate::pairing::FRAME_TOLERANCE;
use crate::trajectory::Trajectory;
use crate::view::View;

/// A dataset whose episodes are read one by one.
pub trait EpisodeStore: Send + Sync {
    /// Its usable episodes.
    fn episodes(&self) -> &[IndexEntry];

    /// Unusable episodes found when it was opened, with reasons.
    fn unusable(&self) -> &[(String, String)];

    /// An episode's poses and times, and where one of its cameras was.
    ///
    /// # Errors
    /// Naming the file that can't be read, or the camera it lacks.
    fn track(&self, episode: usize, view: &View) -> Result<Track, DatasetError>;

    /// Frames of an episode by number, ascending; one for each number.
    ///
    /// # Errors
    /// Naming the file that can't be decoded or has fewer frames.
    fn frames(
        &self,
        episode: usize,
        view: &View,
        numbers: &[usize],
    ) -> Result<FrameStack, DatasetError>;

    /// What training doesn't need and a conversion keeps; by default only what the track has.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    fn extras(&self, episode: usize) -> Result<Extras, DatasetError> {
        let track = self.track(episode, &View::default())?;
        Ok(Extras {
            trajectory: Trajectory {
                states: track.states,
                time_s: track.time_s,
                joints_rad: Vec::new(),
                commands: Vec::new(),
                simulator: None,
            },
            commanded: Vec::new(),
            metadata: None,
        })
    }
}

/// What an episode says beyond its poses.
#[derive(Debug, Clone, PartialEq)]
pub struct Extras {
    /// All that was recorded along it, as far as its format has it.
    pub trajectory: Trajectory,
    /// The poses commanded, `T`; empty when not recorded.
    pub commanded: Vec<Pose>,
    /// Who recorded it, where that is known.
    pub metadata: Option<Metadata>,
}

/// What an episode's numbers say.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Measured poses, `T`.
    pub states: Vec<Pose>,
    /// Their times, s, `T`; empty when not recorded.
    pub time_s: Vec<f64>,
    /// The camera's pose in the base frame at each of them, `[T, 6]`: x y z m, extrinsic xyz
    /// Euler rad; `None` when not recorded.
    pub extrinsics: Option<Vec<[f64; 6]>>,
    /// Number of the camera's frames; frame `i` was taken with state `i`.
    pub frames: usize,
    /// The rate the camera's file claims, Hz; the recording's own where frames are stored.
    pub file_fps: f64,
}

/// Opens a dataset: an index file, a list of episode folders as the official code has it (CSV,
/// separated by spaces, the folder first), a DROID-raw root, or a LeRobot dataset.
///
/// # Errors
/// When it can't be read or is none of these.
pub fn open(path: &Path) -> Result<Box<dyn EpisodeStore>, DatasetError> {
    open_tolerant(path, FRAME_TOLERANCE)
}

/// As [`open`], where videos may have so many frames more or fewer than there are states. An
/// index was made with a tolerance of its own and lists no more than that.
///
/// # Errors
/// As [`open`].
pub fn open_tolerant(
    path: &Path,
    frame_tolerance: usize,
) -> Result<Box<dyn EpisodeStore>, DatasetError> {
    let inspection = Inspection {
        depth: Depth::Quick,
        frame_tolerance,
    };
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    if is_lerobot(path) {
        return Ok(Box::new(LeRobotStore::open_tolerant(
            path,
            frame_tolerance,
        )?));
    }
    if path.is_dir() {
        let index = Index::build(path, inspection, |_, _| {})?;
        return Ok(Box::new(DroidStore::new(index, path)));
    }
    if extension.is_some_and(|e| e == "csv" || e == "txt") {
        let index = Index::of_list(path, inspection, |_, _| {})?;
        return Ok(Box::new(DroidStore::new(index, &list_folder(path))));
    }
    let index = Index::read(path)?;
    Ok(Box::new(DroidStore::new(index, &list_folder(path))))
}

/// The folder paths in an index or a list start from.
fn list_folder(file: &Path) -> std::path::PathBuf {
    file.parent().unwrap_or(Path::new(".")).to_path_buf()
}
