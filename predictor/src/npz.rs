//! NumPy's `.npz`, as far as robot trajectories use it.
//!
//! An `.npz` is a zip archive of `.npy` files: stored (`np.savez`) or deflated
//! (`np.savez_compressed`). Arrays must be in C order and little-endian.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use foresight_planner::{git_lfs, pose_units, Pose};
use image::RgbImage;
use zip::CompressionMethod;

use crate::zip_file::{self, Archive};

/// Largest array that is read, bytes: far above any trajectory of one episode.
const MAX_BYTES: u64 = 4 << 30;

/// An `.npz` that can't be used; says which file, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {remedy}", path.display())]
pub struct NpzError {
    /// The archive.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What helps.
    pub remedy: String,
}

/// Values of an array, in C order.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayValues {
    /// `uint8` (or `bool`).
    U8(Vec<u8>),
    /// `float32`.
    F32(Vec<f32>),
    /// `float64`.
    F64(Vec<f64>),
    /// `int64`, or `int32` widened.
    I64(Vec<i64>),
}

impl ArrayValues {
    /// NumPy's name of the type.
    fn type_name(&self) -> &'static str {
        match self {
            ArrayValues::U8(_) => "uint8",
            ArrayValues::F32(_) => "float32",
            ArrayValues::F64(_) => "float64",
            ArrayValues::I64(_) => "int64",
        }
    }
}

/// One array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: ArrayValues,
}

/// An opened archive.
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    archive: Archive,
}

/// Frames and poses of one episode: the layout of the official `franka_example_traj.npz`.
#[derive(Debug, Clone)]
pub struct Trajectory {
    /// `observations[0]`: `T` frames.
    pub frames: Vec<RgbImage>,
    /// `states[0]`: `T` poses.
    pub states: Vec<Pose>,
}

impl Npz {
    /// Opens an archive.
    ///
    /// # Errors
    /// When the file is missing or no zip archive.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpzError> {
        let path = path.as_ref().to_path_buf();
        let file = File::open(&path).map_err(|e| {
            NpzError::new(&path, format!("can't be opened ({e})"), "check the path")
        })?;
        if git_lfs::is_pointer(&path) {
            return Err(NpzError::new(&path, git_lfs::PROBLEM, git_lfs::REMEDY));
        }
        let archive = zip_file::open(file).map_err(|e| {
            NpzError::new(
                &path,
                format!("is not a zip archive, which an .npz is ({e})"),
                "write it with numpy.savez, or copy it again if the copy was cut short",
            )
        })?;
        Ok(Npz { path, archive })
    }

    /// Names of the arrays.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = (0..self.archive.len())
            .filter_map(|i| self.archive.name_for_index(i)?.ok())
            .filter_map(|n| n.strip_suffix(".npy").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// Reads one array.
    ///
    /// # Errors
    /// When there is no such array, or its type or encoding is not supported.
    pub fn array(&mut self, name: &str) -> Result<Array, NpzError> {
        let available = self.names();
        let index = self
            .archive
            .index_for_name(&format!("{name}.npy"))
            .ok_or_else(|| {
                NpzError::new(
                    &self.path,
                    format!("has no array `{name}`, only {}", available.join(", ")),
                    "save the episode with arrays `observations` [1,T,H,W,3] uint8 and `states` [1,T,7]",
                )
            })?;
        let bytes = self
            .member(index)
            .map_err(|problem| NpzError::damaged(&self.path, name, &problem))?;
        parse(&bytes).map_err(|problem| NpzError::damaged(&self.path, name, &problem))
    }

    fn member(&mut self, index: usize) -> Result<Vec<u8>, String> {
        let file = self
            .archive
            .by_index_raw(index)
            .map_err(|e| e.to_string())?;
        if file.size() > MAX_BYTES {
            return Err(format!("{} bytes are too many to read", file.size()));
        }
        let size = file.size();
        let mut bytes = Vec::new();
        let read = match file.compression() {
            CompressionMethod::Stored => file.take(size).read_to_end(&mut bytes),
            // The archive crate's own inflate is not compiled in; method 8 is deflate.
            method if method == CompressionMethod::DEFLATE => {
                flate2::read::DeflateDecoder::new(file)
                    .take(size)
                    .read_to_end(&mut bytes)
            }
            other => return Err(format!("compression {other:?} is not supported")),
        };
        read.map_err(|e| e.to_string())?;
        if bytes.len() as u64 != size {
            return Err(format!("{} of {size} bytes are there", bytes.len()));
        }
        Ok(bytes)
    }
}

