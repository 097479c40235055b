//! Episodes wherever they lie: what sampling, conversion and statistics need
//! of a dataset.

use std::collections::BTreeMap;

use foresight_planner::Pose;

use crate::entry::IndexEntry;
use crate::error::Result;
use crate::frames::FrameStack;
use crate::metadata::{Metadata, DROID_ROBOT};
use crate::trajectory::Trajectory;
use crate::view::View;
use serde::{Deserialize, Serialize};

/// What to do with an episode that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadEpisode {
    /// Fail, naming the episode.
    #[default]
    Refuse,
    /// Leave it out and list it.
    Skip,
}

/// A dataset whose episodes are read one by one.
pub trait EpisodeStore: Send + Sync {
    /// Its usable episodes, and the unusable ones found when it was opened, with reasons.
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]);

    /// Its usable episodes.
    fn episodes(&self) -> &[IndexEntry] {
        self.listed().0
    }

    /// Unusable episodes found when it was opened, with reasons.
    fn unusable(&self) -> &[(String, String)] {
        self.listed().1
    }

    /// An episode's proprioception: poses and times, and where one of its cameras was.
    ///
    /// # Errors
    /// Naming the file that can't be read, or the camera it lacks.
    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception>;

    /// Frames of an episode by number, ascending; one for each number.
    ///
    /// # Errors
    /// Naming the file that can't be decoded or has fewer frames.
    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack>;

    /// What training doesn't need and a conversion keeps; by default only the proprioception.
    ///
    /// # Errors
    /// Naming the file that can't be read.
    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        let measured = self.proprioception(episode, &View::default())?;
        Ok(EpisodeExtras {
            trajectory: Trajectory {
                states: measured.states,
                time_s: measured.time_s,
                joints_rad: Vec::new(),
                commands: Vec::new(),
                simulator: None,
            },
            commanded: Vec::new(),
            captured_s: BTreeMap::new(),
            robot: DROID_ROBOT.to_owned(),
            metadata: None,
        })
    }
}

/// What an episode says beyond its poses.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeExtras {
    /// All that was recorded along it, as far as its format has it.
    pub trajectory: Trajectory,
    /// The poses commanded, `T`; empty when not recorded.
    pub commanded: Vec<Pose>,
    /// When each camera's picture was captured, s on the clock of the states' times, by the camera's
    /// name, `T` each; only of recordings that have just ended.
    pub captured_s: BTreeMap<String, Vec<f64>>,
    /// The robot, as LeRobot's `robot_type` has it.
    pub robot: String,
    /// Who recorded it, where that is known.
    pub metadata: Option<Metadata>,
}

/// What the robot measured of itself along an episode, and where a camera was.
#[derive(Debug, Clone, PartialEq)]
pub struct Proprioception {
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
