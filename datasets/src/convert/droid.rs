//! Writes single episodes in DROID's raw layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::options::{each_frame, lerobot_name, ConvertOptions};
use crate::error::{DatasetError, Result};
use crate::layout;
use crate::metadata::{Metadata, DROID_ROBOT};
use crate::store::EpisodeStore;
use crate::video::VideoEncoder;
use crate::view::View;

/// Writes one episode, `durable` so that it survives a power cut; its frames of one camera.
///
/// # Errors
/// When it can't be read or written.
pub(super) fn droid_episode(
    store: &dyn EpisodeStore,
    episode: usize,
    views: &[View],
    out: &Path,
    options: &ConvertOptions,
    durable: bool,
) -> Result<usize> {
    let entry = &store.episodes()[episode];
    let extras = store.extras(episode)?;
    let length = extras.trajectory.len();
    let fps = (entry.assumed_rate_hz() * 1000.0).round() / 1000.0;

    let name = entry.path.rsplit('/').next().filter(|n| !n.is_empty());
    let name = name.unwrap_or("episode");
    let placed = entry.path.split('/').count() >= 4 && !Path::new(&entry.path).is_absolute();
    let relative = match placed {
        true => entry.path.clone(),
        false => format!(
            "CONVERTED/{}/undated/{name}",
            layout::outcome_folder(entry.success)
        ),
    };
    // Episodes of several folders may have one name.
    let numbered = (2..).map(|n| format!("{relative}-{n}"));
    let mut names = std::iter::once(relative.clone()).chain(numbered);
    let relative = names.find(|name| !out.join(name).exists());
    let relative = relative.unwrap_or_default();
    let folder = out.join(&relative);
    let parent = folder.parent().unwrap_or(out).to_path_buf();
    let partial = parent.join(format!("{}{name}", layout::PARTIAL_PREFIX));
    let videos = partial.join(layout::VIDEOS);
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&videos).map_err(|e| DatasetError::io("create", &videos, e))?;

    let mut cameras = BTreeMap::new();
    let mut names = BTreeMap::new();
    for view in views {
        let camera = entry
            .camera(view)
            .map_err(|reason| DatasetError::episode(entry.path.as_ref(), reason))?;
        let camera = match view.half {
            None => camera.name.clone(),
            Some(_) => lerobot_name(view),
        };
        // It names a file.
        let camera = camera.replace('/', "_");
        let track = store.proprioception(episode, view)?;
        let numbers: Vec<usize> = (0..length.min(track.frames)).collect();
        if let Some(poses) = track.extrinsics {
            cameras.insert(format!("{camera}_left"), poses);
        }
        let shown = store.frames(episode, view, &[0])?;
        let size = options.size.unwrap_or((shown.width(), shown.height()));
        let file = videos.join(format!("{camera}.mp4"));
        let mut encoder = VideoEncoder::create(&file, size, fps, options.codec)?;
        each_frame(store, episode, view, &numbers, size, &mut |rgb| {
            encoder.push(rgb)
        })?;
        encoder.finish()?;
        names.insert(view.role.key().unwrap_or_default(), camera);
    }
    let file = partial.join(layout::TRAJECTORY);
    let (trajectory, captured_s) = (extras.trajectory, extras.captured_s);
    trajectory.write_with_cameras(&file, &cameras, &captured_s)?;

    // Paths in DROID's metadata start below the laboratory's folder.
    let (lab, below) = relative.split_once('/').unwrap_or(("", &relative));
    let mut source = extras.metadata.unwrap_or_else(|| Metadata {
        success: entry.success,
        current_task: entry.task.clone(),
        ..Metadata::default()
    });
    if source.uuid.is_empty() {
        let ours = extras.robot != DROID_ROBOT;
        let who = if ours { "foresight" } else { "converted" };
        source.uuid = format!("{lab}+{who}+{name}");
    }
    let camera = |role: &str| names.get(role).cloned().unwrap_or_default();
    let video = |role: &str| match names.get(role) {
        Some(name) => format!("{below}/{}/{name}.mp4", layout::VIDEOS),
        None => String::new(),
    };
    let metadata = Metadata {
        lab: lab.to_owned(),
        hdf5_path: format!("{below}/{}", layout::TRAJECTORY),
        trajectory_length: length as u64,
        ext1_cam_serial: camera("left"),
        ext2_cam_serial: camera("right"),
        wrist_cam_serial: camera("wrist"),
        left_mp4_path: video("left"),
        right_mp4_path: video("right"),
        wrist_mp4_path: video("wrist"),
        ..source
    };
    let uuid = metadata.uuid.replace('/', "_");
    metadata.write(&partial.join(format!("metadata_{uuid}.json")))?;
    if durable {
        super::durable::sync(&partial)?;
    }
    fs::rename(&partial, &folder).map_err(|e| DatasetError::io("create", &folder, e))?;
    if durable {
        super::durable::sync_folders(&folder, out)?;
    }
    Ok(length)
}
