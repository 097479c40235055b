//! Episodes that lie in no dataset yet: a run's folder, a recording that has just ended.

use std::collections::BTreeMap;

use foresight_planner::Pose;
use image::RgbImage;

use crate::entry::{CameraEntry, IndexEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::metadata::Metadata;
use crate::sampling;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::trajectory::Trajectory;
use crate::view::{Half, Role, View};

/// Gives a camera's picture that belongs to a state.
pub type Pictures = Box<dyn Fn(usize) -> Result<RgbImage> + Send + Sync>;

/// A camera of an episode that is in no dataset yet.
pub struct LooseCamera {
    /// Its name.
    pub name: String,
    /// `left`, `right` or `wrist`; a camera without is known by its name alone.
    pub role: Option<Role>,
    /// Width and height of its pictures, px.
    pub size: (u32, u32),
    /// Where it was, one for each state: x y z m, extrinsic xyz Euler rad, base frame.
    pub extrinsics: Option<Vec<[f64; 6]>>,
    /// When its pictures were captured, s on the clock of the states, one for each state; empty
    /// when unknown.
    pub captured_s: Vec<f64>,
    /// Its picture of each state.
    pub pictures: Pictures,
}

/// An episode that is in no dataset yet.
pub struct LooseEpisode {
    /// What it is called: a folder below a dataset's root, with forward slashes.
    pub path: String,
    /// States, times, joints, commands.
    pub trajectory: Trajectory,
    /// The poses commanded, one for each state; empty when unknown.
    pub commanded: Vec<Pose>,
    /// Who recorded it; its task and outcome too.
    pub metadata: Metadata,
    /// Nominal rate of steps, Hz, where a state is the end of one however long it took.
    pub step_rate_hz: Option<f64>,
    /// Cameras, each with a picture for every state.
    pub cameras: Vec<LooseCamera>,
}

impl LooseEpisode {
    fn entry(&self) -> IndexEntry {
        let times = &self.trajectory.time_s;
        let mut roles = BTreeMap::new();
        for camera in &self.cameras {
            if let Some(role) = camera.role.as_ref().and_then(Role::key) {
                roles.insert(role.to_owned(), camera.name.clone());
            }
        }
        let length = self.trajectory.len();
        let camera = |c: &LooseCamera| CameraEntry {
            name: c.name.clone(),
            storage: PictureStorage::Frames,
            width: c.size.0,
            height: c.size.1,
            frames: length,
            fps: 0.0,
            plain: true,
            stereo: false,
        };
        IndexEntry {
            path: self.path.clone(),
            length,
            duration_s: match (times.first(), times.last()) {
                (Some(first), Some(last)) => last - first,
                _ => 0.0,
            },
            rate_hz: match self.step_rate_hz {
                Some(rate) => rate,
                None => sampling::rate_hz(times),
            },
            stepwise: self.step_rate_hz.is_some(),
            success: self.metadata.success,
            task: self.metadata.current_task.clone(),
            behaviour: String::new(),
            split: None,
            seed: None,
            cameras: self.cameras.iter().map(camera).collect(),
            roles,
            faults: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Such episodes as a dataset that can be converted.
#[derive(Default)]
pub struct LooseEpisodes {
    episodes: Vec<LooseEpisode>,
    entries: Vec<IndexEntry>,
    unusable: Vec<(String, String)>,
}

impl LooseEpisodes {
    /// Adds an episode; one that can't be one is listed as unusable.
    pub fn push(&mut self, episode: LooseEpisode) {
        let mut entry = episode.entry();
        let length = entry.length;
        let times = sampling::check_times(&episode.trajectory.time_s, !entry.stepwise);
        let fault = match times {
            _ if length < 2 => Some(format!(
                "it has {length} states; an action needs at least two"
            )),
            Err(reason) => Some(reason),
            Ok(()) => None,
        };
        if let Some(reason) = fault {
            return self.unusable(entry.path, reason);
        }
        // Two runs of one second may have one name.
        let taken = |path: &str| self.entries.iter().any(|e| e.path == path);
        let mut path = entry.path.clone();
        for number in 2.. {
            if !taken(&path) {
                break;
            }
            path = format!("{}-{number}", entry.path);
        }
        entry.path = path;
        self.entries.push(entry);
        self.episodes.push(episode);
    }

    /// Lists something that is no usable episode, and why.
    pub fn unusable(&mut self, path: String, reason: String) {
        self.unusable.push((path, reason));
    }

    fn camera(&self, episode: usize, view: &View) -> Result<&LooseCamera> {
        let entry = &self.entries[episode];
        let fault = |reason| DatasetError::episode(entry.path.as_ref(), reason);
        let name = &entry.camera(view).map_err(fault)?.name;
        let cameras = &mut self.episodes[episode].cameras.iter();
        let found = cameras.find(|c| c.name == *name);
        found.ok_or_else(|| fault(format!("it has no camera {view}")))
    }
}

impl EpisodeStore for LooseEpisodes {
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]) {
        (&self.entries, &self.unusable)
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        let camera = self.camera(episode, view)?;
        let entry = &self.entries[episode];
        let trajectory = &self.episodes[episode].trajectory;
        Ok(Proprioception {
            states: trajectory.states.clone(),
            time_s: entry.times(trajectory.time_s.clone()),
            extrinsics: camera.extrinsics.clone(),
            frames: entry.length,
            file_fps: entry.rate_hz,
        })
    }

    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack> {
        let camera = self.camera(episode, view)?;
        let pictures = numbers.iter().map(|number| (camera.pictures)(*number));
        let pictures: Vec<RgbImage> = pictures.collect::<Result<_, _>>()?;
        let half: Option<Half> = view.half;
        FrameStack::of_images(&pictures, half)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        let LooseEpisode {
            trajectory,
            commanded,
            metadata,
            cameras,
            ..
        } = &self.episodes[episode];
        let known = cameras.iter().filter(|c| !c.captured_s.is_empty());
        Ok(EpisodeExtras {
            trajectory: trajectory.clone(),
            commanded: commanded.clone(),
            captured_s: known
                .map(|c| (c.name.clone(), c.captured_s.clone()))
                .collect(),
            robot: metadata.robot(),
            metadata: Some(metadata.clone()),
        })
    }
}
