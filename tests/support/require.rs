//! What a test needs beyond this repository. A test without it says so and passes; where
//! `FORESIGHT_REQUIRE` names it, as `.ci/run` does, the test fails.

#![allow(dead_code)] // each test binary asks for a part

use std::io::Write;
use std::process::{Command, Stdio};

/// What must be there, separated by commas, of [`KNOWN`].
pub const REQUIRE: &str = "FORESIGHT_REQUIRE";
/// Requires franka-sim too, whatever its value: what it was called before.
const REQUIRE_FRANKA_SIM: &str = "FORESIGHT_REQUIRE_FRANKA_SIM";
/// Everything that some test needs.
pub const KNOWN: [&str; 3] = ["ffmpeg", "chromium", "franka-sim"];

/// What is required here.
pub fn required() -> Vec<String> {
    let text = std::env::var(REQUIRE).unwrap_or_default();
    let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
    let old = std::env::var_os(REQUIRE_FRANKA_SIM).map(|_| "franka-sim");
    words.chain(old).map(str::to_owned).collect()
}

/// Whether the test can run: `there`, or else that is said.
///
/// # Panics
/// `what` is required and not there.
pub fn present(what: &str, there: bool, remedy: &str) -> bool {
    assert!(KNOWN.contains(&what), "{what} is not in KNOWN");
    if !there {
        let required = required().iter().any(|name| name == what);
        assert!(
            !required,
            "{REQUIRE} names {what}, which is not here: {remedy}"
        );
        // Past libtest, which keeps what a passing test prints to itself.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED, NOT PASSED: no {what}: {remedy}\n"
        );
    }
    there
}

/// Whether a test that makes or reads videos can run.
pub fn ffmpeg() -> bool {
    let mut version = Command::new("ffmpeg");
    version.arg("-version").stdin(Stdio::null());
    present(
        "ffmpeg",
        version.output().is_ok(),
        "install FFmpeg (Debian: apt-get install ffmpeg)",
    )
}
