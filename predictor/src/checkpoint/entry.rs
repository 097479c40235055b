//! One tensor of a checkpoint: what it is and where its bytes lie, not yet read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

use super::error::CheckpointError;

/// Values that are turned into bytes, or back, at a time.
pub(super) const VALUES_AT_ONCE: usize = 1 << 16;

/// Bytes of one of the checkpoint's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Index into the checkpoint's files.
    pub file: usize,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: usize,
}

/// How elements lie in their span.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// All of them, in row-major order.
    Dense(Span),
    /// Anywhere: `shape` and `strides` in elements, the first element at the span's start.
    Strided {
        span: Span,
        shape: Vec<usize>,
        strides: Vec<usize>,
    },
}

/// A tensor in a checkpoint. Its metadata were checked against the file's size when it was
/// indexed; its data are read on demand.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Element type as stored.
    pub dtype: DType,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Joined along the first dimension: a fused tensor may be stored in several.
    pub(super) pieces: Vec<Piece>,
}

impl Entry {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads the data, little-endian and row-major.
    pub(super) fn bytes(&self, files: &[PathBuf]) -> Result<Vec<u8>, CheckpointError> {
        let size = self.dtype.size_in_bytes();
        let mut out = Vec::with_capacity(self.elements() * size);
        for piece in &self.pieces {
            match piece {
                Piece::Dense(span) => span.read(files, &mut out)?,
                Piece::Strided {
                    span,
                    shape,
                    strides,
                } => {
                    let mut storage = Vec::with_capacity(span.length);
                    span.read(files, &mut storage)?;
                    gather(&storage, size, shape, strides, &mut out);
                }
            }
        }
        Ok(out)
    }

    /// Reads a tensor of f32, f16 or bf16 into `out`, without a copy of all its bytes.
    ///
    /// # Errors
    /// When it has another number of elements than `out` or another type, or reading fails.
    pub fn read_into(&self, path: &Path, out: &mut [f32]) -> Result<(), CheckpointError> {
        let wrong = |what: String| CheckpointError::damaged(path, what);
        let [Piece::Dense(span)] = self.pieces.as_slice() else {
            return Err(wrong("a tensor in it is stored in pieces".to_owned()));
        };
        if self.elements() != out.len() {
            let (found, expected) = (self.elements(), out.len());
            return Err(wrong(format!(
                "a tensor has {found} values, not {expected}"
            )));
        }
        let decode: fn(&[u8]) -> f32 = match self.dtype {
            DType::F32 => |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            DType::F16 => |b| f16::from_le_bytes([b[0], b[1]]).to_f32(),
            DType::BF16 => |b| bf16::from_le_bytes([b[0], b[1]]).to_f32(),
            other => return Err(wrong(format!("a tensor has the type {other:?}"))),
        };
        let mut file = File::open(path).map_err(CheckpointError::io(path, "opening"))?;
        file.seek(SeekFrom::Start(span.offset))
            .map_err(CheckpointError::io(path, "seeking"))?;
        let size = self.dtype.size_in_bytes();
        let mut bytes = vec![0u8; size * VALUES_AT_ONCE];
        for out in out.chunks_mut(VALUES_AT_ONCE) {
            let bytes = &mut bytes[..size * out.len()];
            file.read_exact(bytes)
                .map_err(CheckpointError::io(path, "reading"))?;
            for (value, bytes) in out.iter_mut().zip(bytes.chunks_exact(size)) {
                *value = decode(bytes);
            }
        }
        Ok(())
    }

    /// Reads the tensor as it is stored.
    pub(super) fn tensor(&self, files: &[PathBuf]) -> Result<Tensor, CheckpointError> {
        let bytes = self.bytes(files)?;
        let path = self.pieces.first().and_then(|p| {
            let (Piece::Dense(span) | Piece::Strided { span, .. }) = p;
            files.get(span.file)
        });
        let path = path.cloned().unwrap_or_default();
        Tensor::from_raw_buffer(&bytes, self.dtype, &self.shape, &Device::Cpu)
            .map_err(CheckpointError::tensor(&path))
    }
}

impl Span {
    fn read(&self, files: &[PathBuf], out: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let path = &files[self.file];
        let mut file = File::open(path).map_err(CheckpointError::io(path, "opening"))?;
        file.seek(SeekFrom::Start(self.offset))
            .map_err(CheckpointError::io(path, "seeking"))?;
        let read = file
            .take(self.length as u64)
            .read_to_end(out)
            .map_err(CheckpointError::io(path, "reading"))?;
        if read != self.length {
            return Err(CheckpointError::damaged(
                path,
                format!(
                    "it ended {} bytes early while being read",
                    self.length - read
                ),
            ));
        }
        Ok(())
    }
}

/// Copies the elements of a strided view in row-major order. The caller has checked that the
/// furthest element is inside `storage`.
fn gather(storage: &[u8], size: usize, shape: &[usize], strides: &[usize], out: &mut Vec<u8>) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0usize; shape.len()];
    loop {
        let at: usize = index.iter().zip(strides).map(|(i, s)| i * s).sum();
        out.extend_from_slice(&storage[at * size..(at + 1) * size]);
        let mut dim = shape.len();
        loop {
            if dim == 0 {
                return;
            }
            dim -= 1;
            index[dim] += 1;
            if index[dim] < shape[dim] {
                break;
            }
            index[dim] = 0;
        }
    }
}

#[cfg(test)]
#[path = "../../tests/unit/checkpoint_entry.rs"]
mod tests;
