//! What can go wrong with episodes on disk; every error names the file and the remedy.

use std::path::{Path, PathBuf};

use foresight_planner::git_lfs;

/// A result whose error is [`DatasetError`] unless another is named.
pub type Result<T, E = DatasetError> = std::result::Result<T, E>;

/// Why a dataset or an episode could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, e.g. "read".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file exists, but its content is not what its name promises.
    #[error("{} is unusable: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// An episode's files contradict each other.
    #[error("the episode {} is unusable: {reason}", path.display())]
    Episode {
        /// The episode's folder.
        path: PathBuf,
        /// Which files disagree, and how.
        reason: String,
    },
    /// The program that decodes videos is missing or can't be run.
    #[error("{0}")]
    Decoder(String),
    /// A seed outside the range its use allows.
    #[error("{0}")]
    Seed(String),
    /// No usable episode where some were expected.
    #[error("no episode was found below {}: {reason}", path.display())]
    Empty {
        /// The dataset's folder.
        path: PathBuf,
        /// What was looked for, and the first reason an episode was passed over.
        reason: String,
    },
    /// Episodes that cannot be used together.
    #[error("{0}")]
    Mismatch(String),
}

impl DatasetError {
    /// Wraps an I/O error with what was attempted on which path.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        DatasetError::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// A file whose content is wrong; of one that Git LFS hasn't pulled, that is the reason.
    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        let reason = if git_lfs::is_pointer(path) {
            git_lfs::fault()
        } else {
            reason.into()
        };
        DatasetError::Corrupt {
            path: path.to_path_buf(),
            reason,
        }
    }

    /// An episode whose files disagree.
    pub(crate) fn episode(path: &Path, reason: impl Into<String>) -> Self {
        DatasetError::Episode {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/error.rs"]
mod tests;
