//! Datasets from one format into another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use foresight_planner::Pose;

use crate::doubts::Doubts;
use crate::entry::IndexEntry;
use crate::error::{DatasetError, Result};
use crate::layout;
use crate::lerobot::writer::{EpisodeRows, LeRobotWriter};
use crate::sampling;
use crate::store::OnBadEpisode;
use crate::store::{EpisodeStore, Proprioception};
use crate::trajectory::Trajectory;
use crate::view::View;

mod droid;
mod durable;
mod options;

pub use options::ConvertOptions;

use droid::droid_episode;
use options::{each_frame, lerobot_name, views};

/// Share by which an episode's rate may differ from the dataset's and its frames still be taken
/// one by one.
pub(crate) const SAME_RATE: f64 = 0.05;

/// What was converted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    /// Episodes written.
    pub episodes: usize,
    /// Frames of one camera written.
    pub frames: usize,
    /// Episodes left out, with reasons.
    pub skipped: Vec<(String, String)>,
    /// What was left out of the episodes that were written, and why; what is doubtful.
    pub notes: Vec<String>,
}

/// What is converted: the episodes that can be read, and what all of them have.
struct Plan {
    episodes: Vec<usize>,
    views: Vec<View>,
    joints: bool,
    /// For each view, whether its extrinsics are known.
    extrinsics: Vec<bool>,
    outcomes: bool,
    converted: Converted,
}

/// Writes a LeRobot v3 dataset into a new folder, at once when it is complete. `done` is told
/// episodes done and in all.
///
/// # Errors
/// The first episode that can't be converted, unless they are skipped; errors of writing.
pub fn to_lerobot(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
    mut done: impl FnMut(usize, usize),
) -> Result<Converted> {
    let mut plan = plan(store, out, options)?;
    let sketch = sketch(store, out, options, &plan)?;
    complete(out, |out| {
        let mut writer = sketch.writer(out, options)?;
        if !plan.outcomes {
            writer = writer.without_outcomes();
        }
        let converted = fill(&mut writer, store, options, &mut plan, &sketch, &mut done)?;
        writer.finish()?;
        Ok(converted)
    })
}

/// Adds episodes to a LeRobot v3 dataset that was begun so, or begins one. The dataset with them
/// takes the place of the one without at once, and survives a power cut.
///
/// # Errors
/// As [`to_lerobot`]; when `out` was not begun so, or has other cameras or another rate. `out` is
/// then as it was.
pub fn append_to_lerobot(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
) -> Result<Converted> {
    let mut plan = plan(store, out, options)?;
    let mut sketch = sketch(store, out, options, &plan)?;
    durable::replace(out, |stage| {
        let mut writer = match LeRobotWriter::resume(out, stage)? {
            Some(writer) => {
                sketch.fps = options.fps.unwrap_or(writer.fps());
                writer.fitting(sketch.fps, &sketch.cameras)?
            }
            None => sketch.writer(stage, options)?,
        };
        let converted = fill(
            &mut writer,
            store,
            options,
            &mut plan,
            &sketch,
            &mut |_, _| {},
        )?;
        writer.finish_to_resume()?;
        Ok(converted)
    })
}

/// Checks that [`append_to_lerobot`] may add to `out`.
///
/// # Errors
/// When it is a dataset that wasn't begun so, or a folder of something else.
pub fn check_appendable(out: &Path) -> Result<()> {
    if LeRobotWriter::resume(out, out)?.is_none() && !is_free(out) {
        return Err(not_free(out));
    }
    Ok(())
}

/// Whether nothing lies at a path, or an empty folder.
fn is_free(out: &Path) -> bool {
    match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !out.exists(),
    }
}

fn not_free(out: &Path) -> DatasetError {
    DatasetError::Mismatch(format!(
        "{} is not empty; name a new folder for the dataset",
        out.display()
    ))
}

/// What a LeRobot dataset of a plan's episodes is.
struct Sketch {
    fps: u32,
    /// Names and sizes in pixels.
    cameras: Vec<(String, (u32, u32))>,
    robot: String,
}

impl Sketch {
    fn writer(&self, out: &Path, options: &ConvertOptions) -> Result<LeRobotWriter> {
        LeRobotWriter::create(out, &self.robot, self.fps, &self.cameras, options.codec)
    }
}

