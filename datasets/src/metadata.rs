//! An episode's `metadata_*.json`: DROID's fields, and ours under `foresight`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{DatasetError, Result};
use crate::json_text;
use crate::layout;
use crate::split::Split;

/// DROID's robot as LeRobot's `robot_type` has it: poses of it are the flange's.
pub const DROID_ROBOT: &str = "Franka";
/// What the `uuid` of every episode has that this program took down.
const OURS: &str = "+foresight+";
/// Version of the `foresight` section this program writes.
pub const SCHEMA: u32 = 1;

/// DROID's metadata, as far as it is used; fields of other versions are kept out of the way.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Metadata {
    /// Unique name, `LAB+user+time` in DROID.
    pub uuid: String,
    /// Laboratory, the dataset's top folder.
    pub lab: String,
    /// Who drove the arm.
    pub user: String,
    /// The driver's short id.
    pub user_id: String,
    /// Day of recording, `YYYY-MM-DD`.
    pub date: String,
    /// Time of recording, free text.
    pub timestamp: String,
    /// Path of the trajectory below the laboratory's folder.
    pub hdf5_path: String,
    /// Where the robot stands.
    pub building: String,
    /// Scene number; the simulator's is the scene seed.
    pub scene_id: i64,
    /// Whether the task was achieved; `None` where nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// The arm's serial number.
    pub robot_serial: String,
    /// What was attempted.
    pub current_task: String,
    /// Number of recorded states, `T`.
    pub trajectory_length: u64,
    /// Wrist camera's serial number, empty when there is none.
    pub wrist_cam_serial: String,
    /// First exterior camera's serial number.
    pub ext1_cam_serial: String,
    /// Second exterior camera's serial number.
    pub ext2_cam_serial: String,
    /// The left exterior video below the laboratory's folder; empty when frames are stored.
    pub left_mp4_path: String,
    /// The right exterior video, likewise.
    pub right_mp4_path: String,
    /// The wrist video, likewise.
    pub wrist_mp4_path: String,
    /// What our recorder adds; absent in episodes from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foresight: Option<Recording>,
}

/// What our recorder says about an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Version of this section, [`SCHEMA`].
    pub schema: u32,
    /// What the episode may be used for.
    pub split: Split,
    /// The scene's and the episode's seed.
    pub seed: u64,
    /// Name of the scenario it was recorded in.
    pub scenario: String,
    /// The demonstrator's behaviour, e.g. `pick_and_place`.
    pub behaviour: String,
    /// How the episode started, e.g. `far`, `near`, `in_hand`.
    pub start: String,
    /// Standard deviation of the demonstrator's waypoint noise, m.
    pub waypoint_noise_m: f64,
    /// Share of actions replaced by random ones, 0 to 1.
    pub random_action_share: f64,
    /// Nominal steps per second; true times are in the trajectory.
    pub step_rate_hz: f64,
    /// Version of the program that recorded it.
    pub program_version: String,
    /// Where it leaves another episode, when it began as a copy of that one's simulator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_of: Option<BranchOf>,
    /// What the task's sentence names, where the scene has several objects or discs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<NamedTask>,
}

/// What the sentence in [`Metadata::current_task`] is about, by names such as `red cup` and
/// `green disc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedTask {
    /// The object to move.
    pub object: String,
    /// Where it should go.
    pub target: String,
    /// All objects on the table, that one first.
    pub objects: Vec<String>,
    /// All discs on it, that one first.
    pub targets: Vec<String>,
    /// The phrasing the sentence was made by.
    pub phrasing: String,
    /// Whether phrasings of this kind are kept out of training.
    pub held_out: bool,
}

/// Which state of which episode another begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BranchOf {
    /// Seed of the episode it leaves.
    pub seed: u64,
    /// That episode's state it begins with, from 0.
    pub step: u32,
    /// Its number among the branches of that state, from 0.
    pub index: u32,
}

impl Metadata {
    /// Reads a metadata file. Of what isn't said, or not as it should be, the outcome is the
    /// folder's the episode lies in (`success` or `failure`), all else reads as empty: nobody
    /// needs it.
    ///
    /// # Errors
    /// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when it is not such a file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|e| DatasetError::io("read", path, e))?;
        let wrong = |e: String| DatasetError::corrupt(path, format!("not DROID metadata: {e}"));
        let json = json_text::parse(&bytes).map_err(|e| wrong(e.to_string()))?;
        let Value::Object(fields) = json else {
            return Err(wrong("it is no JSON object".to_owned()));
        };
        let text = |name: &str| json_text::text(fields.get(name));
        let number = |name: &str| json_text::number(fields.get(name)).unwrap_or(0.0);
        let foresight = match fields.get("foresight") {
            None | Some(Value::Null) => None,
            Some(ours) => {
                Some(Recording::deserialize(ours).map_err(|e| wrong(format!("foresight: {e}")))?)
            }
        };
        Ok(Metadata {
            uuid: text("uuid"),
            lab: text("lab"),
            user: text("user"),
            user_id: text("user_id"),
            date: text("date"),
            timestamp: text("timestamp"),
            hdf5_path: text("hdf5_path"),
            building: text("building"),
            scene_id: number("scene_id") as i64,
            success: json_text::truth(fields.get("success"))
                .or_else(|| layout::outcome_of(path.parent()?)),
            robot_serial: text("robot_serial"),
            current_task: text("current_task"),
            trajectory_length: number("trajectory_length") as u64,
            wrist_cam_serial: text("wrist_cam_serial"),
            ext1_cam_serial: text("ext1_cam_serial"),
            ext2_cam_serial: text("ext2_cam_serial"),
            left_mp4_path: text("left_mp4_path"),
            right_mp4_path: text("right_mp4_path"),
            wrist_mp4_path: text("wrist_mp4_path"),
            foresight,
        })
    }

    /// Whether poses are the fingertips', as this program takes them down; those of DROID's own
    /// episodes are the flange's.
    pub fn is_of_tcp(&self) -> bool {
        self.foresight.is_some() || self.uuid.contains(OURS)
    }

    /// The robot as LeRobot's `robot_type` has it.
    pub(crate) fn robot(&self) -> String {
        let robot = match (self.is_of_tcp(), self.robot_serial.as_str()) {
            (false, _) => DROID_ROBOT,
            (true, "") => "fr3",
            (true, serial) => serial,
        };
        robot.to_owned()
    }

    /// Writes a metadata file.
    ///
    /// # Errors
    /// [`DatasetError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| DatasetError::corrupt(path, format!("cannot be written as JSON: {e}")))?;
        text.push('\n');
        fs::write(path, text).map_err(|e| DatasetError::io("write", path, e))
    }
}
