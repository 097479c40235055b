//! The monitor: what it is fitted to, what it notices, and what its alarms do.

use std::path::Path;

use foresight_planner::Action;
use foresight_predictor::Latent;
use foresight_scenarios::controllers::LoadedModel;
use foresight_scenarios::env::Env;
use foresight_scenarios::episode::{self, EpisodeOutcome, Unwatched};
use foresight_scenarios::faults::{FaultKind, Faults};
use foresight_scenarios::monitor::{
    expected_action, fit, Expectation, FitHeader, Fitted, MonitorConfig, OnAlarm, Transition,
};
use foresight_scenarios::success::FailureKind;
use foresight_scenarios::{
    action_map::ActionMap, EpisodeSpec, LoadedScenario, ModelSource, RunError,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 920_400;

fn reach() -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reach.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    loaded.scenario.planner.samples = 16;
    loaded.scenario.planner.iterations = 2;
    loaded.scenario.planner.topk = 4;
    loaded
}

fn model() -> ModelSource {
    ModelSource::model(&reach().model_dir().expect("the bundled model")).expect("a model")
}

fn eyes(source: &ModelSource) -> &LoadedModel {
    source.eyes().expect("a model")
}

/// An episode whose errors are a tenth of the changes that were expected, `wrong` added to the
/// tokens of its third step.
fn episode(loaded: &LoadedModel, seed: u64, wrong: &[(usize, f32)]) -> Vec<Transition> {
    let [tokens, width] = loaded.model.latent_shape();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..6)
        .map(|step| {
            // Some tokens change ten times as much as others, others from step to step.
            let mut before = Vec::new();
            let (mut expected, mut reached) = (Vec::new(), Vec::new());
            for token in 0..tokens {
                let large = if (token + step) % 3 == 0 { 1.0 } else { 0.1 };
                let off = wrong
                    .iter()
                    .filter(|w| step == 2 && w.0 == token)
                    .map(|w| w.1)
                    .sum::<f32>();
                for _ in 0..width {
                    let mut draw = |scale: f32| scale * (rng.random::<f32>() - 0.5);
                    let (b, change, error) = (draw(2.0), draw(large), draw(0.1 * large));
                    before.push(b);
                    expected.push(b + change);
                    reached.push(b + change + error + draw(2.0 * off));
                }
            }
            let latent = |values| Latent { values, tokens };
            Transition {
                subgoal: 0,
                subgoal_step: step as u32,
                action: Action::from_array([0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
                closedness: [0.1, 0.1 + 0.01 * rng.random::<f64>()],
                before: latent(before),
                expected: latent(expected),
                reached: latent(reached),
                goal_distance: [1.0 / (1.0 + step as f32), 1.0 / (2.0 + step as f32)],
            }
        })
        .collect()
}

fn fitted(loaded: &LoadedModel, expectation: Expectation) -> Fitted {
    let scenario = reach().scenario;
    let header = FitHeader {
        scenario: &scenario,
        loaded,
        expectation,
        false_alarms: 0.05,
    };
    fit(header, 80, |i| Ok(episode(loaded, i as u64, &[]))).expect("a monitor")
}

fn largest(fitted: &Fitted, episode: &[Transition]) -> f64 {
    fitted
        .scores(episode)
        .iter()
        .map(|s| s.score)
        .fold(0.0, f64::max)
}

#[test]
fn what_an_action_should_not_have_done_is_noticed_where_it_was_done() {
    let source = model();
    let loaded = eyes(&source);
    let monitor = fitted(loaded, Expectation::Action);
    let raised = (1000..1100)
        .filter(|seed| largest(&monitor, &episode(loaded, *seed, &[])) > monitor.threshold);
    let false_alarms = raised.count();
    assert!(false_alarms <= 15, "{false_alarms} of 100 at 5 %");
    // Token 4 stands still in step 2 ((4 + 2) % 3 == 0 moves, 5 doesn't): as large an error as where
    // much moves is none there.
    for (token, off) in [(5, 0.1), (6, 0.1), (4, 1.0)] {
        let watched = episode(loaded, 2000, &[(token, off)]);
        let scores = monitor.scores(&watched);
        assert!(
            scores[2].score > 1.5 * monitor.threshold,
            "{token}: {:?}",
            scores[2]
        );
        assert!(scores[1].score < monitor.threshold);
        let map = &scores[2].tokens;
        let most = map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        assert_eq!(most.map(|(i, _)| i), Some(token));
        let reason = monitor.reason(&watched[2], &scores[2]);
        let columns = monitor.grid()[1];
        let place = format!(
            "row {} of {}, column {}",
            token / columns + 1,
            monitor.grid()[0],
            token % columns + 1
        );
        assert!(reason.contains(&place), "{reason}");
    }
    // Fingers that move by themselves.
    let mut watched = episode(loaded, 2001, &[]);
    watched[3].closedness[1] = 0.9;
    let scores = monitor.scores(&watched);
    assert!(scores[3].score > 3.0 * monitor.threshold);
    assert!(monitor
        .reason(&watched[3], &scores[3])
        .contains("the fingers moved by 0.80"));
    // A baseline that knows the goal alone sees none of it.
    let blind = fitted(loaded, Expectation::GoalDistance);
    assert_eq!(
        largest(&blind, &episode(loaded, 2000, &[(5, 0.1)])),
        largest(&blind, &episode(loaded, 2000, &[]))
    );
}

#[test]
fn a_number_that_is_none_stays_none_and_a_file_reads_back() {
    let source = model();
    let loaded = eyes(&source);
    let monitor = fitted(loaded, Expectation::Action);
    let mut watched = episode(loaded, 3000, &[]);
    watched[0].expected.values[7] = f32::NAN;
    assert!(monitor.score(&watched[0], None).score.is_nan());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("monitor.json");
    monitor.write(&file).expect("written");
    assert_eq!(Fitted::read(&file).expect("read"), monitor);
    monitor
        .check(&reach().scenario, loaded)
        .expect("its own model");
    let mut foreign = monitor.clone();
    foreign.weights_sha256 = "0".repeat(64);
    let error = foreign
        .check(&reach().scenario, loaded)
        .expect_err("other weights");
    assert!(error.to_string().contains("other weights"), "{error}");
    let mut other = reach().scenario;
    other.subgoal[0].name = "elsewhere".into();
    let error = monitor.check(&other, loaded).expect_err("other sub-goals");
    assert!(error.to_string().contains("elsewhere"), "{error}");
    std::fs::write(&file, "{").expect("written");
    let error = Fitted::read(&file).expect_err("no monitor");
    assert!(
        error.is_input() && error.to_string().contains("foresight monitor fit"),
        "{error}"
    );
}

#[test]
fn too_few_runs_are_refused() {
    let source = model();
    let loaded = eyes(&source);
    let scenario = reach().scenario;
    let header = FitHeader {
        scenario: &scenario,
        loaded,
        expectation: Expectation::Action,
        false_alarms: 0.05,
    };
    let error = fit(header, 37, |i| Ok(episode(loaded, i as u64, &[]))).expect_err("too few");
    assert!(error.to_string().contains("at least 38"), "{error}");
}

#[test]
fn what_the_envelope_changed_is_what_is_expected() {
    let planned = Action::from_array([0.05, 0.02, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let map = ActionMap::new(Some([[0.0, -1.0], [1.0, 0.0]]));
    assert_eq!(
        expected_action(&planned, &map.apply(&planned), &map),
        planned
    );
    let cut = map.apply(&planned).part(0.5);
    let expected = expected_action(&planned, &cut, &map);
    assert_eq!(expected.translation_m, [0.025, 0.01, 0.0]);
}

/// Plays an episode with a monitor whose threshold is that share of its fitted one.
fn play(source: &ModelSource, monitor: Option<(OnAlarm, f64)>) -> Result<EpisodeOutcome, RunError> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scenario = reach();
    if let Some((on_alarm, share)) = monitor {
        let mut fitted = fitted(eyes(source), Expectation::Action);
        fitted.threshold *= share;
        let file = folder.path().join("monitor.json");
        fitted.write(&file)?;
        scenario.scenario.monitor = Some(MonitorConfig {
            file: Some(file),
            on_alarm,
            retries: 1,
        });
    }
    let spec = EpisodeSpec::new(&scenario, SEED);
    let ready = source.controller(&spec, &spec.goal_images()?)?;
    let mut env = Env::in_virtual_time(&spec)?;
    episode::play(&spec, &mut env, source, ready, None, &mut Unwatched)
}

#[test]
fn an_alarm_does_what_the_scenario_says_and_none_changes_nothing() {
    let source = model();
    let without = play(&source, None).expect("played");
    assert!(without.alarms.is_empty());
    let quiet = play(&source, Some((OnAlarm::Stop, 1e9))).expect("played");
    assert!(quiet.alarms.is_empty());
    assert_eq!(quiet.last, without.last, "watching moves nothing");
    let warned = play(&source, Some((OnAlarm::Warn, 1e-6))).expect("played");
    assert_eq!((warned.last, warned.steps), (without.last, without.steps));
    assert_eq!(
        warned.alarms.len() as u32,
        without.steps,
        "every look is above nothing"
    );
    for (on_alarm, done) in [
        (OnAlarm::Stop, "stopped"),
        (OnAlarm::Hold, "held"),
        (OnAlarm::Retreat, "retreated to the last safe pose"),
        (OnAlarm::Retry, "stopped: no sub-goal can mend it"),
    ] {
        let ended = play(&source, Some((on_alarm, 1e-6))).expect("played");
        assert_eq!(ended.steps, 1, "before anything else moves");
        assert_eq!(ended.verdict.failure, Some(FailureKind::Alarmed));
        assert_eq!(ended.alarms.len(), 1);
        assert_eq!(ended.alarms[0].done, done);
        assert!(
            ended.verdict.reason.contains(done),
            "{}",
            ended.verdict.reason
        );
    }
}

#[test]
fn a_monitor_that_is_not_there_ends_the_run_before_it_begins() {
    let source = model();
    let mut scenario = reach();
    scenario.scenario.monitor = Some(MonitorConfig {
        file: Some("/nowhere/monitor.json".into()),
        ..MonitorConfig::default()
    });
    let spec = EpisodeSpec::new(&scenario, SEED);
    let ready = source
        .controller(&spec, &spec.goal_images().expect("images"))
        .expect("a controller");
    let mut env = Env::in_virtual_time(&spec).expect("an environment");
    let error = episode::play(&spec, &mut env, &source, ready, None, &mut Unwatched);
    let error = error.expect_err("no monitor").to_string();
    assert!(
        error.contains("/nowhere/monitor.json") && error.contains("monitor fit"),
        "{error}"
    );
    assert_eq!(
        env.truth().expect("a simulator").time_s,
        0.0,
        "nothing moved"
    );
}

#[test]
fn faults_happen_once_at_a_time_of_the_seed_s() {
    let source = model();
    let mut scenario = reach();
    let kinds = vec![
        FaultKind::LensCovered,
        FaultKind::Removed,
        FaultKind::LightSwitched,
    ];
    scenario.scenario.faults = Some(Faults {
        kinds: kinds.clone(),
    });
    let steps: u32 = scenario.scenario.subgoal.iter().map(|g| g.steps).sum();
    let play = |seed: u64| {
        let spec = EpisodeSpec::new(&scenario, seed);
        let ready = source
            .controller(&spec, &spec.goal_images().expect("images"))
            .expect("a controller");
        let mut env = Env::in_virtual_time(&spec).expect("an environment");
        let outcome = episode::play(&spec, &mut env, &source, ready, None, &mut Unwatched);
        outcome.expect("played").fault.expect("a fault")
    };
    let faults: Vec<(FaultKind, u32)> = (SEED..SEED + 6).map(play).collect();
    for (seed, (kind, step)) in (SEED..).zip(&faults) {
        assert_eq!(*kind, kinds[(seed % 3) as usize]);
        assert!(
            f64::from(*step) < 0.6 * f64::from(steps),
            "{step} of {steps}"
        );
    }
    assert_eq!(play(SEED), faults[0], "the same seed, the same time");
    assert!(faults.iter().any(|f| f.1 != faults[0].1), "{faults:?}");
}
