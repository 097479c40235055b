//! Arrays into a file, safetensors or NumPy's `.npz` by its name, each written piece by piece: what
//! is written need not fit into memory.

use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::DType;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::checkpoint::safetensors_file::{self, Metadata, Planned};
use crate::checkpoint::CheckpointError;

/// Name of the JSON text that says what the arrays are: in safetensors' metadata, and as an array of
/// bytes in an `.npz`.
pub const ABOUT: &str = "about";

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayFormat {
    /// Hugging Face's safetensors.
    Safetensors,
    /// NumPy's archive of `.npy` files, stored.
    Npz,
}

impl ArrayFormat {
    /// The layout that a file's name asks for.
    ///
    /// # Errors
    /// When it ends with neither `.safetensors` nor `.npz`.
    pub fn of(path: &Path) -> Result<Self, CheckpointError> {
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        match extension.as_ref().and_then(|e| e.to_str()) {
            Some("safetensors") => Ok(ArrayFormat::Safetensors),
            Some("npz") => Ok(ArrayFormat::Npz),
            _ => Err(CheckpointError::unsupported(
                path,
                "its name doesn't say how to write it",
                "let it end with .safetensors or .npz",
            )),
        }
    }
}

/// Writes `arrays` (f32, f64 or i64) and the JSON text `about`; `fill` writes an array's values,
/// little-endian and row-major. The file appears under its name only once it is whole.
///
/// # Errors
/// When the disk fails, `fill` does, or it gives another number of bytes than planned.
pub fn write<E: From<CheckpointError>>(
    path: &Path,
    arrays: &[Planned],
    about: &str,
    mut fill: impl FnMut(&Planned, &mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let mut failed = None;
    let mut keep = |array: &Planned, to: &mut dyn Write| {
        fill(array, to).map_err(|error| {
            failed = Some(error);
            CheckpointError::unsupported(path, "its values are missing", "see the error before")
        })
    };
    let written = match ArrayFormat::of(path)? {
        ArrayFormat::Safetensors => {
            let metadata = Metadata::from([(ABOUT.to_owned(), about.to_owned())]);
            safetensors_file::stream(path, arrays, &metadata, &mut keep)
        }
        ArrayFormat::Npz => npz(path, arrays, about, &mut keep),
    };
    match failed {
        Some(error) => Err(error),
        None => Ok(written?),
    }
}

fn npz(
    path: &Path,
    arrays: &[Planned],
    about: &str,
    fill: &mut dyn FnMut(&Planned, &mut dyn Write) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let io = |e: std::io::Error| CheckpointError::io(path, "writing")(e);
    let zipped = |e: zip::result::ZipError| io(std::io::Error::other(e));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    safetensors_file::replace(path, |file| {
        let mut archive = ZipWriter::new(BufWriter::with_capacity(1 << 20, file));
        for array in arrays {
            let descr = match array.dtype {
                DType::F32 => "<f4",
                DType::F64 => "<f8",
                DType::I64 => "<i8",
                other => {
                    return Err(CheckpointError::unsupported(
                        path,
                        format!("{} is of type {other:?}", array.name),
                        "write f32, f64 or i64",
                    ))
                }
            };
            let name = format!("{}.npy", array.name);
            archive.start_file(name, options).map_err(zipped)?;
            archive
                .write_all(&npy_header(descr, &array.shape))
                .map_err(io)?;
            fill(array, &mut archive)?;
        }
        let name = format!("{ABOUT}.npy");
        archive.start_file(name, options).map_err(zipped)?;
        let header = npy_header("|u1", &[about.len()]);
        archive.write_all(&header).map_err(io)?;
        archive.write_all(about.as_bytes()).map_err(io)?;
        let mut writer = archive.finish().map_err(zipped)?;
        writer.flush().map_err(io)
    })
}

/// The head of an `.npy` file, version 1, as long as a multiple of 64 bytes.
fn npy_header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npz::{ArrayValues, Npz};

    fn written(path: &Path, fail: bool) -> Result<(), CheckpointError> {
        let plan = |name: &str, dtype, shape: &[usize]| Planned {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
        };
        let arrays = [
            plan("features", DType::F32, &[2, 3]),
            plan("source", DType::I64, &[2]),
        ];
        write(path, &arrays, "{\"a\": 1}", |array, to| {
            if fail {
                return Err(CheckpointError::damaged(Path::new("film"), "no frame"));
            }
            let bytes: Vec<u8> = match array.dtype {
                DType::F32 => (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect(),
                _ => [7i64, -8].iter().flat_map(|i| i.to_le_bytes()).collect(),
            };
            to.write_all(&bytes)
                .map_err(CheckpointError::io(path, "writing"))
        })
    }

    #[test]
    fn comes_back_from_either_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.npz");
        written(&path, false).unwrap();
        let mut npz = Npz::open(&path).unwrap();
        let features = npz.array("features").unwrap();
        assert_eq!(features.shape, [2, 3]);
        let values = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(features.values, ArrayValues::F32(values.clone()));
        assert_eq!(
            npz.array("source").unwrap().values,
            ArrayValues::I64(vec![7, -8])
        );
        let about = npz.array(ABOUT).unwrap().values;
        assert_eq!(about, ArrayValues::U8(b"{\"a\": 1}".to_vec()));

        let path = folder.path().join("features.safetensors");
        written(&path, false).unwrap();
        let (entries, metadata) = safetensors_file::open(&path, 0).unwrap();
        assert_eq!(metadata[ABOUT], "{\"a\": 1}");
        assert_eq!(entries["features"].shape, [2, 3]);
        let mut read = [0.0; 6];
        entries["features"].read_into(&path, &mut read).unwrap();
        assert_eq!(read[..], values[..]);
        assert_eq!(entries["source"].dtype, DType::I64);
    }

    #[test]
    fn failures_are_told_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.npz", "a.safetensors"] {
            let path = folder.path().join(name);
            let error = written(&path, true).unwrap_err().to_string();
            assert!(error.contains("film"), "{error}");
            assert!(!path.exists());
        }
        let error = written(&folder.path().join("a.csv"), false).unwrap_err();
        assert!(error.to_string().contains(".npz"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
