//! `record --follow` and `--robot` while a client drives: nothing is lost, an episode is whole or not
//! there, and what the envelope doesn't pass doesn't move the arm.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foresight_datasets::lerobot::store::LeRobotStore;
use foresight_datasets::{EpisodeStore, View};
use foresight_planner::Action;
use foresight_robot::capture::{Capture, Captured};
use foresight_robot::{Arm, EnvelopeConfig, SimServer, SimServerConfig, TwinCamera, WorkspaceBox};
use foresight_robot::{ZenohArm, ZenohArmConfig};
use foresight_sim::SceneDistribution;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::lab;

fn serve(frames_per_second: u32) -> SimServer {
    let config = SimServerConfig {
        frames_per_second,
        frame_width: 64,
        frame_height: 48,
        ..SimServerConfig::default()
    };
    SimServer::start(&SceneDistribution::default().sample(1), &config).expect("served")
}

/// A client that leads the hand to and fro until it is dropped.
struct Client {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Client {
    fn drive(server: &SimServer) -> Client {
        let config = ZenohArmConfig {
            link: server.link(),
            ..ZenohArmConfig::default()
        };
        let limits = EnvelopeConfig::new(WorkspaceBox {
            min_m: [0.3, -0.3, 0.0],
            max_m: [0.7, 0.3, 0.5],
        });
        let mut arm = ZenohArm::connect(config, limits).expect("a connected arm");
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                let sign = if number % 2 == 0 { 1.0 } else { -1.0 };
                let to = [0.0, sign * 0.06, 0.0, 0.0, 0.0, 0.0, sign];
                arm.execute(&Action::from_array(to)).expect("executed");
            }
        });
        Client {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the client did its work");
        }
    }
}

/// `foresight record`, spoken to by lines.
struct Recording {
    process: Child,
    words: ChildStdin,
    said: BufReader<std::process::ChildStderr>,
}

impl Recording {
    fn start(server: &SimServer, out: &Path, more: &[&str]) -> Recording {
        Recording::of(
            Command::new(env!("CARGO_BIN_EXE_foresight")),
            server,
            out,
            more,
        )
    }

    fn of(mut command: Command, server: &SimServer, out: &Path, more: &[&str]) -> Recording {
        let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
        let mut process = command
            .arg("record")
            .arg(reach)
            .args(["--connect", &server.endpoints()[0], "--json", "--out"])
            .arg(out)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let words = process.stdin.take().expect("piped");
        let said = BufReader::new(process.stderr.take().expect("piped"));
        let mut recording = Recording {
            process,
            words,
            said,
        };
        recording.heard("ready");
        recording
    }

    fn say(&mut self, line: &str) {
        writeln!(self.words, "{line}").expect("heard");
    }

    /// The next line that has these words.
    fn heard(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).expect("read");
            assert!(read > 0, "it ended without `{words}`: {all}");
            if line.contains(words) {
                return line;
            }
            all += &line;
        }
    }

    /// What it came to, as JSON, and whether all went well.
    fn quit(mut self) -> (Value, bool) {
        self.say("quit");
        let output = self.process.wait_with_output().expect("ended");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().last().unwrap_or_default();
        let summary = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {text}"));
        (summary, output.status.success())
    }
}

fn valid(out: &Path, episodes: usize) {
    let said = lab::text(&lab::foresight(&[
        "dataset",
        "validate",
        &out.display().to_string(),
    ]));
    assert!(
        said.contains(&format!("{episodes} episodes are usable")),
        "{said}"
    );
}

