//! Datasets that grow: what a writer knew when it ended, for the next one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CameraWriter, LeRobotWriter, Listed};
use crate::error::{DatasetError, Result};
use crate::lerobot::features::INFO;
use crate::lerobot::summary::Summary;
use crate::video::VideoCodec;

/// Where that is kept; LeRobot's own programs pass over it.
const FILE: &str = "meta/foresight_recording.json";

#[derive(Serialize, Deserialize)]
struct Known {
    fps: u32,
    codec: VideoCodec,
    robot: String,
    /// Names, and width and height in pixels.
    cameras: Vec<(String, (u32, u32))>,
    columns: Vec<(String, Option<usize>)>,
    /// The next file of every kind.
    file: usize,
    summary: Summary,
    episodes: Vec<Listed>,
    tasks: Vec<String>,
    frames: usize,
    outcomes: bool,
}

impl LeRobotWriter {
    /// Goes on with the dataset in `root`, whose files but those in `meta/` lie in `stage` too,
    /// where all is written. `None` where there is no dataset yet.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when there is one that [`LeRobotWriter::finish_to_resume`] did
    /// not write, [`DatasetError::Corrupt`], [`DatasetError::Io`].
    pub(crate) fn resume(root: &Path, stage: &Path) -> Result<Option<Self>> {
        let path = root.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(_) if root.join(INFO).exists() => {
                return Err(DatasetError::Mismatch(format!(
                    "{} is a LeRobot dataset that was not begun by a recording of this program; \
                     record into a new folder, and `foresight dataset merge` both",
                    root.display()
                )))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(DatasetError::io("read", &path, e)),
        };
        let known: Known = serde_json::from_slice(&bytes)
            .map_err(|e| DatasetError::corrupt(&path, format!("it is damaged: {e}")))?;
        let file = known.file;
        let camera = |(name, size)| CameraWriter {
            name,
            size,
            encoder: None,
            file,
        };
        Ok(Some(LeRobotWriter {
            root: stage.to_path_buf(),
            fps: known.fps,
            codec: known.codec,
            robot: known.robot,
            cameras: known.cameras.into_iter().map(camera).collect(),
            data: None,
            data_file: file,
            columns: Vec::new(),
            summary: known.summary,
            episodes: known.episodes,
            tasks: known.tasks,
            frames: known.frames,
            outcomes: known.outcomes,
            before: known.columns,
        }))
    }

    /// Frames a second.
    pub(crate) fn fps(&self) -> u32 {
        self.fps
    }

    /// The same writer, when it writes such episodes.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] saying what is different.
    pub(crate) fn fitting(self, fps: u32, cameras: &[(String, (u32, u32))]) -> Result<Self> {
        let own: Vec<_> = self
            .cameras
            .iter()
            .map(|c| (c.name.clone(), c.size))
            .collect();
        if (self.fps, &own[..]) == (fps, cameras) {
            return Ok(self);
        }
        Err(DatasetError::Mismatch(format!(
            "the dataset has {} frames a second of the cameras {own:?}, the new episode {fps} of \
             {cameras:?}; record into a new folder",
            self.fps
        )))
    }

    /// As [`LeRobotWriter::finish`], so that more episodes can be added later.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn finish_to_resume(mut self) -> Result<()> {
        self.complete()?;
        let last = self.cameras.iter().map(|c| c.file).max().unwrap_or(0);
        let known = Known {
            fps: self.fps,
            codec: self.codec,
            file: last.max(self.data_file) + 1,
            cameras: self
                .cameras
                .iter()
                .map(|c| (c.name.clone(), c.size))
                .collect(),
            robot: std::mem::take(&mut self.robot),
            columns: std::mem::take(&mut self.before),
            summary: std::mem::take(&mut self.summary),
            episodes: std::mem::take(&mut self.episodes),
            tasks: std::mem::take(&mut self.tasks),
            frames: self.frames,
            outcomes: self.outcomes,
        };
        let value = serde_json::to_value(&known);
        let path = self.root.join(FILE);
        let value = value.map_err(|e| DatasetError::corrupt(&path, e.to_string()))?;
        self.write_json(FILE, &value)
    }
}
