//! Reads LeRobot datasets, version 3.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use foresight_planner::Pose;
use rayon::prelude::*;

use super::columns::Columns;
use super::episodes::{episode_rows, Row};
use super::features::{self, Info, PoseColumns};
use super::splits;
use crate::alignment::{self, FRAME_TOLERANCE};
use crate::entry::{CameraEntry, IndexEntry};
use crate::error::DatasetError;
use crate::frames::FrameStack;
use crate::mp4_header::VideoHeader;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::trajectory::Trajectory;
use crate::video;
use crate::view::View;

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

/// Where an episode lies in the files.
#[derive(Debug, Clone)]
struct Place {
    data: PathBuf,
    /// Its rows in that file.
    rows: std::ops::Range<usize>,
    /// A camera's file, and its first frame in it.
    videos: BTreeMap<String, (PathBuf, usize)>,
}

/// Whether a folder is a LeRobot dataset.
pub fn is_lerobot(root: &Path) -> bool {
    root.join(features::INFO).is_file()
}

impl LeRobotStore {
    /// Opens a dataset: reads its metadata, and of its data whether episodes succeeded.
    ///
    /// # Errors
    /// When the metadata can't be read; single episodes that can't be used are listed.
    pub fn open(root: &Path) -> Result<Self, DatasetError> {
        LeRobotStore::open_tolerant(root, FRAME_TOLERANCE)
    }

    /// As [`LeRobotStore::open`], where an episode may have so many frames more or fewer than
    /// rows.
    ///
    /// # Errors
    /// As [`LeRobotStore::open`].
    pub fn open_tolerant(root: &Path, frame_tolerance: usize) -> Result<Self, DatasetError> {
        let info = Info::read(root)?;
        let pose = info
            .pose_columns()
            .map_err(|reason| DatasetError::corrupt(&root.join(features::INFO), reason))?;
        let cameras = info.cameras();
        let rows = episode_rows(root, &cameras)?;
        // The first row of each data file, in the dataset's count.
        let mut bases: HashMap<(usize, usize), usize> = HashMap::new();
        for row in &rows {
            let base = bases.entry(row.data).or_insert(row.from);
            *base = (*base).min(row.from);
        }
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
        for row in rows {
            let path = format!("episode_{:06}", row.number);
            let base = bases.get(&row.data).copied().unwrap_or(0);
            match store.place(&row, base, &cameras, &mut headers, &mut files) {
                Ok((entry, place)) => {
                    store.episodes.push(IndexEntry { path, ..entry });
                    store.places.push(place);
                }
                Err(error) => store.unusable.push((path, error.to_string())),
            }
        }
        Ok(store)
    }

    /// Reads everything: every episode's numbers, and every video to its end. What is wrong, by
    /// episode or file; `done` is told steps done and in all.
    pub fn validate(&self, done: impl Fn(usize, usize) + Sync) -> Vec<(String, String)> {
        let mut videos: Vec<&PathBuf> = Vec::new();
        videos.extend(
            self.places
                .iter()
                .flat_map(|p| p.videos.values().map(|v| &v.0)),
        );
        videos.sort();
        videos.dedup();
        let all = videos.len() + self.episodes.len();
        let count = AtomicUsize::new(0);
        let step = || done(count.fetch_add(1, Ordering::Relaxed) + 1, all);
        let numbers = self
            .episodes
            .par_iter()
            .enumerate()
            .filter_map(|(i, entry)| {
                let result = self.extras(i);
                step();
                Some((entry.path.clone(), result.err()?.to_string()))
            });
        let mut faults: Vec<(String, String)> = numbers.collect();
        let pictures = videos.par_iter().filter_map(|path| {
            let result = video::check(path);
            step();
            Some((path.display().to_string(), result.err()?.to_string()))
        });
        faults.extend(pictures.collect::<Vec<_>>());
        faults
    }