#[test]
fn nothing_is_lost_while_another_client_drives() {
    if !crate::require::ffmpeg() {
        return;
    }
    let _alone = lab::no_lab();
    for (rate, format) in [(15, "droid"), (30, "lerobot")] {
        let server = serve(rate);
        let work = tempfile::tempdir().expect("a folder");
        let out = work.path().join("data");
        let client = Client::drive(&server);
        let names = ["front".to_owned()];
        let witness = Capture::connect(&server.link(), "fr3", &names).expect("a second listener");
        let mut recording = Recording::start(&server, &out, &["--follow", "--to", format]);
        witness.begin();
        recording.say("start wipe the table");
        recording.heard("recording");
        std::thread::sleep(Duration::from_secs(6));
        recording.say("success");
        recording.heard("episode 1");
        witness.end();
        recording.say("start");
        recording.heard("recording");
        std::thread::sleep(Duration::from_secs(2));
        recording.say("failure");
        recording.heard("episode 2");
        let (summary, well) = recording.quit();
        drop(client);
        assert!(well, "{summary}");
        valid(&out, 2);

        let store = foresight_datasets::open(&out).expect("a dataset");
        let entries = store.episodes();
        let outcomes: Vec<_> = entries
            .iter()
            .map(|e| (e.success, e.task.clone()))
            .collect();
        let described = "Move the open hand to a point above the table, given by an image.";
        let wanted = [
            (Some(false), described.to_owned()),
            (Some(true), "wipe the table".to_owned()),
        ];
        assert_eq!(BTreeSet::from_iter(outcomes), BTreeSet::from(wanted));
        let first = entries
            .iter()
            .position(|e| e.success == Some(true))
            .expect("it");
        let rows = entries[first].length;
        println!("{rate} Hz, {format}: {rows} rows, {summary}");
        let expected = 6.0 * f64::from(rate);
        assert!(
            (rows as f64 - expected).abs() < 0.1 * expected,
            "{rows} rows"
        );
        let said = &summary["episodes"][0];
        assert_eq!(
            (&said["rows"], &said["lost_frames"]),
            (&rows.into(), &vec![0].into())
        );

        // What a second listener heard meanwhile, message for message.
        let (mut states, mut frames) = (Vec::new(), Vec::new());
        while let Ok(message) = witness.received().try_recv() {
            match message {
                Captured::State(state) => states.push(state),
                Captured::Frame(frame) => frames.push(frame.captured_ns),
                Captured::Gripper(_) => {}
            }
        }
        let track = store
            .proprioception(first, &View::default())
            .expect("states");
        let commanded = store.extras(first).expect("extras").commanded;
        let begin_ns = frames.iter().position(|ns| {
            let since: Vec<u64> = frames
                .iter()
                .filter(|f| *f >= ns)
                .map(|f| f - ns)
                .take(rows)
                .collect();
            since.len() == rows
                && since.iter().zip(&track.time_s).all(|(ns, time_s)| {
                    (*ns as f64 * 1e-9 - (time_s - track.time_s[0])).abs() < 2e-3
                })
        });
        let begin = begin_ns.expect("the rows are consecutive frames of the camera");
        let end_ns = frames[begin + rows - 1];
        let during = states
            .iter()
            .filter(|s| (frames[begin]..=end_ns).contains(&s.node_ns));
        assert!(
            said["states"].as_u64() >= Some(during.count() as u64),
            "{said}"
        );
        let (mut moved_m, mut ahead_m) = (0.0_f64, 0.0_f64);
        for (row, ns) in frames[begin..begin + rows].iter().enumerate() {
            let near = states
                .iter()
                .min_by_key(|s| s.node_ns.abs_diff(*ns))
                .expect("a state");
            let measured = track.states[row].position_m;
            let p = near.placement.translation;
            let off = (measured[0] - p.x)
                .hypot(measured[1] - p.y)
                .hypot(measured[2] - p.z);
            // The hand moves up to 0.2 m/s, and on a busy machine a row's state may be 40 ms old.
            assert!(
                off < 0.01,
                "row {row} is {off} m from what was published then"
            );
            moved_m = moved_m.max(track.states[0].distance_m(&track.states[row]));
            ahead_m = ahead_m.max(track.states[row].distance_m(&commanded[row]));
        }
        assert!(moved_m > 0.02 && ahead_m > 0.001, "{moved_m} {ahead_m}");
        let pictures = store
            .frames(first, &View::default(), &[0, rows - 1])
            .expect("pictures");
        assert_eq!((pictures.width(), pictures.height()), (64, 48));
    }
}

