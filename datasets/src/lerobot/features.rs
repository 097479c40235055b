//! `meta/info.json`: what a dataset's columns and cameras are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::CameraEntry;
use crate::error::DatasetError;

/// Where `info.json` lies below a dataset's root.
pub const INFO: &str = "meta/info.json";
/// Six columns of pose, as DROID's LeRobot edition names them.
pub const CARTESIAN: &str = "observation.state.cartesian_position";
/// Closedness of the gripper, likewise.
pub const GRIPPER: &str = "observation.state.gripper_position";
/// Whether an episode's task was achieved, in each of its rows.
pub const SUCCESS: &str = "is_episode_successful";
/// True times where they are recorded, s: LeRobot's own are frame numbers by the nominal rate.
pub const TIME: &str = "observation.time_s";
/// What a camera's column starts with.
pub const IMAGES: &str = "observation.images.";
/// What a camera's extrinsics column starts with.
pub const EXTRINSICS: &str = "camera_extrinsics.";

/// A dataset's `info.json`, as far as it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// Format version, `v3.0`.
    pub codebase_version: String,
    /// The robot.
    #[serde(default)]
    pub robot_type: Option<String>,
    /// Number of episodes.
    #[serde(default)]
    pub total_episodes: usize,
    /// Number of frames of all episodes.
    #[serde(default)]
    pub total_frames: usize,
    /// Number of different tasks.
    #[serde(default)]
    pub total_tasks: usize,
    /// Files a folder.
    #[serde(default = "thousand")]
    pub chunks_size: usize,
    /// Largest data file, MB.
    #[serde(default = "hundred")]
    pub data_files_size_in_mb: usize,
    /// Largest video file, MB.
    #[serde(default = "two_hundred")]
    pub video_files_size_in_mb: usize,
    /// Frames a second.
    pub fps: f64,
    /// Named ranges of episodes.
    #[serde(default)]
    pub splits: BTreeMap<String, String>,
    /// Where data files lie.
    pub data_path: String,
    /// Where videos lie.
    #[serde(default)]
    pub video_path: Option<String>,
    /// Columns and cameras.
    pub features: BTreeMap<String, Feature>,
}

fn thousand() -> usize {
    1000
}

fn hundred() -> usize {
    100
}

fn two_hundred() -> usize {
    200
}

/// A column or camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// `float32`, `int64`, `bool`, `video` …
    pub dtype: String,
    /// Shape of a row's value; `[height, width, channels]` for cameras.
    pub shape: Vec<usize>,
    /// Names of the components.
    #[serde(default)]
    pub names: Value,
    /// More about a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
}

/// Where a dataset's poses are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoseColumns {
    /// As in DROID's LeRobot edition: [`CARTESIAN`] and [`GRIPPER`].
    Droid,
    /// Components of one column, by position: x y z, three Euler angles, gripper.
    Components {
        /// The column.
        column: String,
        /// Its width.
        width: usize,
        /// Which of its components are the pose's.
        at: [usize; 7],
    },
}

impl Info {
    /// Reads a dataset's `info.json`.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Corrupt`] when it is none, of another version, or
    /// has a rate that can't be.
    pub fn read(root: &Path) -> Result<Self, DatasetError> {
        let path = root.join(INFO);
        let bytes = fs::read(&path).map_err(|e| DatasetError::io("read", &path, e))?;
        let info: Info = serde_json::from_slice(&bytes)
            .map_err(|e| DatasetError::corrupt(&path, format!("not LeRobot's info.json: {e}")))?;
        if !info.codebase_version.starts_with("v3") {
            return Err(DatasetError::corrupt(
                &path,
                format!(
                    "its format is {}, and v3.0 is read here; convert it with lerobot's \
                     convert_dataset_v21_to_v30",
                    info.codebase_version
                ),
            ));
        }
        if !(info.fps.is_finite() && info.fps > 0.0) {
            return Err(DatasetError::corrupt(
                &path,
                format!("fps = {} must be a number above 0", info.fps),
            ));
        }
        Ok(info)
    }