    /// The dataset's description.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Checks one episode and finds its files.
    fn place(
        &self,
        row: &Row,
        base: usize,
        cameras: &[(String, CameraEntry)],
        headers: &mut HashMap<PathBuf, Result<VideoHeader, String>>,
        files: &mut HashMap<PathBuf, Columns>,
    ) -> Result<(IndexEntry, Place), DatasetError> {
        let inside = |pattern: &str, key: &str, (chunk, file)| {
            features::fill(pattern, key, chunk, file)
                .map(|path| self.root.join(path))
                .map_err(|reason| DatasetError::corrupt(&self.root.join(features::INFO), reason))
        };
        let data = inside(&self.info.data_path, "", row.data)?;
        let wrong = |reason: String| Err(DatasetError::corrupt(&data, reason));
        if row.to.checked_sub(row.from) != Some(row.length) || row.length < 2 {
            return wrong(format!(
                "episode {} is listed with {} frames in rows {} to {}",
                row.number, row.length, row.from, row.to
            ));
        }
        let rows = row.from - base..row.to - base;
        if !files.contains_key(&data) {
            // Episodes come in the order of their files.
            files.clear();
            files.insert(data.clone(), Columns::open(&data)?);
        }
        let columns = &files[&data];
        if rows.end > columns.rows() {
            return wrong(format!(
                "it has {} rows, and episode {} lies in rows {} to {}",
                columns.rows(),
                row.number,
                rows.start,
                rows.end
            ));
        }
        let of = columns.numbers("episode_index", 1, rows.clone())?;
        if of.iter().any(|n| *n != row.number as f64) {
            return wrong(format!(
                "rows {} to {} should be episode {}'s, and are not",
                rows.start, rows.end, row.number
            ));
        }
        let success = match self.info.features.contains_key(features::SUCCESS) {
            true => columns.numbers(features::SUCCESS, 1, rows.start..rows.start + 1)? == [1.0],
            false => false,
        };

        let mut videos = BTreeMap::new();
        let mut entries = Vec::new();
        let mut faults = Vec::new();
        let pattern = self.info.video_path.as_deref().unwrap_or_default();
        for ((key, camera), stretch) in cameras.iter().zip(&row.videos) {
            let path = inside(pattern, key, stretch.file)?;
            let header = headers
                .entry(path.clone())
                .or_insert_with(|| VideoHeader::read(&path).map_err(|e| e.to_string()));
            let header = match header {
                Ok(header) => header,
                Err(reason) => {
                    faults.push(reason.clone());
                    continue;
                }
            };
            let (first, frames) = stretch.frames(row.length, header.frames, self.info.fps);
            match alignment::check(frames, row.length, self.frame_tolerance) {
                Ok(()) => {
                    videos.insert(camera.name.clone(), (path, first));
                    entries.push(CameraEntry {
                        frames,
                        ..camera.clone()
                    });
                }
                Err(reason) => faults.push(format!(
                    "{}, where the episode begins at frame {first} of {}: {reason}",
                    path.display(),
                    header.frames
                )),
            }
        }
        if let (true, Some(fault)) = (entries.is_empty(), faults.first()) {
            return Err(DatasetError::Mismatch(fault.clone()));
        }
        let place = Place { data, rows, videos };
        let entry = IndexEntry {
            path: String::new(),
            length: row.length,
            duration_s: (row.length - 1) as f64 / self.info.fps,
            rate_hz: self.info.fps,
            stepwise: false,
            success,
            task: row.task.clone(),
            behaviour: String::new(),
            split: splits::of(&self.info.splits, row.number),
            seed: None,
            roles: features::roles(&entries),
            cameras: entries,
            faults,
        };
        Ok((entry, place))
    }

    fn camera(&self, episode: usize, view: &View) -> Result<&CameraEntry, DatasetError> {
        let entry = &self.episodes[episode];
        entry
            .camera(view)
            .map_err(|reason| DatasetError::episode(&self.root.join(&entry.path), reason))
    }

    fn poses(&self, columns: &Columns, place: &Place) -> Result<Vec<Pose>, DatasetError> {
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
}

/// Poses of rows of six and of closednesses.
fn join(cartesian: &[f64], gripper: &[f64]) -> Vec<Pose> {
    let rows = cartesian.chunks_exact(6).zip(gripper);
    rows.map(|(row, g)| Pose::from_array([row[0], row[1], row[2], row[3], row[4], row[5], *g]))
        .collect()
}

impl EpisodeStore for LeRobotStore {
    fn episodes(&self) -> &[IndexEntry] {
        &self.episodes
    }

    fn unusable(&self) -> &[(String, String)] {
        &self.unusable
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception, DatasetError> {
        let camera = self.camera(episode, view)?;
        let place = &self.places[episode];
        let columns = Columns::open(&place.data)?;
        let rows = place.rows.clone();
        let time = match columns.has(features::TIME) {
            true => features::TIME,
            false => "timestamp",
        };
        let extrinsics = format!("{}{}", features::EXTRINSICS, camera.name);
        Ok(Proprioception {
            states: self.poses(&columns, place)?,
            time_s: columns.numbers(time, 1, rows.clone())?,
            extrinsics: match columns.has(&extrinsics) {
                true => Some(sixes(&columns.numbers(&extrinsics, 6, rows)?)),
                false => None,
            },
            frames: camera.frames,
            file_fps: self.info.fps,
        })
    }

    fn frames(
        &self,
        episode: usize,
        view: &View,
        numbers: &[usize],
    ) -> Result<FrameStack, DatasetError> {
        let camera = self.camera(episode, view)?;
        let (file, first) = &self.places[episode].videos[&camera.name];
        let shifted: Vec<usize> = numbers.iter().map(|n| n + first).collect();
        let images = video::frames_at(file, &shifted)?;
        if images.len() != numbers.len() {
            return Err(DatasetError::corrupt(
                file,
                format!(
                    "{} of the {} frames asked for can be decoded; it was cut short or is damaged",
                    images.len(),
                    numbers.len()
                ),
            ));
        }
        FrameStack::of_images(&images, None)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras, DatasetError> {
        let place = &self.places[episode];
        let columns = Columns::open(&place.data)?;
        let rows = || place.rows.clone();
        let joints = "observation.state.joint_position";
        let (cartesian, gripper) = ("action.cartesian_position", "action.gripper_position");
        let time = match columns.has(features::TIME) {
            true => features::TIME,
            false => "timestamp",
        };
        Ok(EpisodeExtras {
            trajectory: Trajectory {
                states: self.poses(&columns, place)?,
                time_s: columns.numbers(time, 1, rows())?,
                joints_rad: match columns.has(joints) {
                    true => sevens(&columns.numbers(joints, 7, rows())?),
                    false => Vec::new(),
                },
                commands: Vec::new(),
                simulator: None,
            },
            commanded: match columns.has(cartesian) && columns.has(gripper) {
                true => join(
                    &columns.numbers(cartesian, 6, rows())?,
                    &columns.numbers(gripper, 1, rows())?,
                ),
                false => Vec::new(),
            },
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
