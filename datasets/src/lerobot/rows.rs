//! An episode as the columns of `data/`.

use std::collections::BTreeMap;

use foresight_planner::Pose;
use serde_json::{json, Value};

use super::features::{CARTESIAN, EXTRINSICS, GRIPPER, SUCCESS, TIME};
use super::table::{Column, TableValues};
use crate::error::{DatasetError, Result};
use crate::split::Split;

/// An episode's numbers, one for each frame.
#[derive(Debug, Clone, Default)]
pub struct EpisodeRows {
    /// Measured poses.
    pub states: Vec<Pose>,
    /// When they were measured, s from the episode's beginning.
    pub time_s: Vec<f64>,
    /// Joint angles, rad; empty when unknown.
    pub joints_rad: Vec<[f64; 7]>,
    /// The poses commanded; empty when unknown, the next state then stands for them.
    pub commanded: Vec<Pose>,
    /// Where cameras were, by name: x y z m, extrinsic xyz Euler rad, base frame.
    pub extrinsics: BTreeMap<String, Vec<[f64; 6]>>,
    /// When each camera's pictures were captured, s from the episode's beginning, by its name.
    pub captured_s: BTreeMap<String, Vec<f64>>,
    /// What was attempted.
    pub task: String,
    /// Whether it was achieved; `None` where that is not known.
    pub success: Option<bool>,
    /// What it was recorded for, where that is known.
    pub split: Option<Split>,
}

/// What an episode's rows are numbered with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub fps: u32,
    pub episode: usize,
    pub first_row: usize,
    pub task: usize,
    /// Whether there is a column of whether the task was achieved.
    pub outcomes: bool,
}

impl EpisodeRows {
    /// The columns of `data/` at a nominal rate.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] when parts differ in length.
    pub(super) fn columns(&self, at: Numbers) -> Result<Vec<Column>> {
        let length = self.states.len();
        let fits = |n: usize| n == 0 || n == length;
        let cameras_fit = self.extrinsics.values().all(|e| e.len() == length)
            && self.captured_s.values().all(|times| times.len() == length);
        let others = [self.joints_rad.len(), self.commanded.len()];
        if length < 2
            || self.time_s.len() != length
            || !others.into_iter().all(fits)
            || !cameras_fit
        {
            return Err(DatasetError::Mismatch(format!(
                "an episode's columns differ in length ({length} states)"
            )));
        }
        let commanded: Vec<Pose> = match self.commanded.is_empty() {
            false => self.commanded.clone(),
            true => (1..=length)
                .map(|i| self.states[i.min(length - 1)])
                .collect(),
        };
        let cartesian =
            |poses: &[Pose]| floats(poses.iter().flat_map(|p| p.to_array()[..6].to_vec()));
        let gripper = |poses: &[Pose]| floats(poses.iter().map(|p| p.gripper));
        let joints = self.joints_rad.iter().flatten().copied();
        let mut columns = vec![
            Column::lists(CARTESIAN, 6, cartesian(&self.states)),
            Column::lists(GRIPPER, 1, gripper(&self.states)),
        ];
        if self.joints_rad.is_empty() {
            let all = self.states.iter().flat_map(|p| p.to_array());
            columns.push(Column::lists("observation.state", 7, floats(all)));
        } else {
            columns.push(Column::lists(
                "observation.state.joint_position",
                7,
                floats(joints),
            ));
            let all = self.joints_rad.iter().zip(&self.states);
            let all = all.flat_map(|(q, p)| q.iter().copied().chain([p.gripper]));
            columns.push(Column::lists("observation.state", 8, floats(all)));
        }
        columns.push(Column::lists(
            "action.cartesian_position",
            6,
            cartesian(&commanded),
        ));
        columns.push(Column::lists(
            "action.gripper_position",
            1,
            gripper(&commanded),
        ));
        let all = commanded.iter().flat_map(|p| p.to_array());
        columns.push(Column::lists("action", 7, floats(all)));
        for (camera, poses) in &self.extrinsics {
            let values = floats(poses.iter().flatten().copied());
            columns.push(Column::lists(&format!("{EXTRINSICS}{camera}"), 6, values));
        }
        for (camera, times) in &self.captured_s {
            let name = format!("observation.captured_s.{camera}");
            columns.push(Column::plain(&name, TableValues::Double(times.clone())));
        }
        let whole = |number: &dyn Fn(usize) -> usize| {
            TableValues::Int((0..length).map(|i| number(i) as i64).collect())
        };
        let nominal = (0..length).map(|i| i as f64 / f64::from(at.fps));
        if at.outcomes {
            let achieved = TableValues::Bool(vec![self.success; length]);
            columns.push(Column::plain(SUCCESS, achieved));
        }
        columns.extend([
            Column::plain(TIME, TableValues::Double(self.time_s.clone())),
            Column::plain("timestamp", floats(nominal)),
            Column::plain("frame_index", whole(&|i| i)),
            Column::plain("episode_index", whole(&|_| at.episode)),
            Column::plain("index", whole(&|i| at.first_row + i)),
            Column::plain("task_index", whole(&|_| at.task)),
        ]);
        Ok(columns)
    }
}

fn floats(values: impl Iterator<Item = f64>) -> TableValues {
    TableValues::Float(values.map(|v| v as f32).collect())
}

/// Names of a column's components.
pub(super) fn axes(name: &str, width: usize) -> Value {
    let pose = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"];
    let names: Vec<String> = match (name, width) {
        (GRIPPER | "action.gripper_position", _) => vec!["gripper".to_owned()],
        ("observation.state", 8) => (0..7)
            .map(|i| format!("joint_{i}"))
            .chain(["gripper".to_owned()])
            .collect(),
        ("observation.state.joint_position", _) => (0..7).map(|i| format!("joint_{i}")).collect(),
        (_, 6 | 7) => pose[..width].iter().map(|n| (*n).to_owned()).collect(),
        _ => return Value::Null,
    };
    json!({ "axes": names })
}
