//! Safetensors files: an index on reading, a stream on writing.
//!
//! The header is read and checked on its own, so that gigabytes of weights are neither mapped
//! nor loaded to find out what they are; writing takes one tensor at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use candle_core::DType;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Piece, Span, VALUES_AT_ONCE};
use super::error::CheckpointError;
use foresight_planner::git_lfs;

/// Largest header, bytes: the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

#[derive(Debug, Serialize, Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// What a file's header says beside its tensors.
pub type Metadata = BTreeMap<String, String>;

/// Locates every tensor of `path`, file number `file` of its checkpoint.
///
/// # Errors
/// When the file is cut short, its header contradicts itself, or a type is not supported.
pub(super) fn index(path: &Path, file: usize) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    open(path, file).map(|(entries, _)| entries)
}

/// As `index`, with the metadata.
///
/// # Errors
/// As there.
pub fn open(
    path: &Path,
    file: usize,
) -> Result<(BTreeMap<String, Entry>, Metadata), CheckpointError> {
    let mut reader = File::open(path).map_err(CheckpointError::io(path, "opening"))?;
    if git_lfs::is_pointer(path) {
        return Err(CheckpointError::lfs_pointer(path));
    }
    let length = reader
        .metadata()
        .map_err(CheckpointError::io(path, "reading"))?
        .len();
    let mut start = [0u8; 8];
    if length < 8 {
        return Err(CheckpointError::damaged(
            path,
            format!("a safetensors file has more than {length} bytes"),
        ));
    }
    reader
        .read_exact(&mut start)
        .map_err(CheckpointError::io(path, "reading"))?;
    let header_length = u64::from_le_bytes(start);
    let data_start = header_length
        .checked_add(8)
        .filter(|end| *end <= length && header_length <= MAX_HEADER);
    let Some(data_start) = data_start else {
        let misnamed = CheckpointError::misnamed(path, "safetensors");
        return Err(misnamed.unwrap_or_else(|| CheckpointError::damaged(
            path,
            format!("its header of {header_length} bytes doesn't fit into its {length} bytes, so it is cut short or no safetensors file"),
        )));
    };
    let mut header = Vec::with_capacity(header_length as usize);
    reader
        .take(header_length)
        .read_to_end(&mut header)
        .map_err(CheckpointError::io(path, "reading"))?;
    parse(&header, data_start, length - data_start, file).map_err(|fault| match fault {
        HeaderFault::Damaged(problem) => CheckpointError::damaged(path, problem),
        HeaderFault::Type(problem) => CheckpointError::unsupported(
            path,
            problem,
            "cast its tensors to bfloat16 in PyTorch and save them again: `save_file({k: v.to(torch.bfloat16) for k, v in load_file(FILE).items()}, NEW)`; of 8-bit weights with scales, take the original ones",
        ),
    })
}

/// What can be wrong with a header.
enum HeaderFault {
    /// It contradicts itself or the file's length.
    Damaged(String),
    /// It names a type that isn't read.
    Type(String),
}

impl From<String> for HeaderFault {
    fn from(problem: String) -> Self {
        HeaderFault::Damaged(problem)
    }
}

fn parse(
    header: &[u8],
    data_start: u64,
    data_length: u64,
    file: usize,
) -> Result<(BTreeMap<String, Entry>, Metadata), HeaderFault> {
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header)
        .map_err(|e| format!("its header is no safetensors header ({e})"))?;
    let mut entries = BTreeMap::new();
    let mut metadata = Metadata::new();
    for (name, value) in header {
        if name == "__metadata__" {
            metadata = serde_json::from_value(value)
                .map_err(|e| format!("its metadata are no texts ({e})"))?;
            continue;
        }
        let info: Info = serde_json::from_value(value)
            .map_err(|e| format!("its header describes {name} wrongly ({e})"))?;
        let dtype = dtype(&info.dtype).ok_or_else(|| {
            let problem = format!("{name} is of type {}, which is not supported", info.dtype);
            HeaderFault::Type(problem)
        })?;
        let [begin, end] = info.data_offsets;
        let bytes = info
            .shape
            .iter()
            .try_fold(dtype.size_in_bytes(), |n, d| n.checked_mul(*d));
        if end < begin || bytes.map(|b| b as u64) != Some(end - begin) {
            return Err(format!(
                "{name} of shape {:?} doesn't take bytes {begin} to {end}",
                info.shape
            )
            .into());
        }
        if end > data_length {
            return Err(format!(
                "it is cut short: {name} ends at byte {end} of the data, but only {data_length} are there"
            ).into());
        }
        let span = Span {
            file,
            offset: data_start + begin,
            length: (end - begin) as usize,
        };
        let entry = Entry {
            dtype,
            shape: info.shape,
            pieces: vec![Piece::Dense(span)],
        };
        entries.insert(name, entry);
    }
    Ok((entries, metadata))
}

