//! Where an episode's rows and pictures lie, and how they are read.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde_json::Value;

use super::LeRobotStore;
use crate::alignment;
use crate::entry::{CameraEntry, IndexEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::json_text;
use crate::lerobot::columns::Columns;
use crate::lerobot::episodes::Row;
use crate::lerobot::{features, splits};
use crate::mp4_header::VideoHeader;
use crate::video;

/// Where an episode lies in the files.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub data: PathBuf,
    /// Its rows in that file.
    pub rows: Range<usize>,
    /// Where a camera's pictures are.
    pub pictures: BTreeMap<String, Pictures>,
}

/// Where an episode's pictures of one camera are.
#[derive(Debug, Clone)]
pub(super) enum Pictures {
    /// In a video, from this frame on.
    Video(PathBuf, usize),
    /// In this column of its rows.
    Column(String),
}

/// A data file, and the rows of each of its episodes.
pub(super) struct DataFile {
    columns: Columns,
    rows: HashMap<usize, Range<usize>>,
}

impl DataFile {
    /// Finds each episode's rows by their own `episode_index`.
    fn open(path: &Path) -> Result<Self> {
        let columns = Columns::open(path)?;
        let mut rows: HashMap<usize, Range<usize>> = HashMap::new();
        if columns.has("episode_index") {
            let numbers = columns.known("episode_index", 0..columns.rows())?;
            for (at, number) in numbers.into_iter().enumerate() {
                let Some(number) = number else { continue };
                let range = rows.entry(number as usize).or_insert(at..at);
                if range.end != at {
                    // In two places: neither is the episode.
                    *range = at..at;
                    continue;
                }
                range.end = at + 1;
            }
        }
        Ok(DataFile { columns, rows })
    }

    /// An episode's rows: those that have its number, else those listed from the file's first,
    /// whose own number is `index`.
    fn of(&self, row: &Row) -> Option<Range<usize>> {
        if !self.rows.is_empty() {
            return self.rows.get(&row.number).cloned();
        }
        let (from, to) = row.rows?;
        let first = self.columns.known("index", 0..1).ok()?.first().copied()??;
        let from = from.checked_sub(first as usize)?;
        Some(from..to.checked_sub(first as usize)?)
    }
}

impl LeRobotStore {
    /// Checks one episode and finds its files.
    pub(super) fn place(
        &self,
        row: &Row,
        tasks: &HashMap<usize, String>,
        cameras: &[(String, CameraEntry)],
        headers: &mut HashMap<PathBuf, Result<VideoHeader, String>>,
        files: &mut HashMap<PathBuf, DataFile>,
    ) -> Result<(IndexEntry, Place)> {
        let inside = |pattern: &str, key: &str, (chunk, file)| {
            features::fill(pattern, key, chunk, file)
                .map(|path| self.root.join(path))
                .map_err(|reason| DatasetError::corrupt(&self.root.join(features::INFO), reason))
        };
        let number = row.number;
        let listed = row.data.ok_or_else(|| {
            DatasetError::corrupt(
                &self.root.join("meta/episodes"),
                format!("it doesn't say in which file episode {number} lies"),
            )
        })?;
        let data = inside(&self.info.data_path, "", listed)?;
        let wrong = |reason: String| Err(DatasetError::corrupt(&data, reason));
        if !files.contains_key(&data) {
            // Episodes come in the order of their files.
            files.clear();
            files.insert(data.clone(), DataFile::open(&data)?);
        }
        let file = &files[&data];
        let columns = &file.columns;
        let Some(rows) = file.of(row).filter(|rows| rows.end <= columns.rows()) else {
            return wrong(format!(
                "it has {} rows, and those of episode {number} are not among them",
                columns.rows()
            ));
        };
        let length = rows.len();
        if length < 2 || row.length.is_some_and(|listed| listed != length) {
            return wrong(format!(
                "episode {number} is listed with {} frames and has {length} rows in one piece; at \
                 least two belong together",
                row.length.unwrap_or(length)
            ));
        }
        let fps = self.info.fps;
        if let Some(rate) = row
            .rate_hz()
            .filter(|rate| (rate / fps - 1.0).abs() > WRONG_RATE)
        {
            return wrong(format!(
                "episode {number} has {rate:.2} frames a second by its place in the video, and \
                 meta/info.json says fps = {fps}; correct fps there"
            ));
        }
        let task = match &row.task {
            Some(task) => Some(task.clone()),
            None if columns.has("task_index") => {
                let first = columns.known("task_index", rows.start..rows.start + 1)?;
                let first = first.first().copied().flatten();
                first.and_then(|n| tasks.get(&(n as usize))).cloned()
            }
            None => None,
        };

        let mut places = BTreeMap::new();
        let mut entries = Vec::new();
        let mut faults = Vec::new();
        let mut notes = Vec::new();
        let mut stretches = row.videos.iter();
        for (key, camera) in cameras {
            let mut found = |frames: usize, [width, height]: [u32; 2], pictures: Pictures| {
                places.insert(camera.name.clone(), pictures);
                entries.push(CameraEntry {
                    frames,
                    width,
                    height,
                    ..camera.clone()
                });
            };
            if camera.storage == PictureStorage::Parquet {
                match columns.has_inside(key, PICTURE) {
                    true => {
                        let size = [camera.width, camera.height];
                        found(length, size, Pictures::Column(key.clone()));
                    }
                    false => faults.push(format!(
                        "{} has no pictures of camera {key}: no column of its {PICTURE}",
                        data.display()
                    )),
                }
                continue;
            }
            let Some(stretch) = stretches.next().copied().flatten() else {
                faults.push(format!(
                    "meta/episodes doesn't say where episode {number} lies in the videos of \
                     camera {key}"
                ));
                continue;
            };
            let path = inside(&self.info.video_path, key, stretch.file)?;
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
            let (first, frames) = stretch.frames(length, header, fps);
            match alignment::check(frames, length, self.frame_tolerance) {
                Ok(()) => {
                    notes.extend(video::of_several(&camera.name, header));
                    // As they are shown: a film may be turned, and info.json needn't say so.
                    let size = [header.width, header.height];
                    found(frames, size, Pictures::Video(path, first));
                }
                Err(reason) => faults.push(format!(
                    "{}, where the episode begins at frame {first} of {}: {reason}{}",
                    path.display(),
                    header.frames,
                    match (header.fps / fps - 1.0).abs() > WRONG_RATE {
                        true => format!(
                            "; the film has {:.1} frames a second, and meta/info.json says fps = \
                             {fps}",
                            header.fps
                        ),
                        false => String::new(),
                    }
                )),
            }
        }
        if entries.is_empty() {
            let none = || "it has no camera: no feature of meta/info.json is a video or an image";
            let fault = faults.first().cloned().unwrap_or_else(|| none().to_owned());
            return Err(DatasetError::Mismatch(fault));
        }
        let entry = IndexEntry {
            path: String::new(),
            length,
            duration_s: (length - 1) as f64 / fps,
            rate_hz: fps,
            stepwise: false,
            success: outcome(columns, &rows),
            task: task.unwrap_or_default(),
            behaviour: String::new(),
            split: splits::of(&self.info.splits, number),
            seed: None,
            roles: features::roles(cameras),
            cameras: entries,
            faults,
            notes,
        };
        let place = Place {
            data,
            rows,
            pictures: places,
        };
        Ok((entry, place))
    }
}

