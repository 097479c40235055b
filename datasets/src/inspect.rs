//! Looks at one episode folder: what it has, and what is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::alignment::{self, FRAME_TOLERANCE};
use crate::entry::{CameraEntry, IndexEntry, PictureStorage};
use crate::error::{DatasetError, Result};
use crate::extrinsics;
use crate::frames::FrameStack;
use crate::layout;
use crate::metadata::Metadata;
use crate::mp4_header::VideoHeader;
use crate::sampling;
use crate::trajectory::Trajectory;
use crate::video;

/// How closely to look at each episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Metadata, trajectory, and the headers and sizes of frame files and videos.
    Quick,
    /// Every byte of what training reads: videos are decoded completely.
    Full,
}

/// How an index is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// How closely to look.
    pub depth: Depth,
    /// Frames a video may have more or fewer than there are states; see [`crate::alignment`].
    pub frame_tolerance: usize,
}

impl From<Depth> for Inspection {
    fn from(depth: Depth) -> Self {
        Inspection {
            depth,
            frame_tolerance: FRAME_TOLERANCE,
        }
    }
}

/// Makes an episode's entry; `path` is how the index names it.
///
/// A camera that can't be used is a fault of the entry; an episode without a usable camera, or
/// whose metadata or trajectory can't be used, is an error.
///
/// # Errors
/// [`DatasetError`] naming the file and what is wrong with it.
pub(crate) fn inspect(folder: &Path, path: String, inspection: Inspection) -> Result<IndexEntry> {
    let metadata = Metadata::read(&layout::metadata_file(folder)?)?;
    let file = folder.join(layout::TRAJECTORY);
    let (trajectory, mut notes) = Trajectory::read_noted(&file)?;
    let length = trajectory.len();
    if length < 2 {
        return Err(DatasetError::episode(
            folder,
            format!("it has {length} states; an action needs at least two"),
        ));
    }
    let recording = metadata.foresight.as_ref();
    // Steps of ours last as long as the arm took.
    sampling::check_times(&trajectory.time_s, recording.is_none())
        .map_err(|reason| DatasetError::episode(folder, reason))?;
    if let Some(recording) = recording {
        recording.split.check(recording.seed)?;
    }

    let mut cameras: Vec<CameraEntry> = Vec::new();
    let mut faults: Vec<DatasetError> = Vec::new();
    for (name, file) in layout::frame_files(folder)? {
        match stored(folder, &name, &file, length, inspection.depth) {
            Ok(camera) => cameras.push(camera),
            // Faults of many machines, the program that is missing among them, are no episode's.
            Err(fault @ DatasetError::Decoder(_)) => return Err(fault),
            Err(fault) => faults.push(fault),
        }
    }
    for (name, file) in layout::video_files(folder)? {
        match filmed(folder, &name, &file, length, inspection, &mut notes) {
            Ok(camera) => match cameras.iter_mut().find(|c| c.name == camera.name) {
                Some(known) => {
                    known.stereo |= camera.stereo;
                    let frames = known.frames.min(camera.frames);
                    if camera.plain && !known.plain {
                        *known = CameraEntry {
                            stereo: known.stereo,
                            ..camera
                        };
                    }
                    known.frames = frames;
                }
                None => cameras.push(camera),
            },
            Err(fault @ DatasetError::Decoder(_)) => return Err(fault),
            Err(fault) => faults.push(fault),
        }
    }
    let others = layout::other_films(folder)?;
    if cameras.is_empty() {
        let none = || match others.first() {
            Some(film) => film.clone(),
            None => format!(
                "it has neither {} nor an MP4 in {}",
                layout::FRAMES,
                layout::VIDEOS
            ),
        };
        let first = faults.into_iter().next();
        return Err(first.unwrap_or_else(|| DatasetError::episode(folder, none())));
    }
    notes.extend(others);

    let duration_s = match (trajectory.time_s.first(), trajectory.time_s.last()) {
        (Some(first), Some(last)) => last - first,
        _ => 0.0,
    };
    let names = cameras.iter().map(|c| c.name.as_str());
    notes.extend(extrinsics::faults(&file, names, length)?);
    let nominal = recording.map(|r| r.step_rate_hz).filter(|rate| *rate > 0.0);
    let rate_hz = match nominal {
        Some(rate) => rate,
        None => sampling::rate_hz(&trajectory.time_s),
    };
    Ok(IndexEntry {
        path,
        length,
        duration_s,
        rate_hz,
        stepwise: nominal.is_some(),
        success: metadata.success,
        task: metadata.current_task.clone(),
        behaviour: recording.map_or(String::new(), |r| r.behaviour.clone()),
        split: recording.map(|r| r.split),
        seed: recording.map(|r| r.seed),
        roles: roles(&metadata, &cameras),
        cameras,
        faults: faults.iter().map(ToString::to_string).collect(),
        notes,
    })
}

