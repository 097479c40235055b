//! Writes LeRobot datasets, version 3, with the columns of `lerobot/droid_1.0.1`.
//!
//! `meta/info.json` is written last: without it a folder is no dataset, so an interrupted
//! conversion can't be mistaken for a complete one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use super::features::IMAGES;
use super::rows::{axes, Numbers};
use super::splits;
use super::summary::Summary;
use super::table::{Column, TableValues, TableWriter};
use crate::error::{DatasetError, Result};
use crate::split::Split;
use crate::video::{VideoCodec, VideoEncoder};

mod resume;

pub use super::rows::EpisodeRows;

/// Files a folder.
const CHUNK: usize = 1000;
const DATA_MB: usize = 100;
const VIDEO_MB: usize = 200;
const DATA_PATH: &str = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet";
const VIDEO_PATH: &str = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
/// Of a camera's frames every so many count in its statistics.
const LOOKED_AT: usize = 8;

/// Where an episode ended up; a row of `meta/episodes`.
#[derive(Serialize, Deserialize)]
struct Listed {
    length: usize,
    from: usize,
    task: String,
    data: (usize, usize),
    videos: Vec<((usize, usize), f64, f64)>,
    split: Option<Split>,
}

/// What tells whether episodes have the same columns.
fn signature(columns: &[Column]) -> Vec<(String, Option<usize>)> {
    let both = columns.iter().map(|c| (c.name.clone(), c.width));
    both.collect()
}

/// A file number as folder and file.
fn place(number: usize) -> (usize, usize) {
    (number / CHUNK, number % CHUNK)
}

struct CameraWriter {
    name: String,
    size: (u32, u32),
    encoder: Option<VideoEncoder>,
    file: usize,
}

impl CameraWriter {
    fn key(&self) -> String {
        format!("{IMAGES}{}", self.name)
    }
}

/// A dataset being written.
pub struct LeRobotWriter {
    root: PathBuf,
    fps: u32,
    codec: VideoCodec,
    robot: String,
    cameras: Vec<CameraWriter>,
    data: Option<TableWriter>,
    data_file: usize,
    /// Names, types and widths of the columns, from the first episode.
    columns: Vec<Column>,
    summary: Summary,
    episodes: Vec<Listed>,
    tasks: Vec<String>,
    frames: usize,
    outcomes: bool,
    /// Names and widths of the columns of the episodes written before; empty where there are none.
    before: Vec<(String, Option<usize>)>,
}