    /// Where the poses are.
    ///
    /// # Errors
    /// Saying which columns are looked for, and which there are.
    pub fn pose_columns(&self) -> Result<PoseColumns, String> {
        let width = |name: &str| self.features.get(name).map(|f| f.shape.clone());
        if (width(CARTESIAN), width(GRIPPER)) == (Some(vec![6]), Some(vec![1])) {
            return Ok(PoseColumns::Droid);
        }
        let column = "observation.state";
        if let Some(feature) = self.features.get(column) {
            let names = component_names(&feature.names);
            let at = |choices: &[&str]| {
                names
                    .iter()
                    .position(|n| choices.contains(&n.to_lowercase().as_str()))
            };
            let found = [
                at(&["x"]),
                at(&["y"]),
                at(&["z"]),
                at(&["roll", "rx"]),
                at(&["pitch", "ry"]),
                at(&["yaw", "rz"]),
                at(&["gripper", "gripper_position", "closedness"]),
            ];
            if let [Some(x), Some(y), Some(z), Some(a), Some(b), Some(c), Some(g)] = found {
                return Ok(PoseColumns::Components {
                    column: column.to_owned(),
                    width: names.len(),
                    at: [x, y, z, a, b, c, g],
                });
            }
        }
        let columns: Vec<&str> = self.features.keys().map(String::as_str).collect();
        Err(format!(
            "it has no poses: {CARTESIAN} [6] and {GRIPPER} [1], or observation.state with \
             components named x, y, z, roll, pitch, yaw, gripper (positions in m in the robot's \
             base frame, extrinsic xyz Euler angles in rad, closedness 0 open to 1 closed); its \
             columns are {}",
            columns.join(", ")
        ))
    }

    /// Cameras stored as videos, as (column, entry); frame counts are filled in by the reader.
    pub fn cameras(&self) -> Vec<(String, CameraEntry)> {
        let videos = self.features.iter().filter(|(_, f)| f.dtype == "video");
        videos
            .filter_map(|(key, feature)| {
                let [height, width, _] = feature.shape[..] else {
                    return None;
                };
                let name = key.strip_prefix(IMAGES).unwrap_or(key);
                Some((
                    key.clone(),
                    CameraEntry {
                        name: name.to_owned(),
                        storage: crate::entry::PictureStorage::Video,
                        width: width as u32,
                        height: height as u32,
                        frames: 0,
                        fps: self.fps,
                        plain: true,
                        stereo: false,
                    },
                ))
            })
            .collect()
    }
}

/// Names of a feature's components: a list, or a list under some heading (`axes`, `motors`).
fn component_names(names: &Value) -> Vec<String> {
    let list = match names {
        Value::Object(headed) => headed.values().find(|v| v.is_array()).unwrap_or(names),
        other => other,
    };
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|n| n.as_str().map(str::to_owned))
        .collect()
}

/// Which camera is which, by the names LeRobot datasets use.
pub fn roles(cameras: &[CameraEntry]) -> BTreeMap<String, String> {
    let mut roles = BTreeMap::new();
    let mut outside = Vec::new();
    for camera in cameras {
        if camera.name.contains("wrist") || camera.name.contains("hand") {
            roles
                .entry("wrist".to_owned())
                .or_insert_with(|| camera.name.clone());
        } else {
            outside.push(&camera.name);
        }
    }
    for (role, name) in ["left", "right"].into_iter().zip(outside) {
        roles.insert(role.to_owned(), name.clone());
    }
    roles
}

/// Fills a path pattern of `info.json`, e.g. `data/chunk-{chunk_index:03d}/file-{file_index:03d}`.
///
/// # Errors
/// When a filled-in pattern would leave the dataset's folder, or has unknown fields.
pub fn fill(pattern: &str, key: &str, chunk: usize, file: usize) -> Result<String, String> {
    let mut path = pattern.replace("{video_key}", key);
    for (name, value) in [("chunk_index", chunk), ("file_index", file)] {
        path = path.replace(&format!("{{{name}:03d}}"), &format!("{value:03}"));
        path = path.replace(&format!("{{{name}}}"), &value.to_string());
    }
    if path.contains('{') {
        return Err(format!("the path pattern {pattern} has unknown fields"));
    }
    let outside = path.split(['/', '\\']).any(|part| part == "..");
    if outside || Path::new(&path).is_absolute() {
        return Err(format!("the path {path} leaves the dataset's folder"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_patterns_are_filled_and_stay_inside() {
        let pattern = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
        assert_eq!(
            fill(pattern, "observation.images.a", 0, 12),
            Ok("videos/observation.images.a/chunk-000/file-012.mp4".to_owned())
        );
        assert!(fill("../{file_index}", "", 0, 0).is_err());
        assert!(fill("/etc/{file_index}", "", 0, 0).is_err());
        assert!(fill("{episode}", "", 0, 0).is_err());
    }
}
