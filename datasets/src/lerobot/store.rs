//! Reads LeRobot datasets, version 3.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use foresight_planner::Pose;
use rayon::prelude::*;

use super::columns::Columns;
use super::episodes::{listed, Listed};
use super::features::{self, Info, PoseColumns};
use crate::alignment::FRAME_TOLERANCE;
use crate::entry::{CameraEntry, IndexEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::sampling;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::trajectory::Trajectory;
use crate::video;
use crate::view::View;

mod place;

use place::{pictures, usable, Pictures, Place, WRONG_RATE};

/// A LeRobot dataset.
pub struct LeRobotStore {
    root: PathBuf,
    info: Info,
    pose: PoseColumns,
    frame_tolerance: usize,
    episodes: Vec<IndexEntry>,
    places: Vec<Place>,
    unusable: Vec<(String, String)>,
}

/// A row's number in its episode: without times, its time at the dataset's rate.
const COUNT: &str = "frame_index";

/// Whether a folder is a LeRobot dataset.
pub fn is_lerobot(root: &Path) -> bool {
    root.join(features::INFO).is_file()
}

impl LeRobotStore {
    /// Opens a dataset: reads its metadata, and of its data whether episodes succeeded.
    ///
    /// # Errors
    /// When the metadata can't be read; single episodes that can't be used are listed.
    pub fn open(root: &Path) -> Result<Self> {
        LeRobotStore::open_tolerant(root, FRAME_TOLERANCE)
    }

    /// As [`LeRobotStore::open`], where an episode may have so many frames more or fewer than
    /// rows.
    ///
    /// # Errors
    /// As [`LeRobotStore::open`].
    pub fn open_tolerant(root: &Path, frame_tolerance: usize) -> Result<Self> {
        let info = Info::read(root)?;
        let pose = info
            .pose_columns()
            .map_err(|reason| DatasetError::corrupt(&root.join(features::INFO), reason))?;
        let cameras = info.cameras();
        let filmed = cameras
            .iter()
            .filter(|(_, c)| c.storage == PictureStorage::Video);
        let filmed: Vec<&str> = filmed.map(|(key, _)| key.as_str()).collect();
        let Listed { rows, tasks } = listed(root, &filmed)?;
        let mut store = LeRobotStore {
            root: root.to_path_buf(),
            info,
            pose,
            frame_tolerance,
            episodes: Vec::new(),
            places: Vec::new(),
            unusable: Vec::new(),
        };
        let mut headers = HashMap::new();
        let mut files = HashMap::new();
        let mut last = None;
        for row in rows {
            let path = format!("episode_{:06}", row.number);
            // Rows are in episode order.
            if last.replace(row.number) == Some(row.number) {
                let reason = format!(
                    "meta/episodes lists episode {} more than once, and the first of its rows is \
                     used; take the others out",
                    row.number
                );
                store.unusable.push((path, reason));
                continue;
            }
            match store.place(&row, &tasks, &cameras, &mut headers, &mut files) {
                Ok((entry, place)) => {
                    store.episodes.push(IndexEntry { path, ..entry });
                    store.places.push(place);
                }
                Err(error) => store.unusable.push((path, error.to_string())),
            }
        }
        let listed = store.episodes.len() + store.unusable.len();
        let said = store.info.total_episodes.filter(|said| *said > listed);
        if let (Some(said), Some(entry)) = (said, store.episodes.last_mut()) {
            entry.notes.push(format!(
                "meta/episodes lists no more episodes than these {listed}, and meta/info.json says \
                 total_episodes = {said}: is a file of meta/episodes missing?"
            ));
        }
        Ok(store)
    }

    /// Reads everything: every episode's numbers, and every picture. Episodes that can't be read
    /// move to the unusable ones; a camera whose video is damaged is a fault of those that lie
    /// in it. `done` is told steps done and in all.
    pub fn validate(&mut self, done: impl Fn(usize, usize) + Sync) {
        let films = self.places.iter().flat_map(|p| p.pictures.values());
        let films = films.filter_map(|pictures| match pictures {
            Pictures::Video(path, _) => Some(path),
            Pictures::Column(_) => None,
        });
        let films: BTreeSet<&PathBuf> = films.collect();
        let all = films.len() + self.episodes.len();
        let count = AtomicUsize::new(0);
        let step = || done(count.fetch_add(1, Ordering::Relaxed) + 1, all);
        let bad: HashMap<PathBuf, String> = films
            .into_par_iter()
            .filter_map(|path| {
                let result = video::check(path);
                step();
                Some((path.clone(), result.err()?.to_string()))
            })
            .collect();
        let checked: Vec<Result<IndexEntry>> = (0..self.episodes.len())
            .into_par_iter()
            .map(|episode| {
                let result = self.checked(episode, &bad);
                step();
                result
            })
            .collect();
        let places = std::mem::take(&mut self.places);
        let episodes = std::mem::take(&mut self.episodes);
        for ((entry, place), checked) in episodes.into_iter().zip(places).zip(checked) {
            match checked {
                Ok(entry) => {
                    self.episodes.push(entry);
                    self.places.push(place);
                }
                Err(error) => self.unusable.push((entry.path, error.to_string())),
            }
        }
    }

    /// An episode's entry without the cameras that can't be read, `bad` the videos among them.
    fn checked(&self, episode: usize, bad: &HashMap<PathBuf, String>) -> Result<IndexEntry> {
        self.extras(episode)?;
        let mut entry = self.episodes[episode].clone();
        let place = &self.places[episode];
        let mut faults = Vec::new();
        entry.cameras.retain(|camera| {
            let fault = match &place.pictures[&camera.name] {
                Pictures::Video(path, _) => bad.get(path).cloned(),
                Pictures::Column(key) => {
                    let columns = Columns::open(&place.data);
                    let all = std::iter::once(place.rows.clone());
                    let read = columns.and_then(|columns| pictures(&columns, key, all));
                    read.err().map(|e| e.to_string())
                }
            };
            faults.extend(fault.clone());
            fault.is_none()
        });
        if let (true, Some(fault)) = (entry.cameras.is_empty(), faults.first()) {
            return Err(DatasetError::Mismatch(fault.clone()));
        }
        entry.faults.extend(faults);
        Ok(entry)
    }

    /// The dataset's description.
    pub fn info(&self) -> &Info {
        &self.info
    }

    fn camera(&self, episode: usize, view: &View) -> Result<&CameraEntry> {
        let entry = &self.episodes[episode];
        entry
            .camera(view)
            .map_err(|reason| DatasetError::episode(&self.root.join(&entry.path), reason))
    }

    fn poses(&self, columns: &Columns, place: &Place) -> Result<Vec<Pose>> {
        let rows = || place.rows.clone();
        Ok(match &self.pose {
            PoseColumns::Droid => {
                let cartesian = columns.numbers(features::CARTESIAN, 6, rows())?;
                let gripper = columns.numbers(features::GRIPPER, 1, rows())?;
                join(&cartesian, &gripper)
            }
            PoseColumns::Components { column, width, at } => columns
                .numbers(column, *width, rows())?
                .chunks_exact(*width)
                .map(|row| Pose::from_array(at.map(|i| row[i])))
                .collect(),
        })
    }

    /// When an episode's rows were recorded, s: where that isn't said, at the dataset's rate.
    fn times(&self, columns: &Columns, place: &Place) -> Result<Vec<f64>> {
        let named = [features::TIME, "timestamp", COUNT].into_iter();
        let mut times =
            named.filter_map(|name| Some((name, usable(columns, name, 1, &place.rows)?)));
        let fps = self.info.fps;
        let Some((name, mut time_s)) = times.next() else {
            return Ok((0..place.rows.len()).map(|i| i as f64 / fps).collect());
        };
        if name == COUNT {
            time_s.iter_mut().for_each(|count| *count /= fps);
        }
        let wrong = |reason: String| DatasetError::corrupt(&place.data, reason);
        sampling::check_times(&time_s, true).map_err(wrong)?;
        let rate = sampling::rate_hz(&time_s);
        // LeRobot's own times are by the nominal rate.
        if name != features::TIME && (rate / fps - 1.0).abs() > WRONG_RATE {
            return Err(wrong(format!(
                "its rows are {rate:.2} a second by {name}, and meta/info.json says fps = {fps}; \
                 correct fps there"
            )));
        }
        Ok(time_s)
    }
}

/// Poses of rows of six and of closednesses.
fn join(cartesian: &[f64], gripper: &[f64]) -> Vec<Pose> {
    let rows = cartesian.chunks_exact(6).zip(gripper);
    rows.map(|(row, g)| Pose::from_array([row[0], row[1], row[2], row[3], row[4], row[5], *g]))
        .collect()
}

impl EpisodeStore for LeRobotStore {
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]) {
        (&self.episodes, &self.unusable)
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        let camera = self.camera(episode, view)?;
        let place = &self.places[episode];
        let columns = Columns::open(&place.data)?;
        let extrinsics = format!("{}{}", features::EXTRINSICS, camera.name);
        Ok(Proprioception {
            states: self.poses(&columns, place)?,
            time_s: self.times(&columns, place)?,
            extrinsics: usable(&columns, &extrinsics, 6, &place.rows).map(|rows| sixes(&rows)),
            frames: camera.frames,
            file_fps: self.info.fps,
        })
    }

    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack> {
        let camera = self.camera(episode, view)?;
        let place = &self.places[episode];
        let (file, first) = match &place.pictures[&camera.name] {
            Pictures::Video(file, first) => (file, first),
            Pictures::Column(key) => {
                let columns = Columns::open(&place.data)?;
                let rows = numbers.iter().map(|number| place.rows.start + number);
                let images = pictures(&columns, key, rows.map(|row| row..row + 1))?;
                return FrameStack::of_images(&images, None);
            }
        };
        let shifted: Vec<usize> = numbers.iter().map(|n| n + first).collect();
        let images = video::all_frames_at(file, &shifted)?;
        FrameStack::of_images(&images, None)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        let place = &self.places[episode];
        let columns = Columns::open(&place.data)?;
        let column = |name: &str, width: usize| usable(&columns, name, width, &place.rows);
        let joints = column("observation.state.joint_position", 7);
        let commanded = column("action.cartesian_position", 6);
        let commanded = commanded.zip(column("action.gripper_position", 1));
        Ok(EpisodeExtras {
            trajectory: Trajectory {
                states: self.poses(&columns, place)?,
                time_s: self.times(&columns, place)?,
                joints_rad: joints.map_or(Vec::new(), |joints| sevens(&joints)),
                commands: Vec::new(),
                simulator: None,
            },
            commanded: commanded.map_or(Vec::new(), |(pose, gripper)| join(&pose, &gripper)),
            captured_s: BTreeMap::new(),
            robot: self.info.robot_type.clone().unwrap_or("unknown".into()),
            metadata: None,
        })
    }
}

fn sixes(values: &[f64]) -> Vec<[f64; 6]> {
    let rows = values.chunks_exact(6);
    rows.map(|r| [r[0], r[1], r[2], r[3], r[4], r[5]]).collect()
}

fn sevens(values: &[f64]) -> Vec<[f64; 7]> {
    let rows = values.chunks_exact(7);
    rows.map(|r| [r[0], r[1], r[2], r[3], r[4], r[5], r[6]])
        .collect()
}