impl LeRobotWriter {
    /// Starts a dataset in a folder that is empty or does not exist.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when there is something in it, or no camera is given.
    pub fn create(
        root: &Path,
        robot: &str,
        fps: u32,
        cameras: &[(String, (u32, u32))],
        codec: VideoCodec,
    ) -> Result<Self> {
        if fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(DatasetError::Mismatch(format!(
                "{} is not empty; name a new folder for the converted dataset",
                root.display()
            )));
        }
        if cameras.is_empty() || fps == 0 {
            return Err(DatasetError::Mismatch(
                "a LeRobot dataset needs a camera and a whole number of frames a second".to_owned(),
            ));
        }
        Ok(LeRobotWriter {
            root: root.to_path_buf(),
            fps,
            codec,
            robot: robot.to_owned(),
            cameras: cameras
                .iter()
                .map(|(name, size)| CameraWriter {
                    name: name.clone(),
                    size: *size,
                    encoder: None,
                    file: 0,
                })
                .collect(),
            data: None,
            data_file: 0,
            columns: Vec::new(),
            summary: Summary::default(),
            episodes: Vec::new(),
            tasks: Vec::new(),
            frames: 0,
            outcomes: true,
            before: Vec::new(),
        })
    }

    /// Leaves out the column of whether tasks were achieved, for a dataset of which nobody knows.
    pub fn without_outcomes(mut self) -> Self {
        self.outcomes = false;
        self
    }

    /// Appends an episode. `frames` hands every frame of a camera, in order, to the function it
    /// is given.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when columns or frame counts don't fit; whatever `frames`
    /// returns; errors of writing. After an error nothing more can be added.
    pub fn push(
        &mut self,
        rows: &EpisodeRows,
        mut frames: impl FnMut(&str, &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let length = rows.states.len();
        let task = match self.tasks.iter().position(|t| *t == rows.task) {
            Some(known) => known,
            None => {
                self.tasks.push(rows.task.clone());
                self.tasks.len() - 1
            }
        };
        let columns = rows.columns(Numbers {
            fps: self.fps,
            episode: self.episodes.len(),
            first_row: self.frames,
            task,
            outcomes: self.outcomes,
        })?;
        let data = self.write_rows(&columns)?;
        let mut videos = Vec::new();
        for at in 0..self.cameras.len() {
            let (file, from) = self.begin_video(at)?;
            let camera = &mut self.cameras[at];
            let (name, key) = (camera.name.clone(), camera.key());
            let (summary, mut number) = (&mut self.summary, 0);
            if let Some(encoder) = &mut camera.encoder {
                frames(&name, &mut |rgb| {
                    if number % LOOKED_AT == 0 {
                        summary.look(&key, rgb);
                    }
                    number += 1;
                    encoder.push(rgb)
                })?;
            }
            if number != length {
                return Err(DatasetError::Mismatch(format!(
                    "camera {name} gave {number} frames for {length} states"
                )));
            }
            let fps = f64::from(self.fps);
            videos.push((place(file), from as f64 / fps, (from + length) as f64 / fps));
        }
        self.episodes.push(Listed {
            length,
            from: self.frames,
            task: rows.task.clone(),
            data,
            videos,
            split: rows.split,
        });
        self.frames += length;
        Ok(())
    }

    /// Opens a camera's next video when there is none or it is full; its number, and the number
    /// of its next frame.
    fn begin_video(&mut self, at: usize) -> Result<(usize, usize)> {
        let camera = &mut self.cameras[at];
        let full = |e: &VideoEncoder| e.bytes() >= (VIDEO_MB as u64) << 20;
        if camera.encoder.as_ref().is_some_and(full) {
            if let Some(encoder) = camera.encoder.take() {
                encoder.finish()?;
                camera.file += 1;
            }
        }
        if let Some(encoder) = &camera.encoder {
            return Ok((camera.file, encoder.frames()));
        }
        let (chunk, file) = place(camera.file);
        let key = camera.key();
        let folder = self.root.join(format!("videos/{key}/chunk-{chunk:03}"));
        fs::create_dir_all(&folder).map_err(|e| DatasetError::io("create", &folder, e))?;
        let path = folder.join(format!("file-{file:03}.mp4"));
        let fps = f64::from(self.fps);
        camera.encoder = Some(VideoEncoder::create(&path, camera.size, fps, self.codec)?);
        Ok((camera.file, 0))
    }

    /// Writes an episode's rows; where to.
    fn write_rows(&mut self, columns: &[Column]) -> Result<(usize, usize)> {
        if self
            .data
            .as_ref()
            .is_some_and(|d| d.bytes() >= DATA_MB << 20)
        {
            if let Some(full) = self.data.take() {
                full.finish()?;
                self.data_file += 1;
            }
        }
        let (chunk, file) = place(self.data_file);
        if self.columns.is_empty() {
            self.columns = columns.to_vec();
        }
        if self.before.is_empty() {
            self.before = signature(&self.columns);
        }
        if self.before != signature(columns) {
            return Err(DatasetError::Mismatch(
                "episodes with and without joint angles, or with different extrinsics, can't be \
                 one LeRobot dataset; convert them separately"
                    .to_owned(),
            ));
        }
        let writer = match &mut self.data {
            Some(writer) => writer,
            none => {
                let name = format!("data/chunk-{chunk:03}/file-{file:03}.parquet");
                let new = TableWriter::create(&self.root.join(name), columns, Vec::new())?;
                none.insert(new)
            }
        };
        writer.rows(columns)?;
        for column in columns {
            let numbers: Vec<f64> = match &column.values {
                TableValues::Float(v) => v.iter().map(|x| f64::from(*x)).collect(),
                TableValues::Double(v) => v.clone(),
                TableValues::Int(v) => v.iter().map(|x| *x as f64).collect(),
                TableValues::Bool(v) => v
                    .iter()
                    .flatten()
                    .map(|x| f64::from(u8::from(*x)))
                    .collect(),
                TableValues::Text(_) => continue,
            };
            for row in numbers.chunks_exact(column.width.unwrap_or(1)) {
                self.summary.add(&column.name, row);
            }
        }
        Ok((chunk, file))
    }

    /// Completes the dataset: closes files and writes what is in `meta/`.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when there is no episode; errors of writing.
    pub fn finish(mut self) -> Result<()> {
        self.complete()
    }

    fn complete(&mut self) -> Result<()> {
        if self.episodes.is_empty() {
            return Err(DatasetError::Mismatch(
                "there is no episode to write".to_owned(),
            ));
        }
        for camera in &mut self.cameras {
            if let Some(encoder) = camera.encoder.take() {
                encoder.finish()?;
            }
        }
        if let Some(data) = self.data.take() {
            data.finish()?;
        }
        self.write_episodes()?;
        self.write_tasks()?;
        self.write_json("meta/stats.json", &self.summary.json())?;
        self.write_json("meta/info.json", &self.info())
    }

    fn write_episodes(&self) -> Result<()> {
        let of = |at: &dyn Fn(&Listed) -> usize| {
            TableValues::Int(self.episodes.iter().map(|e| at(e) as i64).collect())
        };
        let numbers = (0..self.episodes.len() as i64).collect();
        let tasks = self.episodes.iter().map(|e| e.task.clone()).collect();
        let mut columns = vec![
            Column::plain("episode_index", TableValues::Int(numbers)),
            Column {
                name: "tasks".to_owned(),
                width: Some(1),
                values: TableValues::Text(tasks),
            },
            Column::plain("length", of(&|e| e.length)),
            Column::plain("data/chunk_index", of(&|e| e.data.0)),
            Column::plain("data/file_index", of(&|e| e.data.1)),
            Column::plain("dataset_from_index", of(&|e| e.from)),
            Column::plain("dataset_to_index", of(&|e| e.from + e.length)),
        ];
        for (at, camera) in self.cameras.iter().enumerate() {
            let named = |what: &str| format!("videos/{}/{what}", camera.key());
            let from = self.episodes.iter().map(|e| e.videos[at].1).collect();
            let to = self.episodes.iter().map(|e| e.videos[at].2).collect();
            columns.extend([
                Column::plain(&named("chunk_index"), of(&|e| e.videos[at].0 .0)),
                Column::plain(&named("file_index"), of(&|e| e.videos[at].0 .1)),
                Column::plain(&named("from_timestamp"), TableValues::Double(from)),
                Column::plain(&named("to_timestamp"), TableValues::Double(to)),
            ]);
        }
        columns.extend([
            Column::plain("meta/episodes/chunk_index", of(&|_| 0)),
            Column::plain("meta/episodes/file_index", of(&|_| 0)),
        ]);
        let path = self.root.join("meta/episodes/chunk-000/file-000.parquet");
        let mut table = TableWriter::create(&path, &columns, Vec::new())?;
        table.rows(&columns)?;
        table.finish()
    }

    /// Tasks are a pandas table whose index is the text.
    fn write_tasks(&self) -> Result<()> {
        let numbers = (0..self.tasks.len() as i64).collect();
        let columns = [
            Column::plain("task_index", TableValues::Int(numbers)),
            Column::plain("task", TableValues::Text(self.tasks.clone())),
        ];
        let text = |name: Value| json!({"name": name, "field_name": name, "pandas_type": "unicode", "numpy_type": "object", "metadata": null});
        let notes = json!({
            "index_columns": ["task"],
            "column_indexes": [{"name": null, "field_name": null, "pandas_type": "unicode", "numpy_type": "object", "metadata": {"encoding": "UTF-8"}}],
            "columns": [
                {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": null},
                text(json!("task")),
            ],
            "pandas_version": "2.2.0",
        });
        let notes = vec![("pandas".to_owned(), notes.to_string())];
        let path = self.root.join("meta/tasks.parquet");
        let mut table = TableWriter::create(&path, &columns, notes)?;
        table.rows(&columns)?;
        table.finish()
    }

    fn info(&self) -> Value {
        let mut features = serde_json::Map::new();
        for camera in &self.cameras {
            let (width, height) = camera.size;
            let even = width % 2 == 0 && height % 2 == 0;
            features.insert(
                camera.key(),
                json!({
                    "dtype": "video",
                    "shape": [height, width, 3],
                    "names": ["height", "width", "channels"],
                    "info": {
                        "video.fps": self.fps,
                        "video.height": height,
                        "video.width": width,
                        "video.channels": 3,
                        "video.codec": self.codec.name(),
                        "video.pix_fmt": if even { "yuv420p" } else { "yuv444p" },
                        "video.is_depth_map": false,
                        "has_audio": false,
                    },
                }),
            );
        }
        for column in &self.columns {
            let dtype = match column.values {
                TableValues::Float(_) => "float32",
                TableValues::Double(_) => "float64",
                TableValues::Int(_) => "int64",
                TableValues::Bool(_) => "bool",
                TableValues::Text(_) => "string",
            };
            features.insert(
                column.name.clone(),
                json!({
                    "dtype": dtype,
                    "shape": [column.width.unwrap_or(1)],
                    "names": axes(&column.name, column.width.unwrap_or(1)),
                }),
            );
        }
        json!({
            "codebase_version": "v3.0",
            "robot_type": self.robot,
            "total_episodes": self.episodes.len(),
            "total_frames": self.frames,
            "total_tasks": self.tasks.len(),
            "chunks_size": CHUNK,
            "data_files_size_in_mb": DATA_MB,
            "video_files_size_in_mb": VIDEO_MB,
            "fps": self.fps,
            "splits": splits::written(self.episodes.iter().map(|e| e.split)),
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH,
            "features": features,
        })
    }

    fn write_json(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.root.join(name);
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|e| DatasetError::corrupt(&path, format!("it can't be written: {e}")))?;
        text.push('\n');
        fs::write(&path, text).map_err(|e| DatasetError::io("write", &path, e))
    }
}
