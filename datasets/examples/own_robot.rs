//! A template: another robot's recordings into a LeRobot v3 dataset that Foresight trains on.
//!
//! ```sh
//! cargo run --release -p foresight-datasets --example own_robot -- RECORDINGS OUT
//! ```
//!
//! It reads folders `RECORDINGS/<episode>/` with `poses.csv` (columns `time_s, x, y, z, roll,
//! pitch, yaw, gripper`, a header line first) and a picture for each row, `frames/000000.png` and
//! so on. Change [`read_episode`] to read what your robot writes; the units it must end in are in
//! its comments and in docs/data.md.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use foresight_datasets::lerobot::writer::{EpisodeRows, LeRobotWriter};
use foresight_datasets::video::VideoCodec;
use foresight_datasets::DatasetError;
use foresight_planner::Pose;

/// Frames a second of the recordings.
const FPS: u32 = 15;
/// The camera's name; the first one that is not on the wrist is what training looks through.
const CAMERA: &str = "exterior_1_left";

/// Reads one episode: its numbers, and its pictures' files.
pub fn read_episode(folder: &Path) -> Result<(EpisodeRows, Vec<PathBuf>), Box<dyn Error>> {
    let mut rows = EpisodeRows {
        task: "pick up the cup".to_owned(),
        success: Some(true),
        ..EpisodeRows::default()
    };
    let mut frames = Vec::new();
    let table = folder.join("poses.csv");
    let text = fs::read_to_string(&table).map_err(|e| format!("{}: {e}", table.display()))?;
    for (number, line) in text.lines().skip(1).enumerate() {
        let values: Vec<f64> = line
            .split(',')
            .map(|field| field.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|e| format!("{} row {number}: {e}", table.display()))?;
        let [time_s, x, y, z, roll, pitch, yaw, gripper] = values[..] else {
            return Err(format!("{} row {number} has no 8 values", table.display()).into());
        };
        rows.time_s.push(time_s);
        rows.states.push(Pose {
            // Metres in the robot's base frame, of the frame whose motion an action is.
            position_m: [x, y, z],
            // Radians, R = Rz(yaw) · Ry(pitch) · Rx(roll).
            euler_rad: [roll, pitch, yaw],
            // 0 open to 1 closed. A width in metres would be 1 - width / stroke.
            gripper,
        });
        frames.push(folder.join(format!("frames/{number:06}.png")));
    }
    Ok((rows, frames))
}

/// Converts every episode folder of `recordings`; how many there were.
pub fn convert(recordings: &Path, out: &Path) -> Result<usize, Box<dyn Error>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(recordings)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let mut writer = None;
    for folder in &folders {
        let (rows, frames) = read_episode(folder)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => {
                let first = frames.first().ok_or("the first episode is empty")?;
                let cameras = [(CAMERA.to_owned(), image::image_dimensions(first)?)];
                let new = LeRobotWriter::create(out, "my robot", FPS, &cameras, VideoCodec::H264)?;
                none.insert(new)
            }
        };
        writer.push(&rows, |_camera, put| {
            for file in &frames {
                let image = image::open(file)
                    .map_err(|e| DatasetError::Mismatch(format!("{}: {e}", file.display())))?;
                put(image.to_rgb8().as_raw())?;
            }
            Ok(())
        })?;
    }
    writer.ok_or("there is no episode folder")?.finish()?;
    Ok(folders.len())
}

// Unused where a test calls `convert` itself.
#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [recordings, out] = &arguments[..] else {
        return Err("give the folder of the recordings and a new folder for the dataset".into());
    };
    let count = convert(recordings, out)?;
    println!("{}: {count} episodes", out.display());
    Ok(())
}
