//! The monitor in closed loop: what alarms do, and what a monitor that can't be used does.

use std::path::{Path, PathBuf};

use foresight_planner::Pose;
use foresight_scenarios::alarm::{Alarm, MonitorConfig, OnAlarm};
use foresight_scenarios::env::Env;
use foresight_scenarios::episode::{
    play, Answer, EpisodeOutcome, EpisodeStep, Observer, Unwatched,
};
use foresight_scenarios::faults::{FaultKind, Faults};
use foresight_scenarios::monitor::Watched;
use foresight_scenarios::scenario::Success;
use foresight_scenarios::success::FailureKind;
use foresight_scenarios::{EpisodeSpec, LoadedScenario, ModelSource, RunError};
use serde_json::{json, Value};

const SEED: u64 = 920_500;

/// `pick_and_place` under the bundled monitor, with a fault.
fn watched(on_alarm: OnAlarm, fault: Option<FaultKind>) -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pick_and_place.toml");
    let mut loaded = LoadedScenario::read(&file).expect("the bundled scenario");
    loaded.scenario.monitor = Some(MonitorConfig {
        on_alarm,
        retries: 2,
        ..MonitorConfig::default()
    });
    loaded.scenario.faults = fault.map(|kind| Faults { kinds: vec![kind] });
    loaded
}

fn model(loaded: &LoadedScenario) -> ModelSource {
    ModelSource::model(&loaded.model_dir().expect("a folder")).expect("the bundled model")
}

fn played(
    loaded: &LoadedScenario,
    seed: u64,
    follow: &mut dyn Observer,
) -> Result<(EpisodeOutcome, Pose), RunError> {
    let source = model(loaded);
    let spec = EpisodeSpec::new(loaded, seed);
    let ready = source.controller(&spec, &spec.goal_images()?)?;
    let mut env = Env::in_virtual_time(&spec)?;
    let outcome = play(&spec, &mut env, &source, ready, None, follow)?;
    let rests = env.arm().observe()?.pose;
    Ok((outcome, rests))
}

/// Keeps what an episode tells, and answers.
#[derive(Default)]
struct Log {
    actions: Vec<[f64; 7]>,
    poses: Vec<Pose>,
    alarms: Vec<Alarm>,
    looks: Vec<Watched>,
    says: Option<Answer>,
}

impl Observer for Log {
    fn step(&mut self, step: &EpisodeStep<'_>) {
        self.actions.push(step.execution.execution.sent.to_array());
        self.poses.push(step.pose);
    }

    fn watched(&mut self, watched: &Watched) {
        self.looks.push(watched.clone());
    }

    fn alarmed(&mut self, alarm: &Alarm) {
        self.alarms.push(alarm.clone());
    }

    fn answer(&mut self, _: &Alarm) -> Option<Answer> {
        self.says
    }
}

fn fault_step(outcome: &EpisodeOutcome) -> u32 {
    outcome.fault.expect("the fault happened").1
}

#[test]
fn a_run_that_is_only_warned_does_what_an_unwatched_one_does() {
    let mut unwatched = watched(OnAlarm::Warn, Some(FaultKind::LensCovered));
    unwatched.scenario.monitor = None;
    let mut logs = [Log::default(), Log::default()];
    let warned = watched(OnAlarm::Warn, Some(FaultKind::LensCovered));
    let (outcome, _) = played(&warned, SEED, &mut logs[0]).expect("a run");
    let (plain, _) = played(&unwatched, SEED, &mut logs[1]).expect("a run");
    assert_eq!(logs[0].actions, logs[1].actions);
    assert_eq!(outcome.verdict, plain.verdict);
    assert!(plain.alarms.is_empty() && plain.watch_seconds_per_action.is_none());
    // The lens stays covered: the alarm comes with the next look, and everything after it is usual again.
    assert_eq!(outcome.alarms[0].step, fault_step(&outcome));
    assert_eq!(outcome.alarms[0].done, "warned");
    assert_eq!(logs[0].looks.len(), logs[0].actions.len());
    let look = &logs[0].looks[fault_step(&outcome) as usize];
    assert!(look.score > 1.0 && look.alarm.as_ref() == Some(&outcome.alarms[0]));
    let [rows, columns] = look.map.grid;
    assert_eq!(look.map.tokens.len(), rows * columns);
    assert!(
        look.map.brightest() > 6.0,
        "a black picture is no usual one"
    );
}

#[test]
fn an_alarm_that_stops_ends_the_run_before_the_next_action() {
    let mut log = Log::default();
    let loaded = watched(OnAlarm::Stop, Some(FaultKind::LensCovered));
    let (outcome, _) = played(&loaded, SEED, &mut log).expect("a run");
    assert_eq!(outcome.verdict.failure, Some(FailureKind::Alarmed));
    assert_eq!(outcome.steps, fault_step(&outcome) + 1);
    assert_eq!(log.actions.len(), outcome.steps as usize);
    assert_eq!(
        (log.alarms.len(), log.alarms[0].done.as_str()),
        (1, "stopped")
    );
}

