//! What can go wrong with a model.

use std::path::PathBuf;

use crate::compute_device::ComputeDevice;

/// A result whose error is [`PredictorError`] unless another is named.
pub type Result<T, E = PredictorError> = std::result::Result<T, E>;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum PredictorError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// A model, its configuration and what is asked of it don't fit together.
    #[error("{0}")]
    Model(String),
    /// A device can't compute.
    #[error("{device}: {what}")]
    Device {
        /// The device asked for.
        device: ComputeDevice,
        /// What is wrong and what to do.
        what: String,
    },
    /// A checkpoint can't be used: a `CheckpointError`.
    #[error(transparent)]
    Checkpoint(Box<dyn std::error::Error + Send + Sync>),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
