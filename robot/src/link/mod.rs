//! The zenoh side of a client: the session, the commands, what the node and the camera publish,
//! and the thread that streams targets.

mod commands;
mod monitor;
mod publisher;
pub(crate) mod scene;
mod session;
mod threads;

pub use commands::{command, request, stop, Lease};
pub(crate) use monitor::grasped;
pub use monitor::{Monitor, RawFrame, TimedState, FROZEN};
pub(crate) use publisher::SetpointPublisher;
pub use scene::{begin_scene, SceneGoal, SceneVerdict};
pub use session::{configuration, open, LinkConfig, TlsConfig};
pub use threads::{arrange_threads, ONE_THREAD};
pub use zenoh_runtime::ZENOH_RUNTIME_ENV;

use crate::arm::ArmError;

/// A zenoh error as an [`ArmError`].
pub(crate) fn link_error(what: impl Into<String>, reason: impl ToString) -> ArmError {
    ArmError::Link {
        what: what.into(),
        reason: plain(&reason.to_string()),
    }
}

/// zenoh's words without the places in its own source that it adds: ` at /…/lib.rs:1484`.
fn plain(reason: &str) -> String {
    let mut plain = String::new();
    let mut rest = reason;
    while let Some(at) = rest.find(".rs:") {
        let (before, after) = rest.split_at(at);
        let digits = after[4..].chars().take_while(char::is_ascii_digit).count();
        // The place begins behind the last ` at `, and is a path without blanks.
        let place = before.rfind(" at ");
        let place = place.filter(|i| digits > 0 && !before[i + 4..].contains(char::is_whitespace));
        match place {
            Some(i) => plain += &before[..i],
            None => plain += &rest[..at + 4 + digits],
        }
        rest = &after[4 + digits..];
    }
    plain + rest
}

#[cfg(test)]
#[path = "../../tests/unit/link.rs"]
mod tests;
