//! Opens whatever can be replayed.

use std::path::Path;

use foresight_datasets::doubts::Doubts;
use foresight_datasets::lerobot::store::is_lerobot;
use foresight_datasets::{layout, video, FrameStack, Metadata, SimulatorTrack, Trajectory};
use foresight_planner::Pose;
use foresight_robot::gripper::Closing;
use foresight_sim::{GoalState, ObjectPose};
use image::RgbImage;

use super::lerobot;
use super::options::{
    check_units, fitting, name_of, tcp_of_flange, OpenOptions, PoseFrame, FLANGE_NOTE,
};
use super::recording::{Recording, RecordingKind};
use super::scene::{ReplayScene, ReplayStart};
use crate::read::RunData;
use crate::trajectory_csv::PoseTable;
use foresight_scenarios::EpisodeSpec;
use foresight_scenarios::LoadedScenario;
use foresight_scenarios::RunError;

/// States a second in DROID's recordings.
const DROID_HZ: f64 = 15.0;

/// Opens a run folder, an episode folder, a LeRobot dataset or a CSV file.
///
/// # Errors
/// [`RunError::Input`] saying what it is not, or what is wrong with it.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Recording, RunError> {
    let mut recording = if path.join("plan.jsonl").exists() {
        run(path)?
    } else if path.join(layout::TRAJECTORY).exists() {
        episode(path, options)?
    } else if is_lerobot(path) {
        lerobot::open(path, options)?
    } else if path.is_file() {
        table(path, options)?
    } else {
        return Err(RunError::Input(format!(
            "{} can't be replayed: give a run folder (with plan.jsonl), an episode folder (with \
             trajectory.h5), a LeRobot dataset (with meta/info.json) or a CSV file of poses",
            path.display()
        )));
    };
    let needless = match recording.kind {
        RecordingKind::Run if options.frame == Some(PoseFrame::Flange) => {
            Some("--frame: a run's poses are the TCP's")
        }
        RecordingKind::Run | RecordingKind::Csv if options.camera.is_some() => {
            Some("--camera: its pictures are of no camera that has a name")
        }
        kind if kind != RecordingKind::Lerobot && options.episode.is_some() => {
            Some("--episode: it is one episode")
        }
        _ => None,
    };
    if let Some(needless) = needless {
        let path = path.display();
        return Err(RunError::Input(format!("{path}: leave out {needless}")));
    }
    if let Some(loaded) = &options.scenario {
        // Exact recordings bring their own scene; a scenario replaces it and the exactness.
        let instance = EpisodeSpec::new(loaded, options.seed.unwrap_or(loaded.scenario.seed));
        recording.replay_scene = ReplayScene::of(&instance);
        recording.actions.clear();
    }
    if !recording.is_exact() {
        recording.thin(options.rate_hz);
        recording.actions.clear();
    }
    if recording.poses.len() < 2 {
        return Err(RunError::Input(format!(
            "{} has {} poses; a replay needs at least two",
            path.display(),
            recording.poses.len()
        )));
    }
    Ok(recording)
}

fn run(path: &Path) -> Result<Recording, RunError> {
    let csv = path.join("trajectory.csv");
    let table = PoseTable::read(&csv).map_err(|e| {
        RunError::Input(format!(
            "{e}; the run was interrupted before its end, or is from an older version"
        ))
    })?;
    let loaded = LoadedScenario::read(&path.join("scenario.resolved.toml"))?;
    let data = RunData::read(path).map_err(RunError::Input)?;
    let mut spec = EpisodeSpec::new(&loaded, loaded.scenario.seed);
    // An older scenario drew another friction from the same key; the scene says what it was.
    if let (Some(scene), Some(was)) = (&mut spec.scene, &data.scene) {
        scene.object.friction = was.object.friction;
    }
    let frames: Vec<RgbImage> = data.frames.into_iter().flatten().collect();
    let mut notes = Vec::new();
    let end = data.record.and_then(|r| r.end);
    if end.is_some_and(|end| !end.virtual_time) {
        notes.push(
            "the run was in real time: its replay is near, not bit for bit (`run --virtual-time` \
             can be replayed exactly)"
                .into(),
        );
    }
    Ok(Recording {
        name: name_of(path),
        kind: RecordingKind::Run,
        frames: fitting(frames, table.poses.len(), &mut notes),
        poses: table.poses,
        time_s: table.time_s,
        actions: table.actions,
        replay_scene: ReplayScene::of(&spec),
        notes,
    })
}

fn table(path: &Path, options: &OpenOptions) -> Result<Recording, RunError> {
    let mut table = PoseTable::read(path).map_err(RunError::Input)?;
    let name = name_of(path);
    let mut doubts = Doubts::default();
    doubts.look(&name, &table.poses);
    let mut notes = doubts.words();
    if options.frame == Some(PoseFrame::Flange) {
        table.poses = table.poses.iter().map(tcp_of_flange).collect();
        notes.push(FLANGE_NOTE.into());
    }
    Ok(Recording {
        name,
        kind: RecordingKind::Csv,
        poses: table.poses,
        time_s: table.time_s,
        actions: Vec::new(),
        frames: Vec::new(),
        replay_scene: None,
        notes,
    })
}