/// One tensor to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name in the file.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub shape: Vec<usize>,
}

/// Writes a safetensors file, taking each tensor's bytes from `data` when its turn comes. The
/// file appears under its name only once it is whole.
///
/// # Errors
/// When the disk fails, `data` does, or it gives another number of bytes than planned.
pub(super) fn write(
    path: &Path,
    tensors: &[Planned],
    mut data: impl FnMut(&Planned) -> Result<Vec<u8>, CheckpointError>,
) -> Result<(), CheckpointError> {
    let metadata = Metadata::from([("format".to_owned(), "pt".to_owned())]);
    stream(path, tensors, &metadata, |t, writer| {
        writer
            .write_all(&data(t)?)
            .map_err(CheckpointError::io(path, "writing"))
    })
}

/// As [`write`], each tensor written by `fill` piece by piece, so that no copy of it is needed.
///
/// # Errors
/// As there.
pub fn stream(
    path: &Path,
    tensors: &[Planned],
    metadata: &Metadata,
    mut fill: impl FnMut(&Planned, &mut dyn Write) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let mut tensors: Vec<&Planned> = tensors.iter().collect();
    // Widest elements first keeps every tensor aligned, as the format's own writer does.
    tensors.sort_by(|a, b| {
        let wide = |t: &Planned| t.dtype.size_in_bytes();
        wide(b).cmp(&wide(a)).then_with(|| a.name.cmp(&b.name))
    });
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!(metadata));
    let mut end = 0u64;
    for t in &tensors {
        let begin = end;
        end += (t.shape.iter().product::<usize>() * t.dtype.size_in_bytes()) as u64;
        let name = dtype_name(t.dtype).ok_or_else(|| {
            CheckpointError::unsupported(
                path,
                format!("{} is of type {:?}", t.name, t.dtype),
                "write f32, f16 or bf16",
            )
        })?;
        let info = serde_json::json!({
            "dtype": name, "shape": t.shape, "data_offsets": [begin, end]
        });
        header.insert(t.name.clone(), info);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    replace(path, |file| {
        let io = |e| CheckpointError::io(path, "writing")(e);
        let mut writer = Counted {
            to: BufWriter::with_capacity(1 << 20, file),
            written: 0,
        };
        writer
            .write_all(&(header.len() as u64).to_le_bytes())
            .map_err(io)?;
        writer.write_all(&header).map_err(io)?;
        for t in &tensors {
            let before = writer.written;
            fill(t, &mut writer)?;
            let written = writer.written - before;
            let expected = t.shape.iter().product::<usize>() * t.dtype.size_in_bytes();
            if written != expected {
                return Err(CheckpointError::damaged(
                    path,
                    format!("{} has {written} bytes, not {expected}", t.name),
                ));
            }
        }
        writer.flush().map_err(io)
    })
}

/// Knows how much has gone through it.
struct Counted<W> {
    to: W,
    written: usize,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.written += written;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Writes values as little-endian f32, without a copy of all of them.
///
/// # Errors
/// When the writer fails.
pub fn write_f32(values: &[f32], to: &mut dyn Write) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * VALUES_AT_ONCE);
    for values in values.chunks(VALUES_AT_ONCE) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        to.write_all(&bytes)?;
    }
    Ok(())
}

/// Writes a file beside `path`, syncs it and moves it there: whoever reads `path` sees the old
/// file or the whole new one.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .map_err(CheckpointError::io(&temporary, "creating"))
        .and_then(|mut file| {
            fill(&mut file)?;
            file.sync_all()
                .map_err(CheckpointError::io(&temporary, "writing"))
        })
        .and_then(|()| {
            std::fs::rename(&temporary, path).map_err(CheckpointError::io(path, "replacing"))
        });
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn dtype(name: &str) -> Option<DType> {
    Some(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "U8" | "BOOL" => DType::U8,
        "U32" => DType::U32,
        _ => return None,
    })
}

fn dtype_name(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_safetensors_file.rs"]
mod tests;
