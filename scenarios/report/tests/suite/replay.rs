//! Runs, recordings and DROID's episodes played again.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use foresight_datasets::convert::{to_lerobot, ConvertOptions};
use foresight_datasets::mp4_header::VideoHeader;
use foresight_datasets::{layout, Metadata, Split, View};
use foresight_demonstrations::{record_all, RecordingPlan};
use foresight_report::{replay_pictures as pictures, run, RunOptions};
use foresight_runs::replay::Place;
use foresight_runs::replay::{
    open, replay, OpenOptions, PoseFrame, Replay, ReplayOptions, Tolerance,
};
use foresight_runs::trajectory_csv::PoseTable;
use foresight_scenarios::episode::Unwatched;
use foresight_scenarios::{LoadedScenario, ModelSource, RunError};

const TOLERANCE: Tolerance = Tolerance {
    position_mm: 10.0,
    rotation_deg: 5.0,
    gripper: 0.15,
};

fn options() -> ReplayOptions {
    ReplayOptions {
        place: Place::VirtualTime,
        from: 0,
        to: None,
        speed: 1.0,
        tolerance: TOLERANCE,
    }
}

fn play(recording: &Path, options: &ReplayOptions) -> Result<Replay, RunError> {
    let open_options = OpenOptions {
        rate_hz: 4.0,
        ..OpenOptions::default()
    };
    let recording = open(recording, &open_options)?;
    replay(&recording, options, &mut |_| ControlFlow::Continue(()))
}

fn bundled(name: &str) -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{name}.toml"));
    let mut loaded = LoadedScenario::read(&file).expect("a valid scenario");
    loaded.scenario.planner.samples = 100;
    loaded.scenario.planner.iterations = 4;
    loaded
}

fn a_run(name: &str, out: &Path) -> PathBuf {
    let options = RunOptions {
        seed: 900_017,
        out: out.to_owned(),
        virtual_time: true,
    };
    let result = run(
        &bundled(name),
        &ModelSource::Oracle,
        &options,
        &mut Unwatched,
    );
    result.expect("a run").run_dir
}

#[test]
fn a_simulated_run_is_reproduced_bit_for_bit() {
    let out = tempfile::tempdir().expect("a folder");
    for name in ["pick_and_place", "reach_with_object"] {
        let folder = a_run(name, out.path());
        let replayed = play(&folder, &options()).expect("a replay");
        assert!(replayed.same_actions && replayed.identical, "{name}");
        assert!(replayed.within_tolerance);
        let poses = PoseTable::read(&folder.join("trajectory.csv")).expect("a table");
        assert_eq!(replayed.steps.len(), poses.poses.len());
        // Part of it too, though the arm must have gone the whole way to get there.
        let part = ReplayOptions {
            from: 3,
            to: Some(6),
            ..options()
        };
        let part = play(&folder, &part).expect("a replay");
        assert!(part.identical && part.steps.len() == 4);
        assert_eq!(part.steps[0].step, 3);
    }
}

#[test]
fn a_changed_action_is_noticed() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = a_run("reach", out.path());
    let csv = folder.join("trajectory.csv");
    let mut table = PoseTable::read(&csv).expect("a table");
    table.actions[2].translation_m[1] += 1e-5;
    std::fs::write(&csv, table.to_csv()).expect("written");
    let replayed = play(&folder, &options()).expect("a replay");
    assert!(!replayed.identical && replayed.within_tolerance);
    table.actions[2].translation_m[1] += 0.03;
    std::fs::write(&csv, table.to_csv()).expect("written");
    let replayed = play(&folder, &options()).expect("a replay");
    assert!(!replayed.within_tolerance, "{:?}", replayed.worst);
}

