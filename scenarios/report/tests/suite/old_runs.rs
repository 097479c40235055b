//! Run folders of the first version, without its report, can still be read, shown and replayed.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use foresight_report::run_page;
use foresight_report::timeline::mcap::McapFile;
use foresight_report::timeline::{exporter, Sink};
use foresight_runs::monitoring::WatchedRun;
use foresight_runs::read::RunData;
use foresight_runs::record::RunRecord;
use foresight_runs::replay::Place;
use foresight_runs::replay::{open, replay, OpenOptions, ReplayOptions, Tolerance};

/// As played by the first version: `reach`, seed 1, 16 samples and 2 iterations, virtual time.
fn old_run() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old_run")
}

#[test]
fn everything_in_an_old_folder_is_found() {
    let data = RunData::read(&old_run()).expect("a run");
    assert_eq!(data.steps.len(), 8);
    assert!(data
        .frames
        .iter()
        .chain(&data.imagined)
        .all(Option::is_some));
    assert_eq!((data.frames.len(), data.goals.len()), (9, 1));
    let analysis = data.analysis.as_ref().expect("hindsight.json");
    assert_eq!(
        (analysis.steps.len(), analysis.steps[7].plane_xy.len()),
        (8, 225)
    );
    let record = data.record.as_ref().expect("result.json");
    assert_eq!(
        (record.result.scenario.as_str(), record.result.seed),
        ("reach", 1)
    );
    assert_eq!((record.result.success, record.failure), (Some(true), None));
    let end = record.end.as_ref().expect("an end");
    assert!(end.virtual_time && end.last_joints_rad.is_some() && end.truth.is_some());
    let page = run_page::html(&data, &old_run());
    for words in [
        "Achieved",
        "hand 2.5 cm from its goal",
        "virtual time",
        "Imagined",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn a_record_that_was_cut_short_is_refused_and_one_that_is_missing_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let copied = |name: &str| std::fs::read_to_string(old_run().join(name)).expect("text");
    let put = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
        RunData::read(folder.path())
    };
    let interrupted = put("plan.jsonl", &copied("plan.jsonl")).expect("a run");
    assert!(interrupted.record.is_none());
    let record = copied("result.json");
    let error = put("result.json", &record[..record.len() / 2]).err();
    let error = error.expect("cut short");
    assert!(
        error.contains("result.json") && error.contains("copy"),
        "{error}"
    );
    let whole = put("result.json", &record).expect("a run");
    assert_eq!(whole.record.map(|r| r.result.success), Some(Some(true)));
}

#[test]
fn a_run_that_is_named_twice_is_watched_once() {
    let named = [old_run(), old_run().join("../old_run")];
    let runs = WatchedRun::read_all(&named).expect("a run");
    assert_eq!(runs.len(), 1);
}

#[test]
fn an_old_record_keeps_every_key() {
    let text = std::fs::read_to_string(old_run().join("result.json")).expect("result.json");
    let old: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let record: RunRecord = serde_json::from_str(&text).expect("a record");
    let new = serde_json::to_value(&record).expect("JSON");
    assert_eq!(new, old);
}

#[test]
fn records_of_runs_that_an_error_ended_are_read() {
    let text = r#"{"result": {"scenario": "reach", "seed": 4, "success": false,
        "reason": "ended by an error: lost", "steps": 2}, "failure": "aborted",
        "time": "2026-11-29 00:00:00 UTC", "program_version": "0.1.0"}"#;
    let record: RunRecord = serde_json::from_str(text).expect("a record");
    assert_eq!((record.result.steps, record.end.is_none()), (2, true));
}

#[test]
fn an_old_run_is_replayed_and_exported() {
    let recording = open(&old_run(), &OpenOptions::default()).expect("a recording");
    assert!(recording.is_exact());
    // The scene it was played in, whatever its scenario's keys mean by now: its friction of 0.811012
    // acted on the table as the mean with 0.8.
    let scene = recording.replay_scene.as_ref().expect("a scene");
    assert_eq!(scene.scene.object.friction, (0.811012 + 0.8) / 2.0);
    let options = ReplayOptions {
        place: Place::VirtualTime,
        from: 0,
        to: None,
        speed: 1.0,
        tolerance: Tolerance {
            position_mm: 1.0,
            rotation_deg: 0.1,
            gripper: 0.01,
        },
    };
    let mut nobody = |_: &foresight_runs::replay::ReplayedStep| ControlFlow::Continue(());
    let replayed = replay(&recording, &options, &mut nobody).expect("replayed");
    assert!(
        replayed.same_actions && replayed.within_tolerance,
        "{replayed:#?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.mcap");
    let mut sink: Box<dyn Sink> = Box::new(McapFile::create(&file).expect("a file"));
    exporter::run(&old_run(), sink.as_mut()).expect("exported");
    sink.finish().expect("finished");
}