fn sketch(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
    plan: &Plan,
) -> Result<Sketch> {
    let Some(&first) = plan.episodes.first() else {
        return Err(nothing(store, out, &plan.converted));
    };
    let rate = store.episodes()[first].assumed_rate_hz();
    let mut cameras = Vec::new();
    for view in &plan.views {
        let shown = store.frames(first, view, &[0])?;
        let size = options.size.unwrap_or((shown.width(), shown.height()));
        cameras.push((lerobot_name(view), size));
    }
    Ok(Sketch {
        fps: options.fps.unwrap_or(rate.round().max(1.0) as u32),
        cameras,
        robot: store.extras(first)?.robot,
    })
}

/// Writes a plan's episodes.
fn fill(
    writer: &mut LeRobotWriter,
    store: &dyn EpisodeStore,
    options: &ConvertOptions,
    plan: &mut Plan,
    sketch: &Sketch,
    done: &mut impl FnMut(usize, usize),
) -> Result<Converted> {
    let mut converted = std::mem::take(&mut plan.converted);
    let (plan, cameras) = (&*plan, &sketch.cameras);
    let mut stretched = BTreeMap::new();
    let episodes = &plan.episodes;
    each_episode(store, options, episodes, &mut converted, done, |episode| {
        let (rows, numbers) = match rows(store, episode, plan, sketch.fps) {
            Ok(made) => made,
            Err(fault) => return Ok(Err(fault)),
        };
        writer.push(&rows, |camera, put| {
            let at = cameras.iter().position(|(name, _)| name == camera);
            let (view, size) = match at {
                Some(at) => (&plan.views[at], cameras[at].1),
                None => return Ok(()),
            };
            if let Some(from) = each_frame(store, episode, view, &numbers, size, put)? {
                stretched.insert(episode, (from, size));
            }
            Ok(())
        })?;
        Ok(Ok(numbers.len()))
    })?;
    if let Some((episode, (from, to))) = stretched.first_key_value() {
        converted.notes.push(format!(
            "{} episodes, {} first, have pictures of another shape: {} x {} was stretched to {} x {}; convert them \
             apart, or choose a --size of their shape",
            stretched.len(),
            store.episodes()[*episode].path,
            from.0,
            from.1,
            to.0,
            to.1
        ));
    }
    Ok(converted)
}

/// Writes a DROID-raw dataset with videos into a new folder, at once when it is complete.
///
/// Episodes keep their place below the root where they have one.
///
/// # Errors
/// As [`to_lerobot`].
pub fn to_droid(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
    mut done: impl FnMut(usize, usize),
) -> Result<Converted> {
    let plan = plan(store, out, options)?;
    if plan.episodes.is_empty() {
        return Err(nothing(store, out, &plan.converted));
    }
    complete(out, |out| {
        droid_episodes(store, out, options, plan, &mut done, false)
    })
}

/// Adds episodes to a DROID-raw dataset, each at once when it is complete; they survive a power
/// cut. The folders of the episodes.
///
/// # Errors
/// As [`to_lerobot`].
pub fn append_to_droid(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
) -> Result<Converted> {
    let plan = plan(store, out, options)?;
    droid_episodes(store, out, options, plan, &mut |_, _| {}, true)
}

fn droid_episodes(
    store: &dyn EpisodeStore,
    out: &Path,
    options: &ConvertOptions,
    plan: Plan,
    done: &mut impl FnMut(usize, usize),
    durable: bool,
) -> Result<Converted> {
    let (views, episodes, mut converted) = (plan.views, plan.episodes, plan.converted);
    let one = |episode| Ok(droid_episode(store, episode, &views, out, options, durable));
    each_episode(store, options, &episodes, &mut converted, done, one)?;
    Ok(converted)
}

