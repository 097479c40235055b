//! Opens episodes of LeRobot datasets.

use std::path::Path;

use foresight_datasets::lerobot::store::LeRobotStore;
use foresight_datasets::{EpisodeStore, Role, View};

use super::options::{
    check_units, fitting, name_of, tcp_of_flange, OpenOptions, PoseFrame, FLANGE_NOTE,
};
use super::recording::{Recording, RecordingKind};
use foresight_scenarios::RunError;

/// Opens an episode of a dataset.
///
/// # Errors
/// [`RunError::Input`] when the dataset can't be read or has no such episode or camera.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Recording, RunError> {
    let input = |e: foresight_datasets::DatasetError| RunError::Input(e.to_string());
    let store = LeRobotStore::open(path).map_err(input)?;
    // By its own number: unusable episodes count too.
    let wanted = options.episode.map(|n| format!("episode_{n:06}"));
    let mut entries = store.episodes().iter().enumerate();
    let Some((at, entry)) = entries.find(|(_, e)| wanted.as_ref().is_none_or(|w| *w == e.path))
    else {
        let unusable = store.unusable().iter();
        let reason = unusable
            .clone()
            .find(|(name, _)| Some(name) == wanted.as_ref())
            .or(unusable.clone().next());
        return Err(RunError::Input(format!(
            "{} has {} usable episodes; there is no usable {}{}",
            path.display(),
            store.episodes().len(),
            wanted.as_deref().unwrap_or("one"),
            reason.map_or(String::new(), |(name, why)| format!(" ({name}: {why})"))
        )));
    };
    let view: View = match &options.camera {
        Some(name) => name.parse().map_err(RunError::Input)?,
        // Poses are replayed whatever camera there is.
        None => match (entry.camera(&View::default()), entry.cameras.first()) {
            (Err(_), Some(other)) => View {
                role: Role::Named(other.name.clone()),
                half: None,
            },
            _ => View::default(),
        },
    };
    let track = store.proprioception(at, &view).map_err(input)?;
    let mut poses = track.states;
    check_units(path, &poses)?;
    let mut notes = Vec::new();
    // LeRobot's edition of DROID calls its robot Franka and has DROID's poses.
    let droid = store.info().robot_type.as_deref() == Some("Franka");
    let own = if droid {
        PoseFrame::Flange
    } else {
        PoseFrame::Tcp
    };
    if options.frame.unwrap_or(own) == PoseFrame::Flange {
        poses = poses.iter().map(tcp_of_flange).collect();
        notes.push(FLANGE_NOTE.into());
    }
    let all: Vec<usize> = (0..poses.len().min(track.frames)).collect();
    let frames = match store.frames(at, &view, &all) {
        Ok(stack) => stack.images().collect(),
        Err(error) => {
            notes.push(format!("{error}; only poses are replayed"));
            Vec::new()
        }
    };
    Ok(Recording {
        name: format!("{}-{}", name_of(path), entry.path),
        kind: RecordingKind::Lerobot,
        frames: fitting(frames, poses.len(), &mut notes),
        poses,
        time_s: track.time_s,
        actions: Vec::new(),
        replay_scene: None,
        notes,
    })
}
