//! Datasets from one format into another.

use std::collections::BTreeMap;
use std::path::Path;

use foresight_planner::Pose;

use crate::entry::IndexEntry;
use crate::error::DatasetError;
use crate::lerobot::writer::{EpisodeRows, LeRobotWriter};
use crate::metadata::Metadata;
use crate::sampling;
use crate::store::OnBadEpisode;
use crate::store::{EpisodeStore, Proprioception};
use crate::view::View;

mod droid;
mod options;

pub use options::ConvertOptions;

use droid::droid_episode;
use options::{each_frame, lerobot_name, views};

/// Share by which an episode's rate may differ from the dataset's and its frames still be taken
/// one by one.
const SAME_RATE: f64 = 0.05;

/// What was converted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    /// Episodes written.
    pub episodes: usize,
    /// Frames of one camera written.
    pub frames: usize,
    /// Episodes left out, with reasons.
    pub skipped: Vec<(String, String)>,
}

/// Writes a LeRobot v3 dataset into a new folder. `done` is told episodes done and in all.
///
/// # Errors
/// The first episode that can't be converted, unless they are skipped; errors of writing.
pub fn to_lerobot(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
    done: impl FnMut(usize, usize),
) -> Result<Converted, DatasetError> {
    let first = first_episode(store, out)?;
    let views = views(first, options)?;
    let rate = if first.rate_hz > 0.0 {
        first.rate_hz
    } else {
        crate::clips::ASSUMED_RATE_HZ
    };
    let fps = options.fps.unwrap_or(rate.round().max(1.0) as u32);
    let mut cameras = Vec::new();
    for view in &views {
        let shown = store.frames(0, view, &[0])?;
        let size = options.size.unwrap_or((shown.width(), shown.height()));
        cameras.push((lerobot_name(view), size));
    }
    // DROID's own episodes are called what LeRobot's edition of them calls them.
    let ours = |m: Metadata| m.foresight.is_some().then_some(m.robot_serial);
    let robot = store.extras(0)?.metadata.and_then(ours);
    let robot = robot.unwrap_or_else(|| "Franka".to_owned());
    let mut writer = LeRobotWriter::create(out, &robot, fps, &cameras, options.codec)?;
    let converted = each_episode(store, options, done, |episode| {
        let (rows, numbers) = match rows(store, episode, &views, fps) {
            Ok(made) => made,
            Err(fault) => return Ok(Err(fault)),
        };
        writer.push(&rows, |camera, put| {
            let at = cameras.iter().position(|(name, _)| name == camera);
            let (view, size) = match at {
                Some(at) => (&views[at], cameras[at].1),
                None => return Ok(()),
            };
            each_frame(store, episode, view, &numbers, size, put)
        })?;
        Ok(Ok(numbers.len()))
    })?;
    writer.finish()?;
    Ok(converted)
}

/// Writes a DROID-raw dataset with videos into a folder.
///
/// Episodes keep their place below the root where they have one. Each is written into a hidden
/// folder and renamed when complete.
///
/// # Errors
/// As [`to_lerobot`].
pub fn to_droid(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
    done: impl FnMut(usize, usize),
) -> Result<Converted, DatasetError> {
    let views = views(first_episode(store, out)?, options)?;
    each_episode(store, options, done, |episode| {
        Ok(droid_episode(store, episode, &views, out, options))
    })
}

fn first_episode<'a>(
    store: &'a dyn EpisodeStore,
    out: &Path,
) -> Result<&'a IndexEntry, DatasetError> {
    store.episodes().first().ok_or_else(|| {
        let first = store.unusable().first();
        DatasetError::Mismatch(format!(
            "nothing to write to {}: {}",
            out.display(),
            first.map_or("the dataset has no episode", |(_, reason)| reason)
        ))
    })
}

