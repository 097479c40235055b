//! `finetune` and everything around it on data in the formats people have: DROID raw with MP4
//! videos at 15 Hz, one of them a frame too long, and LeRobot v3.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foresight_datasets::video::{VideoCodec, VideoEncoder};
use foresight_datasets::{Metadata, Trajectory};
use foresight_planner::Pose;

const STATES: usize = 45;
const SIZE: (u32, u32) = (160, 90);
/// DROID's files say this and were taken at 15 Hz.
const FILE_FPS: f64 = 60.0;
/// Short, with a validation and a checkpoint on the way.
const SETTINGS: [&str; 6] = [
    "data.frames=4",
    "data.validation_share=0.3",
    "run.log_every=1",
    "run.checkpoint_every=2",
    "run.validate_every=4",
    "run.validation_clips=4",
];

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop")
}

fn foresight(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
    command.args(arguments).output().unwrap()
}

fn words(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// What a command that succeeds says.
fn done(arguments: &[&str]) -> String {
    let output = foresight(arguments);
    let words = words(&output);
    assert!(output.status.success(), "{arguments:?}: {words}");
    words
}

/// What a command that refuses its input says; it mentions all `parts`.
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = foresight(arguments);
    let words = words(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
    for part in parts {
        assert!(words.contains(part), "{part} is not in: {words}");
    }
    assert!(!words.contains("panicked"), "{words}");
}

/// The hand goes round; the pictures follow it.
fn pose(episode: usize, t: usize) -> Pose {
    let angle = (t as f64 / 15.0 + episode as f64) * 0.8;
    let (sin, cos) = angle.sin_cos();
    let closed = if t > STATES / 2 { 0.7 } else { 0.1 };
    Pose::from_array([
        0.5 + 0.1 * cos,
        0.1 * sin,
        0.25,
        3.1,
        0.02 * sin,
        0.0,
        closed,
    ])
}

fn picture(episode: usize, t: usize) -> Vec<u8> {
    let pose = pose(episode, t).to_array();
    let (width, height) = SIZE;
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let dx = f64::from(x) / f64::from(width) - (0.5 + 3.0 * pose[1]);
            let dy = f64::from(y) / f64::from(height) - (0.5 + 3.0 * (pose[0] - 0.5));
            let near = dx * dx + dy * dy < 0.02;
            rgb.extend(if near { [220, 60, 40] } else { [70, 90, 110] });
        }
    }
    rgb
}

fn film(path: &Path, episode: usize, frames: usize) {
    let encoder = VideoEncoder::create(path, SIZE, FILE_FPS, VideoCodec::Mpeg4);
    let mut encoder = encoder.unwrap();
    for t in 0..frames {
        encoder.push(&picture(episode, t)).unwrap();
    }
    encoder.finish().unwrap();
}

/// Episodes as DROID has them: folders named by their time, colons and all.
fn droid(root: &Path, episodes: usize) -> Vec<PathBuf> {
    let write = |episode: usize| {
        let outcome = if episode.is_multiple_of(2) {
            "success"
        } else {
            "failure"
        };
        let below = format!(
            "{outcome}/2023-07-07/Fri_Jul__7_09:{:02}:23_2023",
            40 + episode
        );
        let folder = root.join("AUTOLab").join(&below);
        let videos = folder.join("recordings/MP4");
        fs::create_dir_all(&videos).unwrap();
        // One of the cameras went on for a frame.
        film(
            &videos.join("22008760.mp4"),
            episode,
            STATES + usize::from(episode == 1),
        );
        let trajectory = Trajectory {
            states: (0..STATES).map(|t| pose(episode, t)).collect(),
            time_s: (0..STATES).map(|t| 1e9 + t as f64 / 15.0).collect(),
            joints_rad: Vec::new(),
            commands: Vec::new(),
            simulator: None,
        };
        trajectory.write(&folder.join("trajectory.h5")).unwrap();
        let metadata = Metadata {
            uuid: format!("AUTOLab+0+{episode}"),
            lab: "AUTOLab".into(),
            success: Some(episode.is_multiple_of(2)),
            current_task: "go round".into(),
            ext1_cam_serial: "22008760".into(),
            left_mp4_path: format!("{below}/recordings/MP4/22008760.mp4"),
            ..Metadata::default()
        };
        metadata
            .write(&folder.join(format!("metadata_{}.json", metadata.uuid)))
            .unwrap();
        folder
    };
    (0..episodes).map(write).collect()
}