#[test]
fn recordings_killed_twenty_times_leave_whole_episodes() {
    if !crate::require::ffmpeg() {
        return;
    }
    let _alone = lab::no_lab();
    let server = serve(30);
    let client = Client::drive(&server);
    let work = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for format in ["lerobot", "droid"] {
        let out = work.path().join(format);
        let (mut acknowledged, mut kills) = (0, 0);
        while kills < 10 {
            let more = ["--follow", "--to", format, "--fps", "30"];
            let mut recording = Recording::start(&server, &out, &more);
            // An episode that is finished, and one that the kill meets somewhere: while it is
            // recorded, put together or moved into its place.
            for pause_ms in [200, rng.random_range(80..400)] {
                recording.say("start");
                recording.heard("recording");
                std::thread::sleep(Duration::from_millis(pause_ms));
                recording.say("success");
                if pause_ms == 200 {
                    recording.heard("episode 1");
                    acknowledged += 1;
                }
            }
            std::thread::sleep(Duration::from_millis(rng.random_range(0..700)));
            recording.process.kill().expect("killed");
            recording.process.wait().expect("gone");
            kills += 1;
            let store = foresight_datasets::open(&out).expect("a dataset");
            let there = store.episodes().len();
            assert!(store.unusable().is_empty(), "{:?}", store.unusable());
            assert!(
                there >= acknowledged && there <= acknowledged + kills,
                "{there}"
            );
            // One that nobody heard of may be whole too.
            acknowledged = there;
        }
        println!("{format}: {acknowledged} episodes after {kills} kills");
        valid(&out, acknowledged);
        let files = fs::read_dir(work.path()).expect("listed").flatten();
        let left: Vec<_> = files.map(|f| f.file_name()).collect();
        assert!(left.len() <= 5, "{left:?}");
    }
    drop(client);
}

#[test]
fn a_full_disk_costs_the_episode_and_nothing_else() {
    if !crate::require::ffmpeg() {
        return;
    }
    let _alone = lab::no_lab();
    let server = serve(30);
    let client = Client::drive(&server);
    let work = tempfile::tempdir().expect("a folder");
    let out = work.path().join("data");
    // Files end at 128 KiB, with an error instead of a signal.
    let mut command = Command::new("bash");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "bash"])
        .arg(env!("CARGO_BIN_EXE_foresight"));
    let mut recording = Recording::of(command, &server, &out, &["--follow"]);
    for (number, pause_ms) in [300, 4000, 300].into_iter().enumerate() {
        recording.say("start");
        recording.heard("recording");
        std::thread::sleep(Duration::from_millis(pause_ms));
        recording.say("success");
        let heard = match number {
            1 => recording.heard("lost"),
            _ => recording.heard("episode"),
        };
        println!("{heard}");
        assert!(number != 1 || heard.contains("write"), "{heard}");
    }
    let (summary, well) = recording.quit();
    assert_eq!((&summary["lost"], well), (&1.into(), false), "{summary}");
    valid(&out, 2);
    drop(client);
}

#[test]
fn words_drive_the_arm_as_far_as_the_envelope_lets_them() {
    if !crate::require::ffmpeg() {
        return;
    }
    let _alone = lab::no_lab();
    let server = serve(15);
    let work = tempfile::tempdir().expect("a folder");
    let out = work.path().join("data");
    // A second camera, of another rate, at another endpoint.
    let twin = SimServerConfig {
        camera: "side".into(),
        connect: server.endpoints().to_vec(),
        frame_width: 80,
        frame_height: 64,
        ..SimServerConfig::default()
    };
    let scene = SceneDistribution::default().sample(1);
    let twin = TwinCamera::start(&scene, &twin).expect("a second camera");
    let cameras = [
        "--camera",
        "front",
        "--camera",
        "wrist=side",
        "--connect",
        &twin.endpoints()[0],
    ];
    let more = [&["--robot"][..], &cameras].concat();
    let mut recording = Recording::start(&server, &out, &more);
    recording.say("start");
    recording.heard("recording");
    recording.say("move 0.03 0 0.03");
    // A metre is beyond everything.
    recording.say("move 0 1 0");
    let said = recording.heard("moved");
    println!("{said}");
    recording.say("move 0 0");
    recording.heard("3, 4, 6 or 7 numbers");
    recording.say("close");
    std::thread::sleep(Duration::from_secs(5));
    recording.say("stop");
    recording.heard("episode 1");
    let (summary, well) = recording.quit();
    assert!(well, "{summary}");
    assert_eq!(server.refused(), 0);
    let store = LeRobotStore::open(&out).expect("a dataset");
    assert_eq!(store.episodes()[0].success, None);
    let wrist = "wrist".parse().expect("a view");
    let rows = store.episodes()[0].length;
    let side = store.frames(0, &wrist, &[0, rows - 1]).expect("pictures");
    assert_eq!((side.len(), side.width(), side.height()), (2, 80, 64));
    assert!(
        side.frame(0) != side.frame(1),
        "the second camera saw no motion"
    );
    let extras = store.extras(0).expect("read");
    let states = &extras.trajectory.states;
    let (first, last) = (states[0], states[states.len() - 1]);
    let moved = |axis: usize| last.position_m[axis] - first.position_m[axis];
    assert!(
        (moved(0) - 0.03).abs() < 0.005 && (moved(2) - 0.03).abs() < 0.005,
        "{last:?}"
    );
    assert!(moved(1) > 0.02 && moved(1) < 0.2, "{last:?}");
    for pose in extras.commanded.iter().chain(states) {
        // The box of the scenario.
        assert!(
            pose.position_m[1] < 0.225 && pose.position_m[0] < 0.655,
            "{pose:?}"
        );
    }
    assert!(last.gripper > first.gripper + 0.2, "{last:?}");

    // Somebody else holds the arm: nothing is driven.
    let _client = Client::drive(&server);
    let mut other = Command::new(env!("CARGO_BIN_EXE_foresight"));
    let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
    other
        .arg("record")
        .arg(reach)
        .args(["--robot", "--connect", &server.endpoints()[0]]);
    let began = Instant::now();
    let output = other
        .arg("--out")
        .arg(work.path().join("other"))
        .output()
        .expect("run");
    assert_eq!(
        output.status.code(),
        Some(3),
        "{output:?} after {:?}",
        began.elapsed()
    );
}

