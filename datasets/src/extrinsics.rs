//! Where an episode's cameras were: `observation/camera_extrinsics` of `trajectory.h5`.

use std::fs;
use std::path::Path;

use hdf5_pure::File;

use crate::arrays::optional;
use crate::error::DatasetError;
use crate::view::Half;

/// A camera's poses in the robot's base frame, `[T, 6]`: x y z m, extrinsic xyz Euler rad.
///
/// DROID names them `<camera>_left` and `<camera>_right` after the lens; a plain video is the
/// left lens's. `None` when the file has none of this camera.
///
/// # Errors
/// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when the file can't be read or they are not
/// one row a state.
pub fn read(
    trajectory: &Path,
    camera: &str,
    half: Option<Half>,
    states: usize,
) -> Result<Option<Vec<[f64; 6]>>, DatasetError> {
    let bytes = fs::read(trajectory).map_err(|e| DatasetError::io("read", trajectory, e))?;
    let lens = if half == Some(Half::Right) {
        "right"
    } else {
        "left"
    };
    let name = format!("observation/camera_extrinsics/{camera}_{lens}");
    let rows = || -> Result<Option<Vec<[f64; 6]>>, String> {
        let file =
            File::from_bytes(bytes).map_err(|e| format!("not a readable HDF5 file ({e})"))?;
        let Some(array) = optional(&file, &name)? else {
            return Ok(None);
        };
        array.expect(&name, &[states, 6])?;
        Ok(Some(array.rows::<6>().collect()))
    };
    rows().map_err(|reason| DatasetError::corrupt(trajectory, reason))
}
