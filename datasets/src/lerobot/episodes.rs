//! `meta/episodes` and `meta/tasks.parquet`: where each episode lies, and what it was.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use crate::error::{DatasetError, Result};
use crate::mp4_header::VideoHeader;

/// What is in `meta/` of a dataset's episodes.
pub(super) struct Listed {
    /// A row for each, in episode order.
    pub rows: Vec<Row>,
    /// Task texts by number.
    pub tasks: HashMap<usize, String>,
}

/// A row of `meta/episodes`; what is missing in it, or no such number, is `None`.
pub(super) struct Row {
    /// Its number.
    pub number: usize,
    /// Frames.
    pub length: Option<usize>,
    /// Its first row in the dataset's count, and the one behind its last.
    pub rows: Option<(usize, usize)>,
    /// Folder and file of its rows.
    pub data: Option<(usize, usize)>,
    /// For each camera with videos, where its frames lie.
    pub videos: Vec<Option<Stretch>>,
    /// What was attempted.
    pub task: Option<String>,
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
    /// Its first frame in a video, and how many of its own there are: up to the end it is said to
    /// have, or `length`. Frames are found by when they are shown.
    pub(super) fn frames(&self, length: usize, video: &VideoHeader, fps: f64) -> (usize, usize) {
        // An end that lies behind the video is nearest to a frame that isn't there.
        let number = |time_s: f64| {
            let last = video.times_s.len().saturating_sub(1);
            let span = |at: usize| video.times_s[at] - video.times_s[0];
            match video.times_s.is_empty() || time_s > span(last) + 0.5 / fps {
                true => video.times_s.len(),
                false => video.nearest(time_s),
            }
        };
        let first = number(self.from_s);
        let end = match self.to_s {
            Some(to_s) => number(to_s),
            None => first.saturating_add(length),
        };
        (first, end.min(video.frames).saturating_sub(first))
    }
}

impl Row {
    /// Its frames a second by where its frames begin and end in the videos; `None` where that
    /// isn't said.
    pub(super) fn rate_hz(&self) -> Option<f64> {
        let lasts = |stretch: &Stretch| Some(stretch.to_s? - stretch.from_s);
        let lasts_s = self.videos.iter().flatten().find_map(lasts)?;
        (lasts_s > 0.0).then_some(self.length? as f64 / lasts_s)
    }
}

/// What `meta/episodes` and `meta/tasks.parquet` say; `cameras` are the columns of those that are
/// stored as videos.
///
/// # Errors
/// Naming the file that can't be read, or is missing.
pub(super) fn listed(root: &Path, cameras: &[&str]) -> Result<Listed> {
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
            reason: "there is no file chunk-*/file-*.parquet in it: the recording was not \
                     finished (LeRobot's finalize() didn't run); finish it there"
                .to_owned(),
        });
    }
    let mut rows = Vec::new();
    for file in files {
        let columns = Columns::open(&file)?;
        let count = columns.rows();
        let known = |name: &str| match columns.has(name) {
            true => columns.known(name, 0..count),
            false => Ok(vec![None; count]),
        };
        let whole = |name: &str| -> Result<Vec<Option<usize>>> {
            let is = |n: &f64| *n >= 0.0 && n.fract() == 0.0;
            let numbers = known(name)?.into_iter();
            Ok(numbers.map(|n| n.filter(is).map(|n| n as usize)).collect())
        };
        let pairs = |a: &str, b: &str| -> Result<Vec<Option<(usize, usize)>>> {
            let pairs = whole(a)?.into_iter().zip(whole(b)?);
            Ok(pairs.map(|(a, b)| a.zip(b)).collect())
        };
        let numbers = whole("episode_index")?;
        let lengths = whole("length")?;
        let places = pairs("dataset_from_index", "dataset_to_index")?;
        let data = pairs("data/chunk_index", "data/file_index")?;
        let mut videos = Vec::new();
        for key in cameras {
            let named = |what: &str| format!("videos/{key}/{what}");
            videos.push((
                pairs(&named("chunk_index"), &named("file_index"))?,
                known(&named("from_timestamp"))?,
                known(&named("to_timestamp"))?,
            ));
        }
        let names = match columns.has("tasks") {
            // Some write the text, some its number.
            true => columns.texts("tasks", 0..count).or_else(|_| {
                let text = |n: &Option<f64>| n.iter().map(ToString::to_string).collect();
                Ok(known("tasks")?.iter().map(text).collect())
            })?,
            false => vec![Vec::new(); count],
        };
        for (i, name) in names.into_iter().enumerate() {
            let task = name.into_iter().next().map(|task| {
                let number = task
                    .parse()
                    .ok()
                    .filter(|_| !tasks.values().any(|t| *t == task));
                let named = number.and_then(|number: usize| tasks.get(&number));
                named.cloned().unwrap_or(task)
            });
            rows.push(Row {
                number: numbers[i].unwrap_or(rows.len()),
                length: lengths[i],
                rows: places[i],
                data: data[i],
                videos: videos
                    .iter()
                    .map(|(file, from, to)| {
                        Some(Stretch {
                            file: file[i]?,
                            from_s: from[i]?,
                            to_s: to[i],
                        })
                    })
                    .collect(),
                task,
            });
        }
    }
    rows.sort_by_key(|row| row.number);
    Ok(Listed { rows, tasks })
}

/// Task texts by number.
fn tasks(root: &Path) -> Result<HashMap<usize, String>> {
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
    let numbers = match columns.has("task_index") {
        true => columns.known("task_index", rows.clone())?,
        false => rows.clone().map(|at| Some(at as f64)).collect(),
    };
    let texts = columns.texts(name, rows)?.into_iter();
    let pairs = numbers.into_iter().zip(texts.map(|t| t.into_iter().next()));
    Ok(pairs
        .filter_map(|(number, text)| Some((number? as usize, text?)))
        .collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list.map_err(|e| DatasetError::io("list", folder, e))?,
    };
    let mut paths: Vec<PathBuf> = list
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    Ok(paths)
}
