//! What is replayed.

use foresight_planner::{Action, Pose};
use image::RgbImage;
use serde::Serialize;

use super::scene::ReplayScene;

/// Where a recording comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingKind {
    /// A run folder of `foresight run`.
    Run,
    /// An episode of `foresight record`.
    Recording,
    /// An episode in DROID's raw layout from elsewhere.
    Droid,
    /// An episode of a LeRobot dataset.
    Lerobot,
    /// A CSV file of poses.
    Csv,
}

/// Something recorded.
#[derive(Debug, Clone)]
pub struct Recording {
    /// A name for people and folders.
    pub name: String,
    /// Where it comes from.
    pub kind: RecordingKind,
    /// Poses of the tool centre point, base frame.
    pub poses: Vec<Pose>,
    /// When each pose was measured, s; as many as poses, or none.
    pub time_s: Vec<f64>,
    /// What the arm was told between the poses, when that can be told it again.
    pub actions: Vec<Action>,
    /// What the camera saw at each pose; as many as poses, or none.
    pub frames: Vec<RgbImage>,
    /// The scene and limits it was made in.
    pub replay_scene: Option<ReplayScene>,
    /// What the user should know about it.
    pub notes: Vec<String>,
}

impl Recording {
    /// Whether the simulator can be told exactly what it was told then.
    pub fn is_exact(&self) -> bool {
        self.replay_scene.is_some() && self.actions.len() + 1 == self.poses.len()
    }

    /// When pose `step` was measured, s from the first one.
    pub fn seconds(&self, step: usize) -> Option<f64> {
        Some(self.time_s.get(step)? - self.time_s.first()?)
    }

    /// Keeps about `rate_hz` poses a second of a recording with times; actions no longer fit then.
    pub fn thin(&mut self, rate_hz: f64) {
        let Some(first) = self.time_s.first().copied() else {
            return;
        };
        if rate_hz <= 0.0 {
            return;
        }
        let mut keep = Vec::new();
        for (i, time) in self.time_s.iter().enumerate() {
            // Half a millisecond of slack: recorded times are rounded.
            let due = first + keep.len() as f64 / rate_hz - 5e-4;
            if *time >= due || i + 1 == self.time_s.len() {
                keep.push(i);
            }
        }
        if keep.len() == self.poses.len() {
            return;
        }
        self.poses = keep.iter().map(|i| self.poses[*i]).collect();
        self.time_s = keep.iter().map(|i| self.time_s[*i]).collect();
        if !self.frames.is_empty() {
            self.frames = keep.iter().map(|i| self.frames[*i].clone()).collect();
        }
        self.actions.clear();
    }
}

#[cfg(test)]
#[path = "../../tests/unit/replay_recording.rs"]
mod tests;
