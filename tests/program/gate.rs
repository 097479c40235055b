//! A test that lacks what it needs passes only where nobody required that.

use std::process::Command;

use crate::require::{required, KNOWN, REQUIRE};

/// How a test ends where no program can be found.
fn without_programs(test: &str, require: &str) -> (bool, String) {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env("PATH", "")
        .env(REQUIRE, require)
        .env_remove("FORESIGHT_REQUIRE_FRANKA_SIM")
        .output()
        .expect("it starts");
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(words.contains("running 1 test"), "{words}");
    (output.status.success(), words)
}

#[test]
fn a_missing_program_is_a_skip_said_aloud_or_a_failure() {
    for (test, program) in [
        ("parity_droid_transform::parity_droid_transform", "ffmpeg"),
        ("reports::a_browser_is_here", "chromium"),
    ] {
        let (passed, words) = without_programs(test, "");
        assert!(passed && words.contains("SKIPPED, NOT PASSED"), "{words}");
        let (passed, words) = without_programs(test, &format!("franka-sim, {program}"));
        let named = format!("names {program}, which is not here");
        assert!(!passed && words.contains(&named), "{words}");
    }
}

#[test]
fn only_known_things_are_required() {
    for name in required() {
        assert!(
            KNOWN.contains(&name.as_str()),
            "{REQUIRE}: '{name}' is none of {KNOWN:?}"
        );
    }
}
