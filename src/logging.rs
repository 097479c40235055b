//! What is logged, and how: to standard error, coloured only where a terminal shows it.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// What is logged unless RUST_LOG says otherwise. zenoh calls a sample that overtakes its key's
/// declaration, which happens while connecting, an error.
const QUIET: &str = "warn,zenoh=error,zenoh::api::session=off";
/// Links here name their endpoints and never gossip; zenoh warns of that in every session.
const GOSSIP: &str = "zenoh::net::routing::hat=error";

/// Starts logging.
pub(crate) fn start() {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives(std::env::var("RUST_LOG").ok())))
        .with_ansi(std::io::stderr().is_terminal() && !no_colour)
        .with_writer(std::io::stderr)
        .init();
}

/// Says on standard output what is offered. Whoever read that may be gone: what is offered stays.
pub(crate) fn announce(offer: impl Display) {
    let _ = writeln!(std::io::stdout(), "{offer}\nCtrl-C ends it");
}

/// The filter's directives for a value of RUST_LOG: its own, and the warning of disabled gossip
/// only where zenoh's messages are asked for by name.
fn directives(asked: Option<String>) -> String {
    match asked.filter(|asked| !asked.is_empty() && EnvFilter::try_new(asked).is_ok()) {
        None => QUIET.into(),
        Some(asked) if asked.contains("zenoh") => asked,
        Some(asked) => format!("{asked},{GOSSIP}"),
    }
}

#[cfg(test)]
#[path = "../tests/unit/logging.rs"]
mod tests;
