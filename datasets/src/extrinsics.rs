//! Where an episode's cameras were: `observation/camera_extrinsics` of `trajectory.h5`.

use std::fs;
use std::path::Path;

use foresight_planner::euler;
use hdf5_pure::File;
use nalgebra::{Matrix3, Vector3};

use crate::arrays::{dispensable, Array};
use crate::error::{DatasetError, Result};
use crate::view::Half;

/// A camera's poses in the robot's base frame, `[T, 6]`: x y z m, extrinsic xyz Euler rad.
///
/// DROID names them `<camera>_left` and `<camera>_right` after the lens; a plain video is the
/// left lens's. `None` when the file has none of this camera that can be used.
///
/// # Errors
/// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when the file can't be read.
pub fn read(
    trajectory: &Path,
    camera: &str,
    half: Option<Half>,
    states: usize,
) -> Result<Option<Vec<[f64; 6]>>> {
    let file = open(trajectory)?;
    let array = of(
        &file,
        camera,
        half == Some(Half::Right),
        states,
        &mut Vec::new(),
    );
    Ok(array.map(|array| array.rows::<6>().collect()))
}

/// Which of these cameras' extrinsics are there and can't be used, and why.
pub(crate) fn faults<'a>(
    trajectory: &Path,
    cameras: impl Iterator<Item = &'a str>,
    states: usize,
) -> Result<Vec<String>> {
    let file = open(trajectory)?;
    let mut notes = Vec::new();
    for camera in cameras {
        for right in [false, true] {
            of(&file, camera, right, states, &mut notes);
        }
    }
    Ok(notes)
}

fn open(trajectory: &Path) -> Result<File> {
    let bytes = fs::read(trajectory).map_err(|e| DatasetError::io("read", trajectory, e))?;
    File::from_bytes(bytes)
        .map_err(|e| DatasetError::corrupt(trajectory, format!("not a readable HDF5 file ({e})")))
}

fn of(
    file: &File,
    camera: &str,
    right: bool,
    states: usize,
    notes: &mut Vec<String>,
) -> Option<Array> {
    let lens = if right { "right" } else { "left" };
    let name = format!("observation/camera_extrinsics/{camera}_{lens}");
    dispensable(file, &name, &[states, 6], notes)
}

/// A simulated camera's angle of view from the picture's top to its bottom, rad, out of its scene's
/// JSON. `None` for other text.
pub fn fov_of_scene(scene: &str) -> Option<f64> {
    let scene: serde_json::Value = serde_json::from_str(scene).ok()?;
    scene.pointer("/camera/fov_rad")?.as_f64()
}

/// Where a simulated camera was, out of its scene's JSON. `None` for other text.
pub fn of_scene(scene: &str) -> Option<[f64; 6]> {
    #[derive(serde::Deserialize)]
    struct Scene {
        camera: Camera,
    }
    #[derive(serde::Deserialize)]
    struct Camera {
        eye_m: [f64; 3],
        look_at_m: [f64; 3],
    }
    let camera = serde_json::from_str::<Scene>(scene).ok()?.camera;
    looking_at(camera.eye_m, camera.look_at_m)
}

/// The pose `[6]` of an upright camera at `eye_m` that looks at `target_m`: its z axis points into
/// the picture, x to its right, y down, as DROID's calibrations have it. `None` when it looks
/// straight up or down, or at itself.
pub fn looking_at(eye_m: [f64; 3], target_m: [f64; 3]) -> Option<[f64; 6]> {
    let [eye, target] = [eye_m, target_m].map(Vector3::from);
    let forward = (target - eye).try_normalize(1e-9)?;
    let right = forward.cross(&Vector3::z()).try_normalize(1e-9)?;
    let down = forward.cross(&right);
    let axes = Matrix3::from_columns(&[right, down, forward]);
    let [a, b, c] = euler::from_matrix(&axes);
    Some([eye.x, eye.y, eye.z, a, b, c])
}

#[cfg(test)]
#[path = "../tests/unit/extrinsics.rs"]
mod tests;
