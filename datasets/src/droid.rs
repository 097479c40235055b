//! Episodes in DROID's raw layout, with videos or with losslessly stored frames.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::entry::{CameraEntry, IndexEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::extrinsics;
use crate::frames::FrameStack;
use crate::index::Index;
use crate::layout;
use crate::metadata::Metadata;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::trajectory::{self, Trajectory};
use crate::video;
use crate::view::View;

/// An indexed DROID-raw dataset.
#[derive(Debug, Clone)]
pub(crate) struct DroidStore {
    root: PathBuf,
    episodes: Vec<IndexEntry>,
    unusable: Vec<(String, String)>,
}

impl DroidStore {
    /// The episodes an index lists; its paths start from `root`.
    pub(crate) fn new(index: Index, root: &Path) -> Self {
        DroidStore {
            root: root.to_path_buf(),
            episodes: index.episodes,
            unusable: index
                .unusable
                .into_iter()
                .map(|entry| (entry.path, entry.reason))
                .collect(),
        }
    }

    /// An episode's folder.
    pub(crate) fn folder(&self, episode: usize) -> PathBuf {
        self.root.join(&self.episodes[episode].path)
    }

    /// An episode's trajectory, which must be what was listed.
    fn trajectory(&self, episode: usize) -> Result<(PathBuf, Trajectory)> {
        let file = self.folder(episode).join(layout::TRAJECTORY);
        let trajectory = Trajectory::read(&file)?;
        match (trajectory.len(), self.episodes[episode].length) {
            (found, listed) if found != listed => Err(DatasetError::corrupt(
                &file,
                format!(
                    "it has {found} states, and the index says {listed}: it was changed since; \
                     make the index anew with `foresight dataset index`"
                ),
            )),
            _ => Ok((file, trajectory)),
        }
    }

    /// The camera a view means in an episode.
    fn camera(&self, episode: usize, view: &View) -> Result<&CameraEntry> {
        let entry = &self.episodes[episode];
        entry
            .camera(view)
            .map_err(|reason| DatasetError::episode(&self.folder(episode), reason))
    }
}

impl EpisodeStore for DroidStore {
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]) {
        (&self.episodes, &self.unusable)
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        let camera = self.camera(episode, view)?;
        let (file, trajectory) = self.trajectory(episode)?;
        let states = trajectory.len();
        let recorded = extrinsics::read(&file, &camera.name, view.half, states)?;
        let simulated = || {
            let scene = &trajectory.simulator.as_ref()?.scene;
            Some(vec![extrinsics::of_scene(scene)?; states])
        };
        let extrinsics = recorded.or_else(simulated);
        let entry = &self.episodes[episode];
        let rate_hz = entry.rate_hz;
        Ok(Proprioception {
            states: trajectory.states,
            time_s: entry.times(trajectory.time_s),
            extrinsics,
            frames: camera.frames,
            file_fps: if camera.fps > 0.0 {
                camera.fps
            } else {
                rate_hz
            },
        })
    }

    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack> {
        let camera = self.camera(episode, view)?;
        let folder = self.folder(episode);
        if camera.storage == PictureStorage::Frames {
            let name = format!("{}.{}", camera.name, layout::FRAMES_EXTENSION);
            return FrameStack::read_some(&folder.join(layout::FRAMES).join(name), numbers);
        }
        let name = match view.half {
            None => camera.name.clone(),
            Some(_) => format!("{}{}", camera.name, layout::STEREO_SUFFIX),
        };
        let file = layout::video_file(&folder, &name)?;
        let images = video::all_frames_at(&file, numbers)?;
        FrameStack::of_images(&images, view.half)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        let (file, trajectory) = self.trajectory(episode)?;
        let metadata = Metadata::read(&layout::metadata_file(&self.folder(episode))?)?;
        Ok(EpisodeExtras {
            commanded: trajectory::read_commanded(&file, trajectory.len())?.unwrap_or_default(),
            trajectory,
            captured_s: BTreeMap::new(),
            robot: metadata.robot(),
            metadata: Some(metadata),
        })
    }
}