/// A run of few steps.
fn finetune<'a>(data: &'a str, out: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let model: &'static str = Box::leak(model().display().to_string().into_boxed_str());
    let mut arguments = vec!["finetune", "--model", model, "--data", data, "--out", out];
    arguments.extend(["--steps", steps, "--batch-size", "4", "--lr", "2e-4"]);
    for setting in SETTINGS {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(more);
    arguments
}

/// Losses of a run's log, without times.
fn losses(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("log.csv")).unwrap();
    let fields = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        format!("{} {} {} {}", f[0], f[6], f[7], f[8])
    };
    text.lines().skip(1).map(fields).collect()
}

/// Trains on a dataset, interrupts and goes on, and judges the result. What the runs said.
fn train_and_judge(data: &Path, work: &Path) -> String {
    let text = |path: &Path| path.display().to_string();
    let (data, whole, parts) = (text(data), work.join("whole"), work.join("parts"));
    let said = done(&finetune(&data, &text(&whole), "6", &[]));
    // Without the cache, decoding every clip: f32 latents in both make them the same.
    let out = text(&parts);
    let arguments = finetune(&data, &out, "6", &[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(&arguments)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !parts.join("state.safetensors").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    done(&finetune(&data, &out, "6", &["--resume"]));
    assert_eq!(losses(&parts), losses(&whole));
    for file in ["model/model.safetensors", "state.safetensors"] {
        assert!(fs::read(parts.join(file)).unwrap() == fs::read(whole.join(file)).unwrap());
    }
    let log = fs::read_to_string(whole.join("log.csv")).unwrap();
    assert!(log.contains("validation,persistence"), "{log}");

    let judged = done(&[
        "eval",
        "--offline",
        "--json",
        "--model",
        &text(&whole.join("model")),
        "--data",
        &data,
        "--held-out",
        "--clips",
        "6",
        "--plans",
        "1",
        "--set",
        "data.frames=4",
        "--set",
        "data.validation_share=0.3",
    ]);
    let line = judged.lines().find(|l| l.starts_with('{')).unwrap();
    let found: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(found["clips"], 6, "{found}");
    assert_eq!(found["horizons"].as_array().unwrap().len(), 3, "{found}");
    assert_eq!(found["collapsed"], false, "{found}");
    said
}

#[test]
fn droid_with_videos_from_index_to_judgement() {
    if !crate::require::ffmpeg() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("droid");
    let folders = droid(&root, 6);
    let name = root.display().to_string();

    let indexed = done(&["dataset", "index", &name]);
    assert!(indexed.contains("6 episodes"), "{indexed}");
    for said in [&indexed, &done(&["dataset", "validate", &name])] {
        assert!(said.contains("46 frames for 45 states"), "{said}");
        assert!(said.contains("09:41:23"), "{said}");
    }
    let info: serde_json::Value =
        serde_json::from_str(&done(&["dataset", "info", &name, "--fps", "4", "--json"])).unwrap();
    assert_eq!(
        (&info["episodes"], &info["steps"]),
        (&6.into(), &270.into())
    );
    assert_eq!(info["rates"]["15 Hz"], 6, "{info}");

    let index = root.join("index.json");
    let said = train_and_judge(&index, work.path());
    assert!(said.contains("46 frames for 45 states"), "{said}");
    let card = fs::read_to_string(work.path().join("whole/model/MODEL_CARD.md")).unwrap();
    assert!(
        card.contains("of 1 episodes the frames or states"),
        "{card}"
    );
    let bench = done(&[
        "bench",
        "clips",
        &name,
        "--clips",
        "4",
        "--set",
        "data.frames=4",
    ]);
    assert!(
        bench.contains("4 clips of 4 frames of 160×90 px"),
        "{bench}"
    );

    // By frame numbers at the rate the files claim, as the official loader: two frames are 15
    // apart.
    let out = work.path().join("legacy").display().to_string();
    let legacy = [
        "--set",
        "data.sampling=legacy",
        "--set",
        "data.frames=2",
        "--set",
        "loss.auto_steps=1",
    ];
    done(&finetune(&name, &out, "2", &legacy));
    // A list of folders as the official code takes it.
    let list = work.path().join("list.csv");
    let lines: Vec<String> = folders
        .iter()
        .map(|f| format!("{} 0\n", f.display()))
        .collect();
    fs::write(&list, lines.concat()).unwrap();
    let out = work.path().join("listed").display().to_string();
    done(&finetune(&list.display().to_string(), &out, "1", &[]));

    // The odd frame is refused where that is asked for, and a cut video is named.
    let out = work.path().join("refused").display().to_string();
    let strict = ["--set", "data.frame_tolerance=0"];
    refused(
        &finetune(&name, &out, "1", &strict),
        &["09:41:23", "46 frames", "skip"],
    );
    let video = folders[2].join("recordings/MP4/22008760.mp4");
    let whole = fs::read(&video).unwrap();
    fs::write(&video, &whole[..whole.len() / 2]).unwrap();
    refused(
        &finetune(&name, &out, "1", &[]),
        &["22008760.mp4", "cut short"],
    );
    // Known from an index, it is met while decoding.
    let index = index.display().to_string();
    refused(&finetune(&index, &out, "2", &[]), &["22008760.mp4"]);
    // Where such clips are left out, looking for surprising ones leaves them out too.
    let surprising = [
        "data.on_bad_episode=skip",
        "data.draws=clip",
        "data.surprising=4",
        "loss.metric=whitened",
        "loss.whitened_directions=8",
    ];
    let more: Vec<&str> = surprising.iter().flat_map(|s| ["--set", s]).collect();
    let other = work.path().join("surprising").display().to_string();
    done(&finetune(&index, &other, "2", &more));
    refused(
        &["dataset", "validate", &name],
        &["22008760.mp4", "cut short"],
    );
    let skip = ["--set", "data.on_bad_episode=skip"];
    let said = done(&finetune(&name, &out, "1", &skip));
    assert!(
        said.contains("09:42:23") && said.contains("left out"),
        "{said}"
    );
}

#[test]
fn lerobot_from_conversion_to_judgement() {
    if !crate::require::ffmpeg() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (root, out) = (work.path().join("droid"), work.path().join("lerobot"));
    droid(&root, 6);
    let (from, name) = (root.display().to_string(), out.display().to_string());
    done(&[
        "dataset", "convert", &from, &name, "--to", "lerobot", "--codec", "mpeg4",
    ]);
    refused(&["dataset", "index", &name], &["meta/", "name its folder"]);
    let valid = done(&["dataset", "validate", &name]);
    assert!(valid.contains("6 episodes are usable"), "{valid}");
    let info: serde_json::Value =
        serde_json::from_str(&done(&["dataset", "info", &name, "--json"])).unwrap();
    assert_eq!(
        (&info["episodes"], &info["steps"]),
        (&6.into(), &270.into())
    );
    train_and_judge(&out, work.path());

    let run = work.path().join("refused").display().to_string();
    for (file, part) in [
        ("meta/info.json", "info.json"),
        (
            "meta/episodes/chunk-000/file-000.parquet",
            "file-000.parquet",
        ),
        ("data/chunk-000/file-000.parquet", "file-000.parquet"),
        (
            "videos/observation.images.exterior_1_left/chunk-000/file-000.mp4",
            "file-000.mp4",
        ),
    ] {
        let path = out.join(file);
        let whole = fs::read(&path).unwrap();
        for cut in [0, whole.len() / 2] {
            fs::write(&path, &whole[..cut]).unwrap();
            refused(&finetune(&name, &run, "1", &[]), &[part]);
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_wrong_path_is_said_at_once() {
    let work = tempfile::tempdir().unwrap();
    let out = work.path().join("out").display().to_string();
    let nowhere = work.path().join("nowhere").display().to_string();
    let output = foresight(&finetune(&nowhere, &out, "1", &[]));
    let words = words(&output);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(
        words.contains("nowhere") && !words.contains("takes about"),
        "{words}"
    );
}
