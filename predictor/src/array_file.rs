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
#[path = "../tests/unit/array_file.rs"]
mod tests;