/// What a column of pictures is called inside.
const PICTURE: &str = "bytes";
/// Share by which a rate may be wrong.
pub(super) const WRONG_RATE: f64 = 0.3;

/// Numbers that nobody needs: none where some are missing.
pub(super) fn usable(
    columns: &Columns,
    name: &str,
    width: usize,
    rows: &Range<usize>,
) -> Option<Vec<f64>> {
    let there = columns
        .has(name)
        .then(|| columns.numbers(name, width, rows.clone()));
    there?.ok()
}

/// Whether an episode's task was achieved, where one of the columns that say it is there.
fn outcome(columns: &Columns, rows: &Range<usize>) -> Option<bool> {
    let names = [features::SUCCESS, "next.success", "success"].into_iter();
    names.filter(|name| columns.has(name)).find_map(|name| {
        // At every row, or from the one on at which it is achieved.
        let said: Vec<bool> = match columns.known(name, rows.clone()) {
            Ok(known) => known.into_iter().flatten().map(|n| n == 1.0).collect(),
            Err(_) => {
                let words = columns.texts(name, rows.clone()).unwrap_or_default();
                let truth = |word: String| json_text::truth(Some(&Value::String(word)));
                words.into_iter().flatten().filter_map(truth).collect()
            }
        };
        (!said.is_empty()).then(|| said.contains(&true))
    })
}

/// Pictures of some rows of a column, all of one size.
pub(super) fn pictures(
    columns: &Columns,
    key: &str,
    rows: impl Iterator<Item = Range<usize>>,
) -> Result<Vec<RgbImage>> {
    let wrong = |row: usize, why: String| {
        let reason = format!("the picture in row {row} of {key} can't be used: {why}");
        DatasetError::corrupt(columns.path(), reason)
    };
    let mut images: Vec<RgbImage> = Vec::new();
    for rows in rows {
        let files = columns.bytes(key, Some(PICTURE), rows.clone())?;
        for (row, file) in rows.zip(files) {
            let missing = || wrong(row, "it is missing".to_owned());
            let image = image::load_from_memory(file.first().ok_or_else(missing)?);
            let image = image.map_err(|e| wrong(row, e.to_string()))?.into_rgb8();
            let [width, height] = [image.width(), image.height()];
            if let Some(first) = images.first().map(RgbImage::dimensions) {
                if first != (width, height) {
                    let (w, h) = first;
                    return Err(wrong(
                        row,
                        format!(
                            "it is {width}×{height} px, and others of its episode are {w}×{h} \
                             px; bring them to one size"
                        ),
                    ));
                }
            }
            images.push(image);
        }
    }
    Ok(images)
}
