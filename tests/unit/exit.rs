//! Unit tests of `src/exit.rs`.

use anyhow::Context;

use super::*;

#[test]
fn a_cause_is_said_once() {
    let file = foresight_scenarios::LoadedScenario::read("nowhere.toml".as_ref());
    let error = anyhow::Error::new(file.expect_err("no such file"));
    assert_eq!(in_full(&error).matches("No such file").count(), 1);
    let error = error.context("reading it");
    assert!(in_full(&error).starts_with("reading it: can't read nowhere.toml"));
    let other: anyhow::Result<()> = Err(std::io::Error::other("full")).context("writing");
    assert_eq!(in_full(&other.expect_err("an error")), "writing: full");
}

#[test]
fn a_robot_that_fails_is_no_bad_input() {
    let lost = ArmError::LeaseLost {
        arm: "fr3".into(),
        holder: 0,
    };
    assert!(failed(&lost.into()));
    let file = || ArmError::LinkFile {
        path: "old.json5".into(),
        reason: "unknown field `peer`".into(),
    };
    assert!(!failed(&file().into()));
    assert!(!failed(&RunError::from(file()).into()));
    assert!(!failed(&anyhow::anyhow!("give --host")));
}