#[test]
fn a_run_whose_lines_were_edited_is_refused_where_steps_no_longer_follow() {
    let out = tempfile::tempdir().expect("a folder");
    let folder = a_run("reach", out.path());
    let plan = folder.join("plan.jsonl");
    let text = std::fs::read_to_string(&plan).expect("plan.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    let without = [&lines[..2], &lines[3..]].concat();
    let twice = [&lines[..2], &lines[1..]].concat();
    for (edited, what) in [
        (without, "step 3 stands where step 2"),
        (twice, "step 1 stands"),
    ] {
        std::fs::write(&plan, edited.join("\n") + "\n").expect("written");
        let error = play(&folder, &options()).expect_err("edited");
        let said = error.to_string();
        assert!(
            error.is_input() && said.contains("plan.jsonl:3: "),
            "{said}"
        );
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn recordings_of_every_beginning_are_reproduced_bit_for_bit() {
    let out = tempfile::tempdir().expect("a folder");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pick_and_place.toml");
    let mut plan = RecordingPlan::from_scenario(&file).expect("a plan");
    plan.split = Split::Validation;
    plan.steps = 8;
    plan.date = "2026-01-01".into();
    let seeds = Split::Validation.recording_seeds(0, 12).expect("seeds");
    record_all(&plan, seeds, out.path(), 2, |_| {}).expect("recorded");
    let folders = layout::episode_folders(out.path()).expect("listed");
    assert_eq!(folders.len(), 12);
    for folder in folders {
        let replayed = play(&folder, &options()).expect("a replay");
        assert!(
            replayed.same_actions && replayed.identical,
            "{}",
            folder.display()
        );
        assert_eq!(replayed.steps.len(), 9);
    }
}

#[test]
fn droid_s_episode_is_followed_within_tolerance() {
    let fixtures = std::env::var_os("FORESIGHT_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"),
        PathBuf::from,
    );
    let folders = layout::episode_folders(&fixtures.join("11_droid")).expect("listed");
    assert!(!folders.is_empty());
    for folder in folders {
        let replayed = play(&folder, &options()).expect("a replay");
        assert!(
            !replayed.same_actions && replayed.within_tolerance,
            "{:?}",
            replayed.worst
        );
        assert_eq!(replayed.refused_targets, 0);
        assert!(replayed.notes.iter().any(|n| n.contains("flange")));
        let with_frames = replayed.steps.iter().all(|s| s.recorded_view.is_some());
        let without = replayed.notes.iter().any(|n| n.contains("ffmpeg"));
        assert!(with_frames != without, "{:?}", replayed.notes);
    }
}

#[test]
fn lerobot_episodes_are_followed_and_filmed() {
    if !crate::require::ffmpeg() {
        return;
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/11_droid");
    let droid = foresight_datasets::open(&fixtures).expect("DROID's episodes");
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = folder.path().join("dataset");
    let convert = ConvertOptions {
        size: Some((96, 64)),
        ..ConvertOptions::default()
    };
    to_lerobot(droid.as_ref(), &dataset, &convert, |_, _| {}).expect("converted");

    let replayed = play(&dataset, &options()).expect("a replay");
    assert!(replayed.within_tolerance, "{:?}", replayed.worst);
    // LeRobot's edition of DROID has DROID's poses, which are the flange's.
    assert!(replayed.notes.iter().any(|n| n.contains("flange")));
    assert!(replayed.steps.iter().all(|s| s.recorded_view.is_some()));

    let film = folder.path().join("film.mp4");
    assert!(pictures::write_mp4(&film, &replayed).expect("a film"));
    // The last picture is held for two seconds.
    let header = VideoHeader::read(&film).expect("a video");
    assert_eq!(header.frames, replayed.steps.len() + 7);

    let missing = OpenOptions {
        episode: Some(7),
        ..OpenOptions::default()
    };
    let error = open(&dataset, &missing).expect_err("no such episode");
    assert!(
        error.to_string().contains("no usable episode_000007"),
        "{error}"
    );
}

#[test]
fn a_dataset_of_a_wrist_camera_alone_is_replayed() {
    if !crate::require::ffmpeg() {
        return;
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/11_droid");
    let from = &layout::episode_folders(&fixtures).expect("listed")[0];
    let folder = tempfile::tempdir().expect("a folder");
    let episode = folder.path().join("droid/episode");
    std::fs::create_dir_all(episode.join(layout::VIDEOS)).expect("made");
    let video = format!("{}/22008760.mp4", layout::VIDEOS);
    for file in [layout::TRAJECTORY, &video] {
        std::fs::copy(from.join(file), episode.join(file)).expect("copied");
    }
    let metadata = Metadata {
        ext1_cam_serial: "11111111".into(),
        wrist_cam_serial: "22008760".into(),
        ..Metadata::default()
    };
    let file = episode.join("metadata_x.json");
    metadata.write(&file).expect("written");
    let droid = foresight_datasets::open(&folder.path().join("droid")).expect("an episode");
    let reason = droid.episodes()[0].camera(&View::default()).unwrap_err();
    assert!(reason.contains(r#"'data.views=["wrist"]'"#), "{reason}");
    let dataset = folder.path().join("dataset");
    let convert = ConvertOptions {
        size: Some((96, 64)),
        ..ConvertOptions::default()
    };
    to_lerobot(droid.as_ref(), &dataset, &convert, |_, _| {}).expect("converted");
    for path in [&episode, &dataset] {
        let opened = open(path, &OpenOptions::default()).expect("poses");
        assert!(opened.poses.len() > 1 && opened.frames.len() == opened.poses.len());
    }
}

#[test]
fn a_tape_that_leaves_the_workspace_says_where_and_is_not_reproduced() {
    let out = tempfile::tempdir().expect("a folder");
    let csv = out.path().join("far.csv");
    let rows = [0.4, 0.5, 0.58, 0.67, 0.55].map(|y| format!("0.35,{y},0.3,3.14159,0,0,0"));
    std::fs::write(&csv, rows.join("\n")).expect("written");
    let replayed = play(&csv, &options()).expect("a replay");
    assert!(!replayed.within_tolerance);
    let [stretch] = &replayed.outside[..] else {
        panic!("{:?}", replayed.outside);
    };
    assert_eq!((stretch.from, stretch.to, stretch.axis), (3, 3, 'y'));
    assert!((stretch.beyond_m() - 0.07).abs() < 1e-9);
    // The envelope kept the arm inside.
    assert!(replayed.steps.iter().all(|s| s.replayed[1] < 0.601));
    assert!(replayed.steps[3]
        .notes
        .iter()
        .any(|n| n.contains("workspace")));
}

#[test]
fn long_steps_are_cut_and_slow_speed_gets_there_too() {
    let out = tempfile::tempdir().expect("a folder");
    let csv = out.path().join("long.csv");
    std::fs::write(&csv, "0.4,-0.2,0.2,3.1,0,0,0\n0.6,0.2,0.4,3.1,0,0.8,0.6\n").expect("written");
    for speed in [1.0, 0.3] {
        let replayed = play(&csv, &ReplayOptions { speed, ..options() }).expect("a replay");
        assert!(replayed.within_tolerance, "{:?}", replayed.worst);
    }
}

#[test]
fn a_gripper_in_metres_is_asked_about() {
    let out = tempfile::tempdir().expect("a folder");
    let csv = out.path().join("opening.csv");
    std::fs::write(&csv, "0.4,0,0.3,3.1,0,0,0.08\n0.42,0,0.3,3.1,0,0,0.02\n").expect("written");
    let notes = open(&csv, &OpenOptions::default()).expect("a table").notes;
    assert!(
        notes.iter().any(|n| n.contains("opening in m")),
        "{notes:?}"
    );
}

#[test]
fn a_table_of_the_flange_is_led_by_the_tcp_and_options_of_other_recordings_are_refused() {
    let out = tempfile::tempdir().expect("a folder");
    let csv = out.path().join("flange.csv");
    std::fs::write(&csv, "0.4,0,0.4,3.1416,0,0,0\n0.42,0,0.4,3.1416,0,0,0\n").expect("written");
    let of_flange = OpenOptions {
        frame: Some(PoseFrame::Flange),
        ..OpenOptions::default()
    };
    let below = open(&csv, &of_flange).expect("a table");
    assert!((below.poses[0].position_m[2] - 0.2966).abs() < 1e-3);
    assert!(below.notes.iter().any(|n| n.contains("flange")));
    let camera = OpenOptions {
        camera: Some("left".into()),
        ..OpenOptions::default()
    };
    let episode = OpenOptions {
        episode: Some(3),
        ..OpenOptions::default()
    };
    let run = a_run("reach", out.path());
    for (recording, options, flag) in [
        (&csv, &camera, "--camera"),
        (&csv, &episode, "--episode"),
        (&run, &of_flange, "--frame"),
    ] {
        let error = open(recording, options).expect_err("not its own");
        assert!(
            error.is_input() && error.to_string().contains(flag),
            "{error}"
        );
    }
}

#[test]
fn wrong_input_is_named() {
    let out = tempfile::tempdir().expect("a folder");
    let error = play(out.path(), &options()).expect_err("no recording");
    assert!(
        error.is_input() && error.to_string().contains("plan.jsonl"),
        "{error}"
    );
    let csv = out.path().join("a.csv");
    std::fs::write(&csv, "0.5,0,0.3,3.1,0,0,0\n0.5,0,0.3,3.1,0,0,0\n").expect("written");
    for wrong in [
        ReplayOptions {
            from: 1,
            ..options()
        },
        ReplayOptions {
            to: Some(2),
            ..options()
        },
        ReplayOptions {
            speed: 0.0,
            ..options()
        },
        ReplayOptions {
            speed: f64::NAN,
            ..options()
        },
    ] {
        assert!(play(&csv, &wrong).expect_err("wrong").is_input());
    }
}