/// A lab that nobody here wrote: stock franka-node in front of franka-sim, driven by the stock Python
/// client while its arm and our camera are recorded.
#[test]
fn a_stock_lab_is_recorded_while_the_stock_client_drives() {
    let Some(sim) = lab::franka_sim().filter(|_| crate::require::ffmpeg()) else {
        return;
    };
    let lab = lab::Lab::start(&sim);
    println!("{}", lab.text(&["robot", "home", "--speed", "0.3"]));
    let script = "
import sys, franka_node
with franka_node.Node(sys.argv[1]) as node, node.arm('fr3') as arm:
    with arm.cartesian_targets() as targets:
        print('moving', flush=True)
        for _ in range(2):
            for step in ([0.0, 0.05, 0.03], [0.0, -0.05, -0.03]):
                targets.move_by(step)
                targets.wait(timeout=20.0)
    arm.gripper.move(0.03)
";
    let mut client = Command::new(sim.join("venv/bin/python"))
        .args(["-c", script, &lab.node])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut line = String::new();
    let mut said = BufReader::new(client.stdout.take().expect("piped"));
    said.read_line(&mut line).expect("it moves");
    let out = lab.folder.path().join("data");
    let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
    let (reach, out_text) = (reach.display().to_string(), out.display().to_string());
    let output = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
        command.args([
            "record",
            &reach,
            "--follow",
            "--to",
            "droid",
            "--seconds",
            "6",
        ]);
        command.args(["--connect", &lab.node, "--connect", &lab.camera]);
        command
            .args(["--json", "--out", &out_text])
            .stdin(Stdio::piped());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it starts");
        writeln!(process.stdin.take().expect("piped"), "start go to and fro").expect("heard");
        process.wait_with_output().expect("ended")
    };
    assert!(client.wait().expect("ended").success(), "{}", lab.logs());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    println!("{summary}");
    let one = &summary["episodes"][0];
    assert_eq!(one["lost_frames"][0], 0, "{summary}");
    assert!(one["rows"].as_u64() > Some(90), "{summary}");
    valid(&out, 1);
    let store = foresight_datasets::open(&out).expect("a dataset");
    assert_eq!(
        (store.episodes()[0].success, &*store.episodes()[0].task),
        (None, "go to and fro")
    );
    let track = store.proprioception(0, &View::default()).expect("states");
    let sides = track.states.iter().map(|s| s.position_m[1]);
    let (least, most) = sides.fold((f64::MAX, f64::MIN), |(a, b), y| (a.min(y), b.max(y)));
    assert!(most - least > 0.03, "{least} {most}");
}
