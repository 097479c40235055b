//! What can go wrong between machines.

use foresight_predictor::PredictorError;

/// Why a worker can't be started or used.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// The link, in the arm's client's words: the same code opens it.
    #[error(transparent)]
    Link(#[from] foresight_robot::ArmError),
    /// zenoh refused.
    #[error("{what}: {reason}")]
    Zenoh {
        /// What was tried.
        what: String,
        /// zenoh's words.
        reason: String,
    },
    /// Nobody answered at these endpoints.
    #[error("no worker answers at {endpoints}; start one there with `foresight serve MODEL --listen ENDPOINT`")]
    Silent {
        /// Where they should be.
        endpoints: String,
    },
    /// A worker has another model.
    #[error(
        "the worker {worker} serves the model {theirs} (sha256 {their_hash}), and this plan needs {ours} ({our_hash}); serve the same folder there"
    )]
    OtherModel {
        /// The worker's name.
        worker: String,
        /// Its model.
        theirs: String,
        /// Hash of its weights.
        their_hash: String,
        /// This side's model.
        ours: String,
        /// Hash of its weights.
        our_hash: String,
    },
    /// A worker speaks another version of these messages.
    #[error("the worker {worker} speaks version {theirs} of the workers' messages, this program {ours}; run the same program on both machines")]
    OtherProtocol {
        /// The worker's name.
        worker: String,
        /// Its version.
        theirs: u32,
        /// This program's.
        ours: u32,
    },
    /// The model fails.
    #[error(transparent)]
    Model(#[from] PredictorError),
}

/// A zenoh error, with what was tried.
pub(crate) fn zenoh_error(what: impl Into<String>) -> impl FnOnce(zenoh::Error) -> WorkersError {
    let what = what.into();
    move |reason| WorkersError::Zenoh {
        what,
        reason: reason.to_string(),
    }
}
