//! `meta/info.json`: what a dataset's columns and cameras are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::splits;
use crate::entry::{CameraEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::json_text;

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
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// The robot.
    pub robot_type: Option<String>,
    /// Number of episodes, where that is said.
    pub total_episodes: Option<usize>,
    /// Frames a second.
    pub fps: f64,
    /// Named ranges of episodes.
    pub splits: BTreeMap<String, String>,
    /// Where data files lie.
    pub data_path: String,
    /// Where videos lie.
    pub video_path: String,
    /// Columns and cameras.
    pub features: BTreeMap<String, Feature>,
}

/// A column or camera. What isn't said, or not as it should be, is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// `float32`, `int64`, `bool`, `video` …
    pub dtype: String,
    /// Shape of a row's value; `[height, width, channels]` for cameras.
    pub shape: Vec<usize>,
    /// Names of the components.
    pub names: Value,
}

impl Feature {
    fn of(value: &Value) -> Self {
        let side = |side: &Value| Some(json_text::number(Some(side))? as usize);
        let shape = match &value["shape"] {
            Value::Array(sides) => sides.iter().filter_map(side).collect(),
            one => side(one).into_iter().collect(),
        };
        Feature {
            dtype: json_text::text(value.get("dtype")),
            shape,
            names: value["names"].clone(),
        }
    }

    /// Numbers of a row; a shape of nothing, [], is one.
    fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Names of the components, in their order: a list, also in a list or under some heading
    /// (`axes`, `motors`), or a table of names and their numbers.
    fn components(&self) -> Vec<String> {
        let all = component_names(&self.names);
        let headed = self.names.as_object().into_iter().flatten();
        let mut headed = headed.map(|(_, names)| component_names(names));
        match all.len() == self.width() {
            true => all,
            false => headed
                .find(|names| names.len() == self.width())
                .unwrap_or(all),
        }
    }

    /// Height and width of a camera's pictures, px.
    fn size(&self) -> [u32; 2] {
        let named = |name: &str| {
            let at = self.components();
            let at = at.iter().position(|n| n == name);
            at.and_then(|at| self.shape.get(at)).copied()
        };
        let [height, width] = match (named("height"), named("width"), &self.shape[..]) {
            (Some(height), Some(width), _) => [height, width],
            // PyTorch's order, channels first.
            (_, _, [1 | 3, height, width]) | (_, _, [height, width, ..]) => [*height, *width],
            _ => [0, 0],
        };
        [height, width].map(|side| u32::try_from(side).unwrap_or(0))
    }
}

/// Where files lie unless `info.json` says otherwise.
const DATA_PATH: &str = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet";
const VIDEO_PATH: &str = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";

/// Where a dataset's poses are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoseColumns {
    /// As in DROID's LeRobot edition: [`CARTESIAN`] and [`GRIPPER`].
    Droid,
    /// Components of one column, by position: x y z, three Euler angles, gripper.
    Components {
        /// The column.
        column: String,
        /// How many it has.
        width: usize,
        /// Which of its components are the pose's.
        at: [usize; 7],
    },
}

/// What a pose's components are called, each by its own words.
const POSE: [&[&str]; 7] = [
    &["x"],
    &["y"],
    &["z"],
    &["roll", "rx"],
    &["pitch", "ry"],
    &["yaw", "rz"],
    &["gripper", "gripper_position", "closedness"],
];

