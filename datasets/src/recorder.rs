//! Writes episodes, each whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::episode::Episode;
use crate::error::{DatasetError, Result};
use crate::layout;
use crate::metadata::{BranchOf, Metadata};
use crate::split::Split;

/// Writes episodes below a root folder.
///
/// An episode is written into a hidden folder and renamed into its place when complete, so an
/// interrupted recording leaves nothing that looks like an episode. Its folder's name comes
/// from its seed alone: recording again passes over what is there.
#[derive(Debug, Clone)]
pub struct Recorder {
    root: PathBuf,
    lab: String,
}

impl Recorder {
    /// A recorder for `lab` (DROID's top folder) below `root`, which is created.
    ///
    /// # Errors
    /// [`DatasetError::Io`].
    pub fn new(root: &Path, lab: &str) -> Result<Self> {
        let folder = root.join(lab);
        fs::create_dir_all(&folder).map_err(|e| DatasetError::io("create", &folder, e))?;
        Ok(Recorder {
            root: root.to_path_buf(),
            lab: lab.to_owned(),
        })
    }

    /// Folder name of the episode with this seed, or of a branch.
    pub fn episode_name(seed: u64, branch: Option<BranchOf>) -> String {
        let branch = branch.map_or(String::new(), |b| {
            format!("_step_{:02}_branch_{:02}", b.step, b.index)
        });
        format!("episode_{seed:010}{branch}")
    }

    /// Seeds and folders of the episodes already recorded, whatever their outcome and date; branches don't
    /// count.
    ///
    /// # Errors
    /// [`DatasetError::Io`].
    pub fn recorded(&self) -> Result<HashMap<u64, PathBuf>> {
        let folders = layout::episode_folders(&self.root.join(&self.lab))?;
        let named = folders.into_iter().filter_map(|folder| {
            let name = folder.file_name()?.to_str()?;
            let seed: u64 = name.strip_prefix("episode_")?.parse().ok()?;
            Some((seed, folder))
        });
        Ok(named.collect())
    }

    /// Writes an episode and returns its folder; fills in the metadata's paths and lengths.
    ///
    /// # Errors
    /// [`DatasetError::Seed`] when the episode's seed may not be recorded for its split,
    /// [`DatasetError::Episode`] when its parts disagree, [`DatasetError::Io`].
    pub fn write(&self, episode: &Episode) -> Result<PathBuf> {
        let Some(recording) = &episode.metadata.foresight else {
            return Err(DatasetError::Mismatch(
                "an episode without a seed and a split cannot be recorded".to_owned(),
            ));
        };
        if recording.split == Split::Evaluation {
            recording.split.recording_seeds(0, 1)?;
        }
        recording.split.check(recording.seed)?;

        let name = Recorder::episode_name(recording.seed, recording.branch_of);
        let relative = Path::new(layout::outcome_folder(episode.metadata.success))
            .join(&episode.metadata.date)
            .join(&name);
        let folder = self.root.join(&self.lab).join(&relative);
        episode.check(&folder)?;

        let partial = self
            .root
            .join(&self.lab)
            .join(format!("{}{name}", layout::PARTIAL_PREFIX));
        remove_folder(&partial)?;
        let frames = partial.join(layout::FRAMES);
        fs::create_dir_all(&frames).map_err(|e| DatasetError::io("create", &frames, e))?;
        let file = format!("{}.{}", episode.camera, layout::FRAMES_EXTENSION);
        episode.frames.write(&frames.join(file))?;
        episode
            .trajectory
            .write(&partial.join(layout::TRAJECTORY))?;
        let metadata = Metadata {
            lab: self.lab.clone(),
            hdf5_path: slashed(&relative.join(layout::TRAJECTORY)),
            trajectory_length: episode.trajectory.len() as u64,
            ext1_cam_serial: episode.camera.clone(),
            ..episode.metadata.clone()
        };
        metadata.write(&partial.join(format!("metadata_{}.json", metadata.uuid)))?;

        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(|e| DatasetError::io("create", parent, e))?;
        }
        remove_folder(&folder)?;
        fs::rename(&partial, &folder).map_err(|e| DatasetError::io("create", &folder, e))?;
        Ok(folder)
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(DatasetError::io("remove", folder, e))
        }
        _ => Ok(()),
    }
}

/// A relative path with forward slashes, as metadata has it on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
