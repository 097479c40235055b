//! Continuous motion in whole episodes, in virtual time.

use std::path::Path;

use foresight_scenarios::monitor::MonitorConfig;
use foresight_scenarios::scenario::MotionMode;
use foresight_scenarios::{
    evaluate, Evaluation, EvaluationOptions, LoadedScenario, ModelSource, Variation,
};

/// Two development scenes, planned for by the oracle.
fn played(motion: MotionMode, latency_s: f64) -> Evaluation {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pick_and_place.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    loaded.scenario.motion = motion;
    loaded.scenario.virtual_latency_s = latency_s;
    let options = EvaluationOptions {
        episodes: 2,
        seed: 920_000,
        jobs: 2,
        variation: Variation::Plain,
    };
    evaluate(&loaded, &ModelSource::Oracle, &options, |_| {}).expect("played")
}

#[test]
fn episodes_without_stops_achieve_the_same_in_less_time_and_the_same_every_time() {
    let still = played(MotionMode::StopAndGo, 0.1);
    let moving = played(MotionMode::Continuous, 0.1);
    let again = played(MotionMode::Continuous, 0.1);
    let slow = played(MotionMode::Continuous, 0.4);
    for (i, run) in moving.runs.iter().enumerate() {
        let (before, slower) = (&still.runs[i], &slow.runs[i]);
        println!(
            "{:.2} s with stops, {:.2} s without, {:.2} s at 0.4 s a decision",
            before.arm_seconds, run.arm_seconds, slower.arm_seconds
        );
        assert_eq!(run.verdict.success, Some(true), "{:?}", run.verdict);
        assert_eq!(slower.verdict.success, Some(true), "{:?}", slower.verdict);
        assert!(run.arm_seconds < 0.85 * before.arm_seconds);
        assert_eq!((run.steps, run.dropped), (before.steps, 0));
        assert_eq!(run.refused_targets + slower.refused_targets, 0);
        assert!(run.end_error_m < before.end_error_m + 0.002, "{run:?}");
        let same = &again.runs[i];
        assert_eq!(run.verdict, same.verdict);
        assert_eq!(run.arm_seconds.to_bits(), same.arm_seconds.to_bits());
    }
}

#[test]
fn what_the_user_has_to_mend_ends_an_evaluation_and_is_no_row_of_failures() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reach.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    loaded.scenario.monitor = Some(MonitorConfig::default());
    let options = EvaluationOptions {
        episodes: 3,
        seed: 920_000,
        jobs: 2,
        variation: Variation::Plain,
    };
    let error = evaluate(&loaded, &ModelSource::Oracle, &options, |_| {}).expect_err("no eyes");
    assert!(error.is_input(), "{error}");
    assert!(error.to_string().contains("remove [monitor]"), "{error}");
}