impl Info {
    /// Reads a dataset's `info.json`: the version and the rate must be there, files lie where
    /// LeRobot puts them unless it says otherwise, and the rest nobody needs.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Corrupt`] when it is none, of another version, or
    /// has a rate that can't be.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(INFO);
        let bytes = fs::read(&path).map_err(|e| DatasetError::io("read", &path, e))?;
        let wrong = |reason: String| DatasetError::corrupt(&path, reason);
        let info =
            json_text::parse(&bytes).map_err(|e| wrong(format!("not LeRobot's info.json: {e}")))?;
        let version = json_text::text(info.get("codebase_version"));
        if !version.trim_start_matches('v').starts_with('3') {
            let has = match version.as_str() {
                "" => "it says no codebase_version",
                version => &format!("its format is {version}"),
            };
            return Err(wrong(format!(
                "{has}, and v3.0 is read here; convert it with lerobot's \
                 convert_dataset_v21_to_v30"
            )));
        }
        let fps = json_text::number(info.get("fps")).unwrap_or(f64::NAN);
        if !(fps.is_finite() && fps > 0.0) {
            return Err(wrong(format!(
                "fps = {} must be a number above 0",
                info["fps"]
            )));
        }
        let text = |name: &str, otherwise: &str| match json_text::text(info.get(name)) {
            empty if empty.is_empty() => otherwise.to_owned(),
            text => text,
        };
        let objects = |name: &str| info[name].as_object().into_iter().flatten();
        let mut splits = BTreeMap::new();
        for (name, range) in objects("splits").filter(|(_, range)| !range.is_null()) {
            match range.as_str().filter(|r| splits::parsed(r).is_some()) {
                Some(range) => drop(splits.insert(name.clone(), range.to_owned())),
                None => tracing::warn!(
                    "{}: splits.{name} = {range} is no range of episodes, so it holds none out; write \
                     one as \"80:100\" or \"80:\"",
                    root.display()
                ),
            }
        }
        let robot = text("robot_type", "");
        Ok(Info {
            robot_type: (!robot.is_empty()).then_some(robot),
            total_episodes: json_text::number(info.get("total_episodes")).map(|n| n as usize),
            fps,
            splits,
            data_path: text("data_path", DATA_PATH),
            video_path: text("video_path", VIDEO_PATH),
            features: objects("features")
                .map(|(name, feature)| (name.clone(), Feature::of(feature)))
                .collect(),
        })
    }

    /// Where the poses are.
    ///
    /// # Errors
    /// Saying which columns are looked for, and which there are; which of them may be meant where
    /// several may.
    pub fn pose_columns(&self) -> Result<PoseColumns, String> {
        let holds = |name: &str, wanted: usize| {
            let feature = self.features.get(name);
            feature.is_some_and(|f| f.width() == wanted)
        };
        if holds(CARTESIAN, 6) && holds(GRIPPER, 1) {
            return Ok(PoseColumns::Droid);
        }
        let column = "observation.state";
        let feature = self.features.get(column);
        let names = feature.map_or(Vec::new(), Feature::components);
        // Where a name says each of the seven, and of which set: `left` of `left.x`.
        let found = POSE.map(|words| -> Vec<(usize, String)> {
            let all = names.iter().enumerate();
            all.filter_map(|(at, name)| {
                let name = name.to_lowercase();
                let parts: Vec<&str> = name.split(['.', '/']).collect();
                let others = parts.iter().filter(|part| !words.contains(part));
                let others: Vec<&str> = others.copied().collect();
                (others.len() < parts.len()).then(|| (at, others.join(".")))
            })
            .collect()
        });
        let only = |which: usize, of: Option<&str>| {
            let all = found[which].iter();
            let mut at = all.filter(|(_, set)| of.is_none_or(|of| of == set));
            at.next().filter(|_| at.next().is_none()).map(|(at, _)| *at)
        };
        let pose = |of: Option<&str>, gripper: Option<&str>| -> Option<[usize; 7]> {
            let at = (0..7).filter_map(|k| only(k, if k == 6 { gripper } else { of }));
            at.collect::<Vec<usize>>().try_into().ok()
        };
        let sets: BTreeSet<&str> = found[0].iter().map(|(_, set)| set.as_str()).collect();
        let whole = sets.iter().filter_map(|&set| pose(Some(set), Some(set)));
        let shared = sets.iter().filter_map(|&set| pose(Some(set), None));
        let (whole, shared): (Vec<_>, Vec<_>) = (whole.collect(), shared.collect());
        let at = pose(None, None).or(match (&whole[..], &shared[..]) {
            ([at], _) | ([], [at]) => Some(*at),
            _ => None,
        });
        if let Some(at) = at {
            return Ok(PoseColumns::Components {
                column: column.to_owned(),
                width: feature.map_or(0, Feature::width).max(names.len()),
                at,
            });
        }
        let missing = found.iter().zip(POSE).filter(|(at, _)| at.is_empty());
        let missing: Vec<&str> = missing.map(|(_, words)| words[0]).collect();
        if missing.is_empty() {
            let several = found.iter().filter(|at| at.len() > 1).map(|at| {
                let all: Vec<&str> = at.iter().map(|(at, _)| names[*at].as_str()).collect();
                all.join(" or ")
            });
            return Err(format!(
                "the pose may be several components of {column}: {}; rename those it is not, e.g. \
                 {} to not_{}",
                several.collect::<Vec<_>>().join(", "),
                names[found[0][0].0],
                names[found[0][0].0].replace(['.', '/'], "_")
            ));
        }
        let columns: Vec<&str> = self.features.keys().map(String::as_str).collect();
        Err(format!(
            "it has no poses: {CARTESIAN} [6] and {GRIPPER} [1], or observation.state with \
             components named x, y, z, roll, pitch, yaw, gripper (positions in m in the robot's \
             base frame, extrinsic xyz Euler angles in rad, closedness 0 open to 1 closed); {}its \
             columns are {}",
            match names.is_empty() {
                true => String::new(),
                false => format!(
                    "its observation.state has {} and lacks {}; ",
                    names.join(", "),
                    missing.join(", ")
                ),
            },
            columns.join(", ")
        ))
    }

    /// Cameras, as (column, entry); frame counts are filled in by the reader.
    pub fn cameras(&self) -> Vec<(String, CameraEntry)> {
        let pictures = self.features.iter().filter_map(|(key, feature)| {
            let storage = match feature.dtype.as_str() {
                "video" => PictureStorage::Video,
                "image" => PictureStorage::Parquet,
                _ => return None,
            };
            let [height, width] = feature.size();
            let camera = CameraEntry {
                name: key.strip_prefix(IMAGES).unwrap_or(key).to_owned(),
                storage,
                width,
                height,
                frames: 0,
                fps: self.fps,
                plain: true,
                stereo: false,
            };
            Some((key.clone(), camera))
        });
        pictures.collect()
    }
}

