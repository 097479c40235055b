//! One episode: metadata, trajectory and a camera's frames, read and checked together.

use std::path::Path;

use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::layout;
use crate::metadata::Metadata;
use crate::trajectory::Trajectory;

/// One episode in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Who recorded what, and for which use.
    pub metadata: Metadata,
    /// Name of the camera the frames come from.
    pub camera: String,
    /// One frame a state, `[T, H, W, 3]`.
    pub frames: FrameStack,
    /// States, actions, times and the simulator's truth.
    pub trajectory: Trajectory,
}

impl Episode {
    /// Reads an episode folder with losslessly stored frames.
    ///
    /// `camera` picks one of several; without it the first in name order is read.
    ///
    /// # Errors
    /// [`DatasetError`] naming the file that is missing, damaged or does not fit the others.
    pub fn read(folder: &Path, camera: Option<&str>) -> Result<Self> {
        let metadata = Metadata::read(&layout::metadata_file(folder)?)?;
        let trajectory = Trajectory::read(&folder.join(layout::TRAJECTORY))?;
        let (camera, path) = frame_file(folder, camera)?;
        let frames = FrameStack::read(&path)?;
        let episode = Episode {
            metadata,
            camera,
            frames,
            trajectory,
        };
        episode.check(folder)?;
        Ok(episode)
    }

    /// Checks that the parts belong together.
    ///
    /// # Errors
    /// [`DatasetError::Episode`] or [`DatasetError::Seed`] saying what disagrees.
    pub(crate) fn check(&self, folder: &Path) -> Result<()> {
        let steps = self.trajectory.len();
        if steps < 2 {
            return Err(DatasetError::episode(
                folder,
                format!("it has {steps} states; an action needs at least two"),
            ));
        }
        if self.frames.len() != steps {
            return Err(DatasetError::episode(
                folder,
                format!(
                    "{} has {steps} states, but camera {} has {} frames",
                    layout::TRAJECTORY,
                    self.camera,
                    self.frames.len()
                ),
            ));
        }
        if let Some(recording) = &self.metadata.foresight {
            recording.split.check(recording.seed)?;
        }
        Ok(())
    }
}

fn frame_file(folder: &Path, camera: Option<&str>) -> Result<(String, std::path::PathBuf)> {
    let files = layout::frame_files(folder)?;
    if files.is_empty() {
        let reason = if layout::video_files(folder)?.is_empty() {
            "it has no frames; the recording was interrupted".to_owned()
        } else {
            format!(
                "it has only videos; decode them into {}/<camera>.{} first",
                layout::FRAMES,
                layout::FRAMES_EXTENSION
            )
        };
        return Err(DatasetError::episode(folder, reason));
    }
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    files
        .into_iter()
        .find(|(name, _)| camera.is_none_or(|wanted| wanted == name))
        .ok_or_else(|| {
            DatasetError::episode(
                folder,
                format!(
                    "it has no camera {}; it has {}",
                    camera.unwrap_or_default(),
                    names.join(", ")
                ),
            )
        })
}
