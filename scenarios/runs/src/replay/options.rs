//! How recordings are opened, and what opening any of them needs.

use std::path::Path;

use foresight_kinematics::hand::{FLANGE_TO_TCP_M, HAND_YAW_RAD};
use foresight_planner::{euler, pose_units, Pose};
use foresight_scenarios::{LoadedScenario, RunError};
use image::RgbImage;
use nalgebra::Vector3;

pub(super) const FLANGE_NOTE: &str =
    "poses are taken as the flange's, as DROID records them, and the TCP \
     10.34 cm before it is led along (--frame tcp takes them as they are)";

/// Which frame recorded poses are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoseFrame {
    /// The tool centre point between the fingertips.
    Tcp,
    /// The flange, as DROID records it; 10.34 cm behind the Franka Hand's fingertips.
    Flange,
}

/// How a recording is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Scene and limits for recordings that have none of their own.
    pub scenario: Option<LoadedScenario>,
    /// Seed of that scene; the scenario's when absent.
    pub seed: Option<u64>,
    /// What poses are of; by default the flange in DROID's own episodes, else the TCP.
    pub frame: Option<PoseFrame>,
    /// Poses kept of recordings with times, a second; all when 0.
    pub rate_hz: f64,
    /// Which camera's frames; the first when absent.
    pub camera: Option<String>,
    /// Which episode of a dataset of many, by its number there; the first that can be used when absent.
    pub episode: Option<usize>,
}

pub(super) fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.file_stem()
        .map_or_else(|| "tape".into(), |n| n.to_string_lossy().into_owned())
}

/// Refuses poses that are in other units than m and rad.
///
/// # Errors
/// [`RunError::Input`] with the unit they are probably in.
pub(super) fn check_units(path: &Path, poses: &[Pose]) -> Result<(), RunError> {
    // Grippers go as far as they go.
    let held = |pose: &Pose| Pose {
        gripper: 0.0,
        ..*pose
    };
    let mut doubts = poses.iter().map(|p| pose_units::doubt(&held(p).to_array()));
    match doubts.find_map(|doubt| doubt) {
        Some(doubt) => Err(RunError::Input(format!("{}: {doubt}", path.display()))),
        None => Ok(()),
    }
}

/// One frame a pose, or none with a note.
pub(super) fn fitting(
    frames: Vec<RgbImage>,
    poses: usize,
    notes: &mut Vec<String>,
) -> Vec<RgbImage> {
    if frames.len() == poses || frames.is_empty() {
        return frames;
    }
    notes.push(format!(
        "{} frames don't fit {poses} poses; the pictures are left out",
        frames.len()
    ));
    Vec::new()
}

/// The Franka Hand's TCP of a flange pose.
pub(super) fn tcp_of_flange(flange: &Pose) -> Pose {
    let rotation = flange.rotation();
    let along = rotation * Vector3::z() * FLANGE_TO_TCP_M;
    let turned = rotation * euler::to_matrix([0.0, 0.0, HAND_YAW_RAD]);
    Pose {
        position_m: std::array::from_fn(|i| flange.position_m[i] + along[i]),
        euler_rad: euler::from_matrix(&turned),
        gripper: flange.gripper,
    }
}
