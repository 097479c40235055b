//! A scenario is its planner's preset, the file over it, and changes over that.

use std::path::Path;

use foresight_planner::PlannerConfig;
use foresight_scenarios::{LoadedScenario, ScenarioError};
use foresight_settings::Change;

const REACH: &str = include_str!("../../reach.toml");

/// The bundled scenario with other lines in its `[planner]`.
fn with_planner(lines: &str) -> String {
    REACH.replace("preset = \"fast\"", lines)
}

fn parse(text: &str) -> Result<LoadedScenario, ScenarioError> {
    LoadedScenario::parse(text, Path::new("reach.toml"))
}

fn planner(lines: &str) -> PlannerConfig {
    let loaded = parse(&with_planner(lines)).expect(lines);
    loaded.scenario.planner
}

/// The bundled scenario with changes.
fn changed(changes: &[&str]) -> Result<PlannerConfig, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reach.toml");
    let changes: Result<Vec<Change>, _> = changes.iter().map(|c| Change::parse(c)).collect();
    let changes = changes.map_err(|e| e.to_string())?;
    let loaded = LoadedScenario::read_changed(&file, &changes).map_err(|e| e.to_string())?;
    Ok(loaded.scenario.planner)
}

#[test]
fn a_file_is_laid_over_the_preset_it_names() {
    assert_eq!(planner(""), PlannerConfig::default());
    let paper = PlannerConfig::preset("paper").expect("paper");
    assert_eq!(planner("preset = \"paper\""), paper);
    let own = planner("preset = \"paper\"\nsamples = 100\nbox_m = 0.05");
    let wanted = PlannerConfig {
        samples: 100,
        box_m: 0.05,
        ..paper
    };
    assert_eq!(own, wanted);
}

#[test]
fn changes_are_laid_over_the_file() {
    let preset = |name| PlannerConfig::preset(name).expect("a preset");
    assert_eq!(changed(&[]), Ok(preset("fast")));
    assert_eq!(changed(&["planner.preset=icem"]), Ok(preset("icem")));
    let wanted = PlannerConfig {
        samples: 5,
        // A preset's number of elites doesn't forbid a small search.
        topk: 5,
        momentum_std: 0.3,
        ..preset("fast")
    };
    let few = ["planner.samples=5", "planner.momentum_std=0.3"];
    assert_eq!(changed(&few), Ok(wanted));
}

#[test]
fn a_wrong_change_is_named() {
    for (change, words) in [
        ("planner.sample=5", "did you mean `samples`"),
        ("planner.samples=few", "invalid type"),
        ("planner.samples=0", "samples is 0; give a number in 1..="),
        ("planner.preset=papre", "did you mean `paper`"),
        ("planner.residual_power=9", "give a number from 0"),
        ("planner.unresolved_power=9", "give a number from 0"),
        ("model.device=gpu", "device"),
        ("subgoal=[]", "add at least one [[subgoal]]"),
        ("planner.samples", "write KEY=VALUE"),
    ] {
        let error = changed(&[change]).expect_err(change);
        let named = format!("--set {change}: ");
        assert!(
            error.starts_with(&named) && error.contains(words),
            "{error}"
        );
    }
    // More elites than candidates, asked for by two changes.
    let both = changed(&["planner.topk=20", "planner.samples=10"]).expect_err("refused");
    assert!(both.starts_with("--set planner.topk=20: "), "{both}");
}

#[test]
fn old_keys_go_on_working_with_a_hint() {
    let text = with_planner(
        "preset = \"paper\"\nunresolved_power = 2.0\ndevice = \"candle-cpu\"\nprecision = \"f32\"",
    );
    let loaded = parse(&text).expect("a scenario of before");
    assert_eq!(loaded.scenario.planner.residual_power, 2.0);
    assert_eq!(loaded.scenario.model.device.to_string(), "candle-cpu");
    assert_eq!(loaded.scenario.model.precision.to_string(), "f32");
    let hints: Vec<String> = loaded.hints.iter().map(ToString::to_string).collect();
    let line = 1 + text
        .lines()
        .position(|l| l.starts_with("unresolved_power"))
        .expect("the line");
    assert_eq!(hints.len(), 3);
    let place = format!("reach.toml:{line}:1: ");
    assert!(
        hints[0].starts_with(&place) && hints[0].contains("residual_power"),
        "{hints:?}"
    );
    assert!(parse(REACH).expect("today's").hints.is_empty());
    // Old keys of a run's resolved scenario are read like any other.
    let both = parse(&with_planner(
        "unresolved_power = 2.0\nresidual_power = 1.0",
    ));
    let error = both.expect_err("two names for one thing").to_string();
    assert!(error.contains("unresolved_power"), "{error}");
}

#[test]
fn a_resolved_scenario_reads_as_itself() {
    for preset in ["fast", "icem", "random"] {
        let text = with_planner(&format!("preset = \"{preset}\"\npreview_share = 0.5"));
        let loaded = parse(&text).expect("a scenario");
        let resolved = toml::to_string(&loaded.scenario).expect("TOML");
        assert_eq!(parse(&resolved).expect(&resolved).scenario, loaded.scenario);
    }
}

#[test]
fn the_search_is_checked_whatever_else_is_wrong() {
    let text = with_planner("samples = 0\nnoise_colour = 9.0\nresidual_power = -1.0")
        .replace("steps = 8", "steps = 0")
        .replace(
            "name = \"reach\"\ndescription",
            "name = \"../x\"\ndescription",
        );
    let Err(ScenarioError::Content(faults)) = parse(&text) else {
        panic!("accepted");
    };
    let message = ScenarioError::Content(faults.clone()).to_string();
    let key = |key: &str| {
        1 + text
            .lines()
            .position(|l| l.starts_with(key))
            .expect("a line")
    };
    for (at, what) in [
        (key("name"), "the name is"),
        (key("samples"), "samples is 0"),
        (key("noise_colour"), "noise_colour is 9"),
        (key("residual_power"), "residual_power is -1"),
        (key("steps"), "0 steps"),
    ] {
        let told = |f: &foresight_settings::Located| {
            f.location.line() == Some(at) && f.what.contains(what) && !f.remedy.is_empty()
        };
        assert!(faults.iter().any(told), "{what} at line {at}: {message}");
    }
    assert_eq!(faults.len(), 5, "{message}");
}
