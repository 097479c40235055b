//! The zenoh side of a client: the session, the commands, what the node and the camera publish,
//! and the thread that streams targets.

mod commands;
mod monitor;
mod publisher;
mod session;
mod threads;

pub use commands::{command, request, stop, Lease};
pub(crate) use monitor::grasped;
pub use monitor::{Monitor, RawFrame, TimedState, FROZEN};
pub(crate) use publisher::SetpointPublisher;
pub use session::{open, LinkConfig, TlsConfig};
pub use threads::{arrange_threads, ONE_THREAD};
pub use zenoh_runtime::ZENOH_RUNTIME_ENV;

use crate::arm::ArmError;

/// A zenoh error as an [`ArmError`].
pub(crate) fn link_error(what: impl Into<String>, reason: impl ToString) -> ArmError {
    ArmError::Link {
        what: what.into(),
        reason: reason.to_string(),
    }
}