impl NpzError {
    fn new(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        NpzError {
            path: path.to_path_buf(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    fn damaged(path: &Path, name: &str, problem: &str) -> Self {
        NpzError::new(
            path,
            format!("array `{name}` can't be read: {problem}"),
            "save it again with numpy.savez as a C-ordered uint8, float32, float64 or int64 array",
        )
    }
}

impl Trajectory {
    /// Reads `observations` `[1, T, H, W, 3]` uint8 and `states` `[1, T, 7]` (`x, y, z` m,
    /// extrinsic xyz Euler rad, gripper closedness); the leading 1 may be left out.
    ///
    /// # Errors
    /// When an array is missing or of another shape or type.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NpzError> {
        let mut npz = Npz::open(path)?;
        let observations = npz.array("observations")?;
        let states = npz.array("states")?;
        let wrong = |problem: String| {
            NpzError::new(
                &npz.path,
                problem,
                "save `observations` as [1,T,H,W,3] uint8 and `states` as [1,T,7] float32",
            )
        };
        let shape = without_batch(&observations.shape, 4);
        let (Some(&[t, h, w, 3]), ArrayValues::U8(pixels)) = (shape, &observations.values) else {
            return Err(wrong(format!(
                "`observations` {:?} of {} is not [1,T,H,W,3] of uint8",
                observations.shape,
                observations.values.type_name()
            )));
        };
        if h == 0 || w == 0 || t == 0 {
            return Err(wrong("`observations` is empty".into()));
        }
        if pixels.iter().all(|value| *value <= 1) {
            let what =
                "`observations` has no value above 1, so every picture is black; is it a mask, \
                        or were pictures from 0 to 1 cast?";
            return Err(wrong(what.into()));
        }
        let values: Vec<f64> = match states.values {
            ArrayValues::F32(v) => v.into_iter().map(f64::from).collect(),
            ArrayValues::F64(v) => v,
            other => {
                let what = format!("`states` is of {}, not float", other.type_name());
                return Err(wrong(what));
            }
        };
        if without_batch(&states.shape, 2) != Some(&[t, 7]) {
            return Err(wrong(format!(
                "`states` of shape {:?} is not [1,{t},7], one state a frame",
                states.shape
            )));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(wrong(format!("`states` has {} at {i}", values[i])));
        }
        let frames = pixels
            .chunks_exact(h * w * 3)
            .map(|frame| RgbImage::from_raw(w as u32, h as u32, frame.to_vec()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| wrong("`observations` is too large".into()))?;
        let (states, _) = values.as_chunks::<7>();
        for (row, state) in states.iter().enumerate() {
            if let Some(doubt) = pose_units::doubt(state) {
                return Err(NpzError::new(
                    &npz.path,
                    format!("`states` of frame {row}: {doubt}"),
                    "save `states` as x, y, z in m, extrinsic xyz Euler angles in rad, gripper from 0 (open) to 1 (closed)",
                ));
            }
        }
        let states = states.iter().copied().map(Pose::from_array).collect();
        Ok(Trajectory { frames, states })
    }
}

/// `shape` as `N` dimensions, without a leading batch of one.
fn without_batch<const N: usize>(shape: &[usize], rank: usize) -> Option<&[usize; N]> {
    debug_assert_eq!(N, rank);
    let shape = match shape {
        [1, rest @ ..] if rest.len() == rank => rest,
        shape => shape,
    };
    shape.try_into().ok()
}

/// Parses one `.npy`.
fn parse(bytes: &[u8]) -> Result<Array, String> {
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or("it doesn't start like an .npy file")?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("its format version is unknown".into()),
    };
    let (header, data) = rest
        .split_at_checked(length)
        .ok_or("its header is cut short")?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    if field(header, "fortran_order")?.starts_with("True") {
        return Err("it is in Fortran order".into());
    }
    let shape = field(header, "shape")?;
    let shape = shape
        .strip_prefix('(')
        .and_then(|s| s.split_once(')'))
        .ok_or("its shape is unreadable")?
        .0;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.trim_end_matches('L').parse::<usize>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "its shape is unreadable")?;
    let count = shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .ok_or("its shape is too large")?;
    let descr = field(header, "descr")?;
    let descr = descr
        .trim_start_matches(['\'', '"'])
        .split(['\'', '"'])
        .next()
        .unwrap_or_default();
    let values = match descr {
        "|u1" | "|b1" => ArrayValues::U8(sized(data, count, |[b]: [u8; 1]| b)?),
        "<f4" => ArrayValues::F32(sized(data, count, f32::from_le_bytes)?),
        "<f8" => ArrayValues::F64(sized(data, count, f64::from_le_bytes)?),
        "<i8" => ArrayValues::I64(sized(data, count, i64::from_le_bytes)?),
        "<i4" => ArrayValues::I64(sized(data, count, |b| i64::from(i32::from_le_bytes(b)))?),
        other => return Err(format!("its type {other} is not supported")),
    };
    Ok(Array { shape, values })
}

/// What follows `'key':` in the header, a Python dictionary.
fn field<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    quoted
        .iter()
        .find_map(|q| header.split_once(q.as_str()))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| format!("its header has no {key}"))
}

fn sized<const N: usize, T>(
    data: &[u8],
    count: usize,
    read: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, String> {
    if count.checked_mul(N) != Some(data.len()) {
        return Err(format!(
            "{count} values of {N} bytes were announced but {} bytes are there",
            data.len()
        ));
    }
    let (chunks, _) = data.as_chunks::<N>();
    Ok(chunks.iter().map(|c| read(*c)).collect())
}

#[cfg(test)]
#[path = "../tests/unit/npz.rs"]
mod tests;