/// Losslessly stored frames.
fn stored(
    folder: &Path,
    name: &str,
    file: &Path,
    length: usize,
    depth: Depth,
) -> Result<CameraEntry> {
    let shape = FrameStack::read_shape(file)?;
    same_length(folder, name, shape.frames as usize, length, 0)?;
    if depth == Depth::Full {
        FrameStack::read(file)?;
    }
    Ok(CameraEntry {
        name: name.to_owned(),
        storage: PictureStorage::Frames,
        width: shape.width,
        height: shape.height,
        frames: shape.frames as usize,
        fps: 0.0,
        plain: true,
        stereo: false,
    })
}

/// A video.
fn filmed(
    folder: &Path,
    name: &str,
    file: &Path,
    length: usize,
    inspection: Inspection,
    notes: &mut Vec<String>,
) -> Result<CameraEntry> {
    let header = VideoHeader::read(file)?;
    notes.extend(video::of_several(name, &header));
    let tolerance = inspection.frame_tolerance;
    same_length(folder, name, header.frames, length, tolerance)?;
    if inspection.depth == Depth::Full {
        video::check(file)?;
    }
    let (name, stereo) = match name.strip_suffix(layout::STEREO_SUFFIX) {
        Some(name) => (name, true),
        None => (name, false),
    };
    Ok(CameraEntry {
        name: name.to_owned(),
        storage: PictureStorage::Video,
        width: if stereo {
            header.width / 2
        } else {
            header.width
        },
        height: header.height,
        frames: header.frames,
        fps: header.fps,
        plain: !stereo,
        stereo,
    })
}

fn same_length(
    folder: &Path,
    camera: &str,
    frames: usize,
    states: usize,
    tolerance: usize,
) -> Result<()> {
    alignment::check(frames, states, tolerance).map_err(|reason| {
        let reason = format!(
            "{} and camera {camera} disagree: {reason}",
            layout::TRAJECTORY
        );
        DatasetError::episode(folder, reason)
    })
}

/// Which camera has which role: by the videos the metadata names, else by the serial numbers.
fn roles(metadata: &Metadata, cameras: &[CameraEntry]) -> BTreeMap<String, String> {
    let named = [
        ("left", &metadata.left_mp4_path, &metadata.ext1_cam_serial),
        ("right", &metadata.right_mp4_path, &metadata.ext2_cam_serial),
        (
            "wrist",
            &metadata.wrist_mp4_path,
            &metadata.wrist_cam_serial,
        ),
    ];
    let is_there = |name: &&str| cameras.iter().any(|camera| camera.name == **name);
    let mut roles = BTreeMap::new();
    for (role, video, serial) in named {
        let file = video.rsplit(['/', '\\']).next().unwrap_or_default();
        let by_video = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let names = [by_video, serial.as_str()];
        let names = || names.into_iter().filter(|name| !name.is_empty());
        if let Some(name) = names().find(is_there).or_else(|| names().next()) {
            roles.insert(role.to_owned(), name.to_owned());
        }
    }
    // An only camera is the one that is looked through.
    if let ([only], false) = (cameras, roles.contains_key("left")) {
        roles.insert("left".to_owned(), only.name.clone());
    }
    roles
}
