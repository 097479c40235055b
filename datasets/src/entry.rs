//! What a dataset says of one episode without reading it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clips::ASSUMED_RATE_HZ;
use crate::layout;
use crate::split::Split;
use crate::view::{Role, View};

/// One usable episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Folder below the root, with forward slashes; absolute when it was listed so.
    pub path: String,
    /// Number of states, `T`.
    pub length: usize,
    /// Seconds from first to last state; 0 when times were not recorded.
    pub duration_s: f64,
    /// States per second, measured outside of pauses; 0 when times were not recorded.
    pub rate_hz: f64,
    /// Whether each state is the end of a step of `1 / rate_hz`, however long the arm took to
    /// come to rest: true of recordings of ours, whose rate is the nominal one.
    #[serde(default)]
    pub stepwise: bool,
    /// Whether the task was achieved; `None` where that is not known.
    #[serde(default)]
    pub success: Option<bool>,
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
    /// Which camera is `left`, `right` and `wrist`.
    pub roles: BTreeMap<String, String>,
    /// Cameras that can't be used, with reasons; the episode can without them.
    pub faults: Vec<String>,
    /// What else is worth knowing: what of it is left out, and why.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl IndexEntry {
    /// The demonstrator's behaviour, or what was attempted where that is unknown; empty when
    /// neither is known.
    pub fn behaviour_or_task(&self) -> &str {
        match self.behaviour.as_str() {
            "" => &self.task,
            behaviour => behaviour,
        }
    }
}

/// One camera of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraEntry {
    /// Name or serial number.
    pub name: String,
    /// How its pictures are stored.
    pub storage: PictureStorage,
    /// Width, px.
    pub width: u32,
    /// Height, px.
    pub height: u32,
    /// Number of frames.
    pub frames: usize,
    /// Frames a second by the video file's header, which need not be true; 0 for stored frames.
    pub fps: f64,
    /// Whether there is a plain picture of it.
    pub plain: bool,
    /// Whether there is a side-by-side stereo video of it.
    pub stereo: bool,
}

impl IndexEntry {
    /// When the states count as taken, s: as recorded, or at the nominal rate of steps.
    pub fn times(&self, recorded: Vec<f64>) -> Vec<f64> {
        if !self.stepwise || self.rate_hz <= 0.0 {
            return recorded;
        }
        (0..self.length).map(|i| i as f64 / self.rate_hz).collect()
    }

    /// As [`IndexEntry::times`]; times that were not recorded count as DROID's.
    pub(crate) fn assumed_times(&self, recorded: Vec<f64>) -> Vec<f64> {
        let times = self.times(recorded);
        match times.is_empty() {
            true => (0..self.length)
                .map(|i| i as f64 / self.assumed_rate_hz())
                .collect(),
            false => times,
        }
    }

    /// States a second; of times that were not recorded, DROID's.
    pub(crate) fn assumed_rate_hz(&self) -> f64 {
        match self.rate_hz > 0.0 {
            true => self.rate_hz,
            false => ASSUMED_RATE_HZ,
        }
    }

    /// The camera a view means.
    ///
    /// # Errors
    /// Saying which cameras there are instead.
    pub fn camera(&self, view: &View) -> Result<&CameraEntry, String> {
        let name = match &view.role {
            Role::Named(name) => Some(name),
            role => self.roles.get(role.key().unwrap_or_default()),
        };
        let names: Vec<&str> = self.cameras.iter().map(|c| c.name.as_str()).collect();
        let camera = name.and_then(|name| self.cameras.iter().find(|c| c.name == *name));
        let Some(camera) = camera else {
            let which = match name {
                Some(name) if view.role.key().is_some() => format!(" ({name} by its metadata)"),
                _ => String::new(),
            };
            let faults: String = self.faults.iter().map(|f| format!("; {f}")).collect();
            let role = |name: &str| {
                let mut roles = self.roles.iter().filter(|(_, camera)| *camera == name);
                roles
                    .next()
                    .map_or(name.to_owned(), |(role, _)| role.clone())
            };
            let other = names.first().map_or(String::new(), |name| {
                let name = role(name);
                format!(" (to look through it, add --set 'data.views=[\"{name}\"]')")
            });
            return Err(format!(
                "it has no usable camera {view}{which}; it has {}{other}{faults}",
                names.join(", ")
            ));
        };
        match view.half {
            None if !camera.plain => Err(format!(
                "camera {} has only a stereo video; choose {view}:stereo-left or \
                 {view}:stereo-right",
                camera.name
            )),
            Some(_) if !camera.stereo => Err(format!(
                "camera {} has no stereo video {}{}.mp4",
                camera.name,
                camera.name,
                layout::STEREO_SUFFIX
            )),
            _ => Ok(camera),
        }
    }
}

/// How a camera's pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureStorage {
    /// Losslessly, `crate::frames`.
    Frames,
    /// As DROID's MP4.
    Video,
    /// One by one, as PNG or JPEG, in a LeRobot dataset's Parquet files.
    Parquet,
}

impl IndexEntry {
    /// Its cameras that have more or fewer frames than there are states, each with what is left
    /// unused.
    pub fn length_mismatches(&self) -> Vec<String> {
        let names = self.cameras.iter().map(|camera| camera.name.as_str());
        names.filter_map(|name| self.mismatch_of(name)).collect()
    }

    /// The same of the camera a view means.
    pub fn length_mismatch(&self, view: &View) -> Option<String> {
        self.mismatch_of(&self.camera(view).ok()?.name)
    }

    fn mismatch_of(&self, camera: &str) -> Option<String> {
        let camera = self.cameras.iter().find(|c| c.name == camera)?;
        let (frames, states) = (camera.frames, self.length);
        if frames == states {
            return None;
        }
        let (count, what) = match frames > states {
            true => (frames - states, "frame"),
            false => (states - frames, "state"),
        };
        let (plural, are) = if count == 1 { ("", "is") } else { ("s", "are") };
        Some(format!(
            "camera {} has {frames} frames for {states} states: frame i counts as taken with \
             state i, and the last {count} {what}{plural} {are} not used",
            camera.name
        ))
    }
}