/// Lets `write` fill a hidden folder beside `out`, which becomes `out` when that worked and goes
/// when it didn't.
fn complete<T>(out: &Path, write: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    if !is_free(out) {
        return Err(not_free(out));
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let partial = out.with_file_name(format!("{}{name}", layout::PARTIAL_PREFIX));
    // Of a conversion that was killed.
    let _ = fs::remove_dir_all(&partial);
    let written = fs::create_dir_all(&partial)
        .map_err(|e| DatasetError::io("create", &partial, e))
        .and_then(|()| write(&partial))
        .and_then(|written| {
            // An empty folder is no obstacle.
            let _ = fs::remove_dir(out);
            fs::rename(&partial, out).map_err(|e| DatasetError::io("create", out, e))?;
            Ok(written)
        });
    if written.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

fn nothing(store: &dyn EpisodeStore, out: &Path, converted: &Converted) -> DatasetError {
    let first = converted.skipped.first().or(store.unusable().first());
    DatasetError::Mismatch(format!(
        "nothing to write to {}: {}",
        out.display(),
        first.map_or("the dataset has no episode", |(_, reason)| reason)
    ))
}

/// Looks at all episodes that are to be converted before any is written. Where bad ones are
/// skipped, their pictures are decoded too: once a part of an episode is in a video, it stays.
fn plan(store: &dyn EpisodeStore, out: &Path, options: &ConvertOptions) -> Result<Plan> {
    let refuse = options.on_bad_episode == OnBadEpisode::Refuse;
    if let (true, Some((path, reason))) = (refuse, store.unusable().first()) {
        return Err(DatasetError::Episode {
            path: path.into(),
            reason: reason.clone(),
        });
    }
    let entries = store.episodes();
    let chosen = options.chosen(store);
    if chosen.is_empty() {
        return Err(nothing(store, out, &Converted::default()));
    }
    let mut plan = Plan {
        views: views(chosen.iter().map(|episode| &entries[*episode]), options)?,
        episodes: Vec::new(),
        joints: true,
        extrinsics: Vec::new(),
        outcomes: chosen.iter().any(|at| entries[*at].success.is_some()),
        converted: Converted {
            skipped: store.unusable().to_vec(),
            ..Converted::default()
        },
    };
    plan.extrinsics = vec![true; plan.views.len()];
    let (mut doubts, mut joints) = (Doubts::default(), false);
    let mut known = vec![false; plan.views.len()];
    for episode in chosen {
        match look(store, episode, &plan.views, !refuse) {
            Ok((trajectory, extrinsics)) => {
                plan.episodes.push(episode);
                doubts.look(&entries[episode].path, &trajectory.states);
                joints |= !trajectory.joints_rad.is_empty();
                plan.joints &= !trajectory.joints_rad.is_empty();
                for (at, is) in extrinsics.into_iter().enumerate() {
                    known[at] |= is;
                    plan.extrinsics[at] &= is;
                }
            }
            Err(fault) if refuse || matches!(fault, DatasetError::Decoder(_)) => return Err(fault),
            Err(fault) => {
                let path = entries[episode].path.clone();
                plan.converted.skipped.push((path, fault.to_string()));
            }
        }
    }
    let notes = &mut plan.converted.notes;
    notes.extend(doubts.words());
    let taken = plan.episodes.iter().map(|episode| &entries[*episode]);
    let of = |e: &IndexEntry| {
        let notes = e.notes.iter().chain(&e.faults);
        let notes: Vec<String> = notes.map(|what| format!("{}: {what}", e.path)).collect();
        notes
    };
    notes.extend(taken.clone().flat_map(of));
    if options.views.is_empty() {
        let of = |e: &IndexEntry| -> Vec<String> {
            let kept = |name: &str| {
                plan.views
                    .iter()
                    .any(|v| e.camera(v).is_ok_and(|c| c.name == name))
            };
            let names = e.cameras.iter().map(|c| c.name.as_str());
            names
                .filter(|name| !kept(name))
                .map(str::to_owned)
                .collect()
        };
        let dropped: BTreeSet<String> = taken.flat_map(of).collect();
        let word = |name: &String| format!("camera {name} is left out: not all episodes have it");
        notes.extend(dropped.iter().map(word));
    }
    if joints && !plan.joints {
        notes.push(
            "joint angles are left out of a LeRobot dataset: not all episodes have them".to_owned(),
        );
    }
    let partly = known.iter().zip(&plan.extrinsics).zip(&plan.views);
    for (_, view) in partly.filter(|((known, all), _)| **known && !**all) {
        notes.push(format!(
            "the extrinsics of {view} are left out of a LeRobot dataset: not all episodes have them"
        ));
    }
    Ok(plan)
}

/// Reads an episode's numbers, and decodes its pictures where asked to; its trajectory, and for
/// each view whether the camera's extrinsics are known.
fn look(
    store: &dyn EpisodeStore,
    episode: usize,
    views: &[View],
    decode: bool,
) -> Result<(Trajectory, Vec<bool>)> {
    let trajectory = store.extras(episode)?.trajectory;
    let mut extrinsics = Vec::new();
    for view in views {
        let track = store.proprioception(episode, view)?;
        extrinsics.push(track.extrinsics.is_some());
        if decode {
            let numbers: Vec<usize> = (0..trajectory.len().min(track.frames)).collect();
            for some in numbers.chunks(options::AT_ONCE) {
                store.frames(episode, view, some)?;
            }
        }
    }
    Ok((trajectory, extrinsics))
}

/// Converts these episodes with `one`, which gives an episode's frames, or inside its result why
/// that episode can't be converted. A missing program is no episode's fault.
fn each_episode(
    store: &dyn EpisodeStore,
    options: &ConvertOptions,
    episodes: &[usize],
    converted: &mut Converted,
    done: &mut impl FnMut(usize, usize),
    mut one: impl FnMut(usize) -> Result<Result<usize, DatasetError>>,
) -> Result<()> {
    let refuse = options.on_bad_episode == OnBadEpisode::Refuse;
    for (number, &episode) in episodes.iter().enumerate() {
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
        done(number + 1, episodes.len());
    }
    Ok(())
}

/// An episode's rows at a rate, and the numbers of the frames they are of.
fn rows(
    store: &dyn EpisodeStore,
    episode: usize,
    plan: &Plan,
    fps: u32,
) -> Result<(EpisodeRows, Vec<usize>)> {
    let entry = &store.episodes()[episode];
    let extras = store.extras(episode)?;
    let mut tracks: Vec<(String, Proprioception)> = Vec::new();
    for (view, extrinsics) in plan.views.iter().zip(&plan.extrinsics) {
        let mut track = store.proprioception(episode, view)?;
        track.extrinsics = track.extrinsics.filter(|_| *extrinsics);
        tracks.push((lerobot_name(view), track));
    }
    let mut captured_s = extras.captured_s;
    let mut trajectory = extras.trajectory;
    trajectory.time_s = entry.assumed_times(trajectory.time_s);
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
    let time_s = numbers.iter().map(|i| trajectory.time_s[*i] - begin);
    let extrinsics: BTreeMap<String, Vec<[f64; 6]>> = tracks
        .into_iter()
        .filter_map(|(name, track)| {
            let poses = track.extrinsics?;
            Some((name, numbers.iter().map(|i| poses[*i]).collect()))
        })
        .collect();
    let cameras = plan.views.iter().filter_map(|view| {
        let times = captured_s.remove(&entry.camera(view).ok()?.name)?;
        let since = numbers.iter().map(|i| times[*i] - begin).collect();
        Some((lerobot_name(view), since))
    });
    let rows = EpisodeRows {
        captured_s: cameras.collect(),
        states: pick_poses(&trajectory.states),
        time_s: time_s.collect(),
        joints_rad: match plan.joints {
            true => numbers.iter().map(|i| trajectory.joints_rad[*i]).collect(),
            false => Vec::new(),
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
fn thinned(entry: &IndexEntry, time_s: &[f64], length: usize, fps: u32) -> Result<Vec<usize>> {
    let fps = f64::from(fps);
    if (entry.assumed_rate_hz() / fps - 1.0).abs() <= SAME_RATE {
        return Ok((0..length).collect());
    }
    let numbers = sampling::evenly(time_s, fps);
    if numbers.len() < 2 {
        return Err(DatasetError::episode(
            entry.path.as_ref(),
            match entry.assumed_rate_hz() {
                rate if rate < fps => format!(
                    "it was recorded at {rate:.2} Hz, which can't give {fps} frames a second"
                ),
                rate => format!(
                    "it lasts {:.2} s, in which {fps} frames a second are fewer than two",
                    length.saturating_sub(1) as f64 / rate
                ),
            },
        ));
    }
    Ok(numbers)
}