#[test]
fn a_retreat_ends_where_nothing_was_wrong_yet() {
    let mut log = Log::default();
    let loaded = watched(OnAlarm::Retreat, Some(FaultKind::LensCovered));
    let (outcome, rests) = played(&loaded, SEED, &mut log).expect("a run");
    assert_eq!(outcome.verdict.failure, Some(FailureKind::Alarmed));
    let safe = log.poses.last().expect("a step");
    assert!(rests.distance_m(safe) < 0.006, "{}", rests.distance_m(safe));
    assert_eq!(outcome.refused_targets, 0);
}

#[test]
fn whoever_is_asked_decides() {
    let loaded = watched(OnAlarm::Hold, Some(FaultKind::LightSwitched));
    let told = |says| {
        let mut log = Log {
            says: Some(says),
            ..Log::default()
        };
        let outcome = played(&loaded, SEED, &mut log).expect("a run").0;
        (outcome, log)
    };
    let (stopped, _) = told(Answer::Stop);
    assert_eq!(stopped.verdict.failure, Some(FailureKind::Alarmed));
    assert_eq!(stopped.steps, fault_step(&stopped) + 1);
    let (went_on, log) = told(Answer::GoOn);
    assert!(went_on.steps > stopped.steps, "it went on");
    assert_eq!(log.alarms[0].done, "held, went on");
    // The same up to the alarm.
    assert_eq!(went_on.fault, stopped.fault);
}

#[test]
fn a_missed_grasp_is_tried_again() {
    let seeds = [SEED, SEED + 1, SEED + 2];
    let achieved = |loaded: &LoadedScenario| {
        let outcomes = seeds.map(|seed| played(loaded, seed, &mut Unwatched).expect("a run").0);
        let achieved = outcomes.iter().filter(|o| o.verdict.success == Some(true));
        (achieved.count(), outcomes)
    };
    let (plain, _) = achieved(&watched(OnAlarm::Warn, Some(FaultKind::MissedGrasp)));
    let (mended, outcomes) = achieved(&watched(OnAlarm::Retry, Some(FaultKind::MissedGrasp)));
    assert!(mended >= plain + 2, "{mended} with retry, {plain} without");
    for outcome in &outcomes {
        assert!(outcome.retries >= 1);
        let back = outcome
            .alarms
            .iter()
            .any(|a| a.done == "went back to \"hover\"");
        assert!(back, "{:?}", outcome.alarms);
    }
}

#[test]
fn latent_success_says_what_it_rests_on() {
    let mut clean = watched(OnAlarm::Warn, None);
    clean.scenario.success = Some(Success::Latent { looks: 2 });
    let (outcome, _) = played(&clean, SEED, &mut Unwatched).expect("a run");
    assert_eq!(
        outcome.verdict.success,
        Some(true),
        "{}",
        outcome.verdict.reason
    );
    assert!(outcome.verdict.reason.contains("rests on the model"));
    let mut removed = watched(OnAlarm::Warn, Some(FaultKind::Removed));
    removed.scenario.success = Some(Success::Latent { looks: 2 });
    let (outcome, _) = played(&removed, SEED, &mut Unwatched).expect("a run");
    assert_eq!(
        outcome.verdict.success,
        Some(false),
        "{}",
        outcome.verdict.reason
    );
}

/// What a run says whose monitor's file was changed.
fn refusal(change: impl Fn(&mut Value)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("monitor.json");
    let mut loaded = watched(OnAlarm::Stop, None);
    let own = loaded
        .model_dir()
        .expect("a folder")
        .join("monitor-pick_and_place.json");
    let text = std::fs::read_to_string(own).expect("the bundled monitor");
    let mut fitted: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut fitted);
    std::fs::write(&file, fitted.to_string()).expect("written");
    loaded.scenario.monitor.as_mut().expect("one").file = Some(file);
    played(&loaded, SEED, &mut Unwatched)
        .expect_err("refused")
        .to_string()
}

#[test]
fn a_monitor_that_can_t_be_used_ends_the_run_with_a_reason() {
    let mut absent = watched(OnAlarm::Stop, None);
    absent.scenario.monitor.as_mut().expect("one").file = Some(PathBuf::from("absent.json"));
    let error = played(&absent, SEED, &mut Unwatched)
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("absent.json") && error.contains("monitor fit"),
        "{error}"
    );
    let error = refusal(|fitted| fitted["weights_sha256"] = json!("0"));
    assert!(error.contains("other weights"), "{error}");
    let error = refusal(|fitted| fitted["subgoals"][0] = json!("approach"));
    assert!(error.contains("sub-goals"), "{error}");
    let error = refusal(|fitted| fitted["expectation"] = json!("goal"));
    assert!(error.contains("watches no run"), "{error}");
    let error = refusal(|fitted| fitted["tokens"]["whitening"]["factor"] = json!([1.0]));
    assert!(error.contains("damaged"), "{error}");
    let error = refusal(|fitted| fitted["threshold"] = json!(0.0));
    assert!(error.contains("its threshold is 0"), "{error}");
    // Scores that are no numbers are no calm: the first look ends the run.
    let error = refusal(|fitted| fitted["tokens"]["whole_spread"] = json!(0.0));
    assert!(error.contains("can't be compared"), "{error}");
}