/// All names in there, a table's by their numbers.
fn component_names(names: &Value) -> Vec<String> {
    match names {
        Value::String(name) => vec![name.clone()],
        Value::Array(list) => list.iter().flat_map(component_names).collect(),
        Value::Object(table) => {
            let place = |value: &Value| json_text::number(Some(value));
            let numbered: Option<Vec<(f64, &String)>> = table
                .iter()
                .map(|(name, at)| Some((place(at)?, name)))
                .collect();
            match numbered {
                Some(mut numbered) => {
                    numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
                    numbered.into_iter().map(|(_, name)| name.clone()).collect()
                }
                None => table.values().flat_map(component_names).collect(),
            }
        }
        _ => Vec::new(),
    }
}

/// Which of a dataset's cameras is which, by the names LeRobot datasets use; one that is called as
/// a role is has it.
pub fn roles(cameras: &[(String, CameraEntry)]) -> BTreeMap<String, String> {
    let names = || cameras.iter().map(|(_, camera)| &camera.name);
    let called = |role: &str| Some((role.to_owned(), names().find(|n| *n == role)?.clone()));
    let mut roles: BTreeMap<String, String> = ["left", "right", "wrist"]
        .into_iter()
        .filter_map(called)
        .collect();
    for name in names() {
        let lower = name.to_lowercase();
        let fitting: &[&str] = match lower.contains("wrist") || lower.contains("hand") {
            true => &["wrist"],
            false => &["left", "right"],
        };
        let free = fitting.iter().find(|role| !roles.contains_key(**role));
        if let (Some(role), false) = (free, roles.values().any(|taken| taken == name)) {
            roles.insert((*role).to_owned(), name.clone());
        }
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
#[path = "../../tests/unit/features.rs"]
mod tests;
