//! Runs as episodes that can be learned from.
//!
//! A step of a run is one action, as in recordings of ours: its states count as 0.25 s apart,
//! however long the arm took to come to rest. Commanded is what the safety envelope let through.
//! A failed run is a failed episode, and one whose outcome nobody knows (a real arm's, or one that
//! was cut short) is of unknown outcome. No run has a split: who measures a model on a run's scene
//! afterwards must not have trained it on that.

use std::fs;
use std::path::{Path, PathBuf};

use foresight_datasets::extrinsics::looking_at;
use foresight_datasets::view::Role;
use foresight_datasets::{
    layout, CommandedStep, DatasetError, LooseCamera, LooseEpisode, LooseEpisodes, Metadata,
    Trajectory,
};
use foresight_planner::{Action, Pose};
use foresight_scenarios::scenario::Scenario;

use crate::record::RunRecord;
use crate::trace::{self, StepTrace};

/// Steps a second that a run's steps stand for.
const STEP_RATE_HZ: f64 = 4.0;
/// DROID's top folder, the laboratory.
const LAB: &str = "RUNS";
/// Deeper than an evaluation of several scenarios; ends a walk into a loop of links.
const MAX_DEPTH: usize = 4;

/// The run folders that `path` is or holds, in path order; none when it holds none.
pub fn run_folders(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(path, 0, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if folder.join("plan.jsonl").is_file() {
        return found.push(folder.to_path_buf());
    }
    if depth == MAX_DEPTH {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), depth + 1, found);
        }
    }
}

/// These run folders as a dataset; a run that can't be read, or moved nothing, is unusable.
pub fn of_runs(folders: &[PathBuf]) -> LooseEpisodes {
    let mut episodes = LooseEpisodes::default();
    for folder in folders {
        match episode(folder) {
            Ok(episode) => episodes.push(episode),
            Err(reason) => episodes.unusable(folder.display().to_string(), reason),
        }
    }
    episodes
}

fn episode(folder: &Path) -> Result<LooseEpisode, String> {
    let steps = trace::read(&folder.join("plan.jsonl"))?;
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let record = RunRecord::read(folder)?;
    let scenario: Option<Scenario> = toml::from_str(&text("scenario.resolved.toml")).ok();
    let frame = |number: usize| folder.join(format!("frames/{number:04}.png"));

    let lines = steps.len();
    if frame(lines + 1).is_file() {
        return Err(format!(
            "its plan.jsonl ends after {lines} steps, and frames/ has pictures of more: it was cut short"
        ));
    }
    let (states, joints_rad) = measured(&steps, record.as_ref(), &frame);
    let (width, height) = image::image_dimensions(frame(0))
        .map_err(|e| format!("its first frame can't be read ({e})"))?;
    let commands: Vec<CommandedStep> = steps.iter().map(commanded).collect();
    let targets = commands.iter().map(|c| c.target);
    let commanded: Vec<Pose> = targets.chain(states.last().copied()).collect();
    let length = states.len();
    let commands = commands[..length.saturating_sub(1)].to_vec();
    let trajectory = Trajectory {
        time_s: (0..length).map(|i| i as f64 / STEP_RATE_HZ).collect(),
        states,
        joints_rad,
        commands,
        simulator: None,
    };

    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let result = record.as_ref().map(|record| &record.result);
    let success = result.and_then(|result| result.success);
    let date = record.as_ref().and_then(|r| r.time.split(' ').next());
    let date = date.filter(|date| !date.is_empty()).unwrap_or("undated");
    let (task, seed) = match (&scenario, result) {
        (Some(s), _) if !s.description.is_empty() => (s.description.clone(), s.seed),
        (Some(s), _) => (s.name.clone(), s.seed),
        (None, Some(result)) => (result.scenario.clone(), result.seed),
        (None, None) => (String::new(), 0),
    };
    let metadata = Metadata {
        uuid: format!("{LAB}+foresight+{name}"),
        lab: LAB.to_owned(),
        user: "Foresight".to_owned(),
        user_id: "foresight".to_owned(),
        date: date.to_owned(),
        timestamp: record.as_ref().map_or(String::new(), |r| r.time.clone()),
        scene_id: seed as i64,
        success,
        current_task: task,
        ..Metadata::default()
    };
    let extrinsics = camera_pose(scenario.as_ref(), &text("scene.json"));
    let pictures = folder.to_path_buf();
    let camera = LooseCamera {
        name: "camera".to_owned(),
        role: Some(Role::Left),
        size: (width, height),
        extrinsics: extrinsics.map(|pose| vec![pose; length]),
        captured_s: Vec::new(),
        pictures: Box::new(move |number| {
            let file = pictures.join(format!("frames/{number:04}.png"));
            let image = image::open(&file).map_err(|e| DatasetError::Corrupt {
                path: file,
                reason: format!("it is no picture ({e})"),
            })?;
            Ok(image.to_rgb8())
        }),
    };
    let outcome = layout::outcome_folder(success);
    Ok(LooseEpisode {
        path: format!("{LAB}/{outcome}/{date}/{name}"),
        trajectory,
        commanded: commanded[..length.min(commanded.len())].to_vec(),
        metadata,
        step_rate_hz: Some(STEP_RATE_HZ),
        cameras: vec![camera],
    })
}

/// What was measured before each step and, where there is a picture of it, after the last.
fn measured(
    steps: &[StepTrace],
    record: Option<&RunRecord>,
    frame: &impl Fn(usize) -> PathBuf,
) -> (Vec<Pose>, Vec<[f64; 7]>) {
    let mut states: Vec<Pose> = steps.iter().map(|s| Pose::from_array(s.pose)).collect();
    let mut joints: Vec<[f64; 7]> = steps.iter().filter_map(|s| s.joints_rad).collect();
    if frame(steps.len()).is_file() {
        let end = record.and_then(|record| record.end.as_ref());
        let last = match (end, steps.last()) {
            (Some(end), _) => Some(end.last_pose),
            (None, last) => last.map(|step| step.reached_pose),
        };
        states.extend(last.map(Pose::from_array));
        joints.extend(end.and_then(|end| end.last_joints_rad));
    }
    if joints.len() != states.len() {
        joints.clear();
    }
    (states, joints)
}

fn commanded(step: &StepTrace) -> CommandedStep {
    CommandedStep {
        requested: Action::from_array(step.action),
        target: Pose::from_array(step.commanded_pose),
    }
}

/// Where the camera was: as the scenario says, or the simulated one's place.
fn camera_pose(scenario: Option<&Scenario>, scene: &str) -> Option<[f64; 6]> {
    let said = scenario.and_then(|scenario| scenario.camera.extrinsics);
    let scene = || serde_json::from_str::<foresight_sim::Scene>(scene).ok();
    said.or_else(|| scene().and_then(|s| looking_at(s.camera.eye_m, s.camera.look_at_m)))
}