fn episode(path: &Path, options: &OpenOptions) -> Result<Recording, RunError> {
    let input = |e: foresight_datasets::DatasetError| RunError::Input(e.to_string());
    let mut trajectory = Trajectory::read(&path.join(layout::TRAJECTORY)).map_err(input)?;
    check_units(path, &trajectory.states)?;
    let metadata = layout::metadata_file(path)
        .and_then(|file| Metadata::read(&file))
        .ok();
    let ours = metadata.as_ref().is_some_and(|m| m.foresight.is_some());
    let kind = if ours {
        RecordingKind::Recording
    } else {
        RecordingKind::Droid
    };
    let mut notes = Vec::new();
    let frames = frames(path, options, &trajectory, &mut notes)?;
    let frames = fitting(frames, trajectory.len(), &mut notes);
    let own = if metadata.as_ref().is_some_and(Metadata::is_of_tcp) {
        PoseFrame::Tcp
    } else {
        PoseFrame::Flange
    };
    if options.frame.unwrap_or(own) == PoseFrame::Flange {
        trajectory.states = trajectory.states.iter().map(tcp_of_flange).collect();
        notes.push(FLANGE_NOTE.into());
    }
    if trajectory.time_s.is_empty() && kind == RecordingKind::Droid {
        trajectory.time_s = (0..trajectory.len()).map(|i| i as f64 / DROID_HZ).collect();
        notes.push(format!(
            "the episode has no times; DROID's {DROID_HZ} states a second are assumed"
        ));
    }
    let size = frames.first().map(RgbImage::dimensions);
    let replay_scene = match &trajectory.simulator {
        Some(track) => replay_scene(track, size, &mut notes)?,
        None => None,
    };
    let actions = trajectory.commands.iter().map(|c| c.requested).collect();
    Ok(Recording {
        name: name_of(path),
        kind,
        poses: trajectory.states,
        time_s: trajectory.time_s,
        actions,
        frames,
        replay_scene,
        notes,
    })
}

fn frames(
    path: &Path,
    options: &OpenOptions,
    trajectory: &Trajectory,
    notes: &mut Vec<String>,
) -> Result<Vec<RgbImage>, RunError> {
    let input = |e: foresight_datasets::DatasetError| RunError::Input(e.to_string());
    let wanted = |name: &String| options.camera.as_ref().is_none_or(|c| c == name);
    let stored = layout::frame_files(path).map_err(input)?;
    if let Some((_, file)) = stored.iter().find(|(name, _)| wanted(name)) {
        let stack = FrameStack::read(file).map_err(input)?;
        return Ok(stack.images().collect());
    }
    let videos = layout::video_files(path).map_err(input)?;
    let Some((_, file)) = videos.iter().find(|(name, _)| wanted(name)) else {
        if let Some(camera) = &options.camera {
            let names: Vec<&String> = stored.iter().chain(&videos).map(|(n, _)| n).collect();
            return Err(RunError::Input(format!(
                "there is no camera {camera}; there are {names:?}"
            )));
        }
        notes.push("there are no frames; only poses are replayed".into());
        return Ok(Vec::new());
    };
    // Frame i was taken with state i, whatever rate the file's header claims.
    let all: Vec<usize> = (0..trajectory.len()).collect();
    match video::frames_at(file, &all) {
        Ok(frames) => Ok(frames),
        Err(error) => {
            notes.push(format!("{error}; only poses are replayed"));
            Ok(Vec::new())
        }
    }
}

/// The scene a recording of ours was made in; without a recorded initial state the nearest to it.
fn replay_scene(
    track: &SimulatorTrack,
    size: Option<(u32, u32)>,
    notes: &mut Vec<String>,
) -> Result<Option<ReplayScene>, RunError> {
    let Some(initial_state) = &track.initial_state else {
        notes.push(
            "the recording doesn't say how it began (it is from an older version, another simulator, \
             or a branch of another episode): its poses are followed"
                .into(),
        );
        return Ok(None);
    };
    let scene = serde_json::from_str(&track.scene)
        .map_err(|e| RunError::Input(format!("the recording's scene can't be read: {e}")))?;
    let safety = serde_json::from_str(&initial_state.envelope)
        .map_err(|e| RunError::Input(format!("the recording's limits can't be read: {e}")))?;
    let (width_px, height_px) = size.unwrap_or((64, 64));
    let state = initial_state.pose.map(|pose| GoalState {
        arm: Pose::from_array(pose),
        object: initial_state
            .object
            .map(|[x, y, z, i, j, k, w]| ObjectPose {
                position_m: [x, y, z],
                quaternion_xyzw: [i, j, k, w],
            }),
        grasping: initial_state.grasping,
        others: Vec::new(),
    });
    Ok(Some(ReplayScene {
        scene,
        initial_state: ReplayStart::Posed {
            state,
            settling_s: initial_state.settling_s,
        },
        safety,
        width_px,
        height_px,
        closing: Closing::Press,
    }))
}
