//! `meta/episodes` and `meta/tasks.parquet`: where each episode lies, and what it was.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use crate::entry::CameraEntry;
use crate::error::DatasetError;

/// A row of `meta/episodes`.
pub(super) struct Row {
    /// Its number.
    pub number: usize,
    /// Frames.
    pub length: usize,
    /// Its first row in the dataset's count.
    pub from: usize,
    /// The row behind its last.
    pub to: usize,
    /// Folder and file of its rows.
    pub data: (usize, usize),
    /// For each camera, where its frames lie.
    pub videos: Vec<Stretch>,
    /// What was attempted.
    pub task: String,
}

/// A stretch of a video.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// Folder and file.
    pub file: (usize, usize),
    /// Where it begins, s.
    from_s: f64,
    /// Where it ends, s; not every writer says.
    to_s: Option<f64>,
}

impl Stretch {
    /// Its first frame in a video of `frames` frames, `fps` a second, and how many of its own
    /// there are: up to the end it is said to have, or `length`, and no further than the video.
    pub(super) fn frames(&self, length: usize, frames: usize, fps: f64) -> (usize, usize) {
        let number = |time_s: f64| (time_s * fps).round().max(0.0) as usize;
        let first = number(self.from_s);
        let end = match self.to_s {
            Some(to_s) => number(to_s),
            None => first.saturating_add(length),
        };
        (first, end.min(frames).saturating_sub(first))
    }
}

/// All rows of `meta/episodes`, in episode order.
///
/// # Errors
/// Naming the file that can't be read, or is missing.
pub(super) fn episode_rows(
    root: &Path,
    cameras: &[(String, CameraEntry)],
) -> Result<Vec<Row>, DatasetError> {
    let tasks = tasks(root)?;
    let folder = root.join("meta/episodes");
    let mut files = Vec::new();
    for chunk in entries(&folder)? {
        if chunk.is_dir() {
            let inside = entries(&chunk)?.into_iter();
            files.extend(inside.filter(|f| f.extension().is_some_and(|e| e == "parquet")));
        }
    }
    if files.is_empty() {
        return Err(DatasetError::Empty {
            path: folder,
            reason: "there is no file chunk-*/file-*.parquet in it".to_owned(),
        });
    }
    let mut rows = Vec::new();
    for file in files {
        let columns = Columns::open(&file)?;
        let count = columns.rows();
        let whole = |name: &str| -> Result<Vec<usize>, DatasetError> {
            let numbers = columns.numbers(name, 1, 0..count)?;
            match numbers.iter().any(|n| *n < 0.0 || n.fract() != 0.0) {
                true => Err(DatasetError::corrupt(
                    &file,
                    format!("the column {name} has values that are no counts"),
                )),
                false => Ok(numbers.iter().map(|n| *n as usize).collect()),
            }
        };
        let numbers = whole("episode_index")?;
        let lengths = whole("length")?;
        let (from, to) = (whole("dataset_from_index")?, whole("dataset_to_index")?);
        let (chunk, place) = (whole("data/chunk_index")?, whole("data/file_index")?);
        let mut videos = Vec::new();
        for (key, _) in cameras {
            let end = format!("videos/{key}/to_timestamp");
            videos.push((
                whole(&format!("videos/{key}/chunk_index"))?,
                whole(&format!("videos/{key}/file_index"))?,
                columns.numbers(&format!("videos/{key}/from_timestamp"), 1, 0..count)?,
                match columns.has(&end) {
                    true => Some(columns.numbers(&end, 1, 0..count)?),
                    false => None,
                },
            ));
        }
        let names = match columns.has("tasks") {
            true => columns.texts("tasks", 0..count)?,
            false => vec![Vec::new(); count],
        };
        for (i, name) in names.into_iter().enumerate() {
            // Some write the text, some its number.
            let task = name.into_iter().next().unwrap_or_default();
            let task = match task.parse::<usize>() {
                Ok(number) => tasks.get(&number).cloned().unwrap_or(task),
                Err(_) => task,
            };
            rows.push(Row {
                number: numbers[i],
                length: lengths[i],
                from: from[i],
                to: to[i],
                data: (chunk[i], place[i]),
                videos: videos
                    .iter()
                    .map(|(chunk, file, from, to)| Stretch {
                        file: (chunk[i], file[i]),
                        from_s: from[i],
                        to_s: to.as_ref().map(|to| to[i]),
                    })
                    .collect(),
                task,
            });
        }
    }
    rows.sort_by_key(|row| row.number);
    Ok(rows)
}

/// Task texts by number.
fn tasks(root: &Path) -> Result<HashMap<usize, String>, DatasetError> {
    let path = root.join("meta/tasks.parquet");
    if !path.is_file() {
        return Ok(HashMap::new());
    }
    let columns = Columns::open(&path)?;
    let rows = 0..columns.rows();
    let name = ["task", "__index_level_0__"]
        .into_iter()
        .find(|name| columns.has(name));
    let Some(name) = name else {
        return Err(DatasetError::corrupt(&path, "it has no column of tasks"));
    };
    let numbers = columns.numbers("task_index", 1, rows.clone())?;
    let texts = columns.texts(name, rows)?;
    let texts = texts.into_iter().map(|t| t.into_iter().next());
    Ok(numbers
        .iter()
        .map(|n| *n as usize)
        .zip(texts.map(Option::unwrap_or_default))
        .collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let list = fs::read_dir(folder).map_err(|e| DatasetError::io("list", folder, e))?;
    let mut paths: Vec<PathBuf> = list.filter_map(Result::ok).map(|e| e.path()).collect();
    paths.sort();
    Ok(paths)
}
