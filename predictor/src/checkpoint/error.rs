//! What can be wrong with a checkpoint.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::audit::Audit;
use super::Part;
use crate::error::PredictorError;
use foresight_planner::git_lfs;

/// A checkpoint that can't be used; every message names the file, the fault and a remedy.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("{}: {action} failed ({reason}); check the path, its permissions and the free space", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        reason: std::io::Error,
    },
    /// The bytes are not those of a whole checkpoint.
    #[error("{}: {problem}; {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What helps.
        remedy: String,
    },
    /// A whole file, but of a kind or with contents that can't be used here.
    #[error("{}: {problem}; {remedy}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What can't be used.
        problem: String,
        /// What helps.
        remedy: String,
    },
    /// The tensors are not those of the architecture.
    #[error(
        "{}: the {part} doesn't fit its architecture:\n{audit}\n{family}use a checkpoint of this architecture, or give the right one with --config",
        path.display()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Which network.
        part: Part,
        /// What is missing, unexpected or of another shape.
        audit: Box<Audit>,
        /// Which family's it is, where that is another one than the architecture's.
        family: String,
    },
    /// A tensor could not be made or moved.
    #[error("{}: {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: candle_core::Error,
    },
}

/// What to do about a file that was cut short or overwritten.
pub(super) const COPY_AGAIN: &str =
    "download or copy it again and compare its size with the original";

/// What PyTorch's files began with before they were archives, after the pickle's protocol.
const BEFORE_ZIP: [u8; 12] = *b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

impl CheckpointError {
    /// What makes an error of an input or output error with `path` while doing `action`.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> CheckpointError {
        let path = path.to_path_buf();
        move |reason| CheckpointError::Io {
            path,
            action,
            reason,
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        CheckpointError::Damaged {
            path: path.to_path_buf(),
            problem: problem.into(),
            remedy: COPY_AGAIN.into(),
        }
    }

    pub(crate) fn unsupported(
        path: &Path,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        CheckpointError::Unsupported {
            path: path.to_path_buf(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// What a file that can't be read by its name, which ends in `extension`, is by its first bytes; `None`
    /// where they don't tell, or tell the same.
    pub(super) fn misnamed(path: &Path, extension: &str) -> Option<Self> {
        let mut start = Vec::new();
        let file = File::open(path).ok()?;
        file.take(16).read_to_end(&mut start).ok()?;
        let told = match (extension, &start[..]) {
            ("safetensors", [_, _, _, _, _, _, _, _, b'{', ..]) => return None,
            (_, [_, _, _, _, _, _, _, _, b'{', ..]) => {
                "it is a safetensors file; rename it to .safetensors"
            }
            ("safetensors", [b'P', b'K', 3, 4, ..]) => {
                "it is a zip archive, as torch.save writes them; rename it to .pt"
            }
            (_, [0x80, _, rest @ ..]) if rest.starts_with(&BEFORE_ZIP) => {
                "it is as PyTorch saved before 1.6; load it with a current PyTorch and torch.save it again"
            }
            (_, [0x80, 2..=5, ..]) => {
                "it is a pickle of Python, not what torch.save writes; load it in Python and torch.save its state dict"
            }
            _ => return None,
        };
        let (problem, remedy) = told.split_once("; ")?;
        Some(CheckpointError::unsupported(path, problem, remedy))
    }

    pub(super) fn lfs_pointer(path: &Path) -> Self {
        CheckpointError::unsupported(path, git_lfs::PROBLEM, git_lfs::REMEDY)
    }

    pub(super) fn tensor(path: &Path) -> impl FnOnce(candle_core::Error) -> CheckpointError {
        let path = path.to_path_buf();
        move |reason| CheckpointError::Tensor { path, reason }
    }
}

impl From<CheckpointError> for PredictorError {
    fn from(error: CheckpointError) -> Self {
        PredictorError::Checkpoint(Box::new(error))
    }
}