/// Converts the chosen episodes with `one`, which gives an episode's frames, or inside its result
/// why that episode can't be converted. A missing program is no episode's fault.
fn each_episode(
    store: &dyn EpisodeStore,
    options: &ConvertOptions,
    mut done: impl FnMut(usize, usize),
    mut one: impl FnMut(usize) -> Result<Result<usize, DatasetError>, DatasetError>,
) -> Result<Converted, DatasetError> {
    let refuse = options.on_bad_episode == OnBadEpisode::Refuse;
    if let (true, Some((path, reason))) = (refuse, store.unusable().first()) {
        return Err(DatasetError::Episode {
            path: path.into(),
            reason: reason.clone(),
        });
    }
    let mut converted = Converted {
        skipped: store.unusable().to_vec(),
        ..Converted::default()
    };
    let chosen = options.chosen(store);
    for (number, &episode) in chosen.iter().enumerate() {
        match one(episode)? {
            Ok(frames) => {
                converted.episodes += 1;
                converted.frames += frames;
            }
            Err(fault) if refuse || matches!(fault, DatasetError::Decoder(_)) => return Err(fault),
            Err(fault) => {
                let path = store.episodes()[episode].path.clone();
                converted.skipped.push((path, fault.to_string()));
            }
        }
        done(number + 1, chosen.len());
    }
    Ok(converted)
}

/// An episode's rows at a rate, and the numbers of the frames they are of.
fn rows(
    store: &dyn EpisodeStore,
    episode: usize,
    views: &[View],
    fps: u32,
) -> Result<(EpisodeRows, Vec<usize>), DatasetError> {
    let entry = &store.episodes()[episode];
    let extras = store.extras(episode)?;
    let mut tracks: Vec<(String, Proprioception)> = Vec::new();
    for view in views {
        tracks.push((lerobot_name(view), store.proprioception(episode, view)?));
    }
    let mut trajectory = extras.trajectory;
    trajectory.time_s = entry.times(trajectory.time_s);
    // What every camera has a frame of.
    let shared = tracks.iter().map(|(_, track)| track.frames);
    let shared = shared.min().unwrap_or(usize::MAX).min(trajectory.len());
    trajectory.time_s.truncate(shared);
    let numbers = thinned(entry, &trajectory.time_s, shared, fps)?;
    let pick_poses = |poses: &[Pose]| -> Vec<Pose> {
        let inside = numbers.iter().filter_map(|i| poses.get(*i).copied());
        inside.collect()
    };
    let begin = trajectory.time_s.first().copied().unwrap_or(0.0);
    let time_s = numbers.iter().enumerate().map(|(k, i)| {
        let recorded = trajectory.time_s.get(*i).map(|t| t - begin);
        recorded.unwrap_or(k as f64 / f64::from(fps))
    });
    let extrinsics: BTreeMap<String, Vec<[f64; 6]>> = tracks
        .into_iter()
        .filter_map(|(name, track)| {
            let poses = track.extrinsics?;
            Some((name, numbers.iter().map(|i| poses[*i]).collect()))
        })
        .collect();
    let rows = EpisodeRows {
        states: pick_poses(&trajectory.states),
        time_s: time_s.collect(),
        joints_rad: match trajectory.joints_rad.is_empty() {
            true => Vec::new(),
            false => numbers.iter().map(|i| trajectory.joints_rad[*i]).collect(),
        },
        commanded: match extras.commanded.len() == trajectory.states.len() {
            true => pick_poses(&extras.commanded),
            false => Vec::new(),
        },
        extrinsics,
        task: entry.task.clone(),
        success: entry.success,
        split: entry.split,
    };
    Ok((rows, numbers))
}

/// The frames an episode has at a rate: all where that is its own.
fn thinned(
    entry: &IndexEntry,
    time_s: &[f64],
    length: usize,
    fps: u32,
) -> Result<Vec<usize>, DatasetError> {
    let fps = f64::from(fps);
    if time_s.is_empty() || (entry.rate_hz / fps - 1.0).abs() <= SAME_RATE {
        return Ok((0..length).collect());
    }
    let numbers = sampling::evenly(time_s, fps);
    if numbers.len() < 2 {
        return Err(DatasetError::episode(
            entry.path.as_ref(),
            format!(
                "it was recorded at {:.2} Hz, which can't give {fps} frames a second",
                entry.rate_hz
            ),
        ));
    }
    Ok(numbers)
}
