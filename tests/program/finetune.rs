//! `foresight finetune` as a user runs it: it improves, survives being killed, and names what is
//! wrong with its files.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use foresight_datasets::Split;
use foresight_demonstrations::{record_all, RecordingPlan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const KILLS: usize = 20;
const STEPS: &str = "60";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Some episodes of one split below `root`.
fn record(root: &Path, split: Split, episodes: u64) {
    let mut plan = RecordingPlan::from_scenario(&project("scenarios/pick_and_place.toml")).unwrap();
    plan.split = split;
    plan.date = "2026-01-01".into();
    let seeds = split.recording_seeds(600_000, episodes).unwrap();
    let summary = record_all(&plan, seeds, root, 2, |_| {}).unwrap();
    assert_eq!(summary.recorded as u64, episodes);
}

/// A run of the bundled model on the recordings in `data`.
fn finetune(data: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
    command
        .args(["finetune", "--steps", STEPS, "--batch-size", "4"])
        .args(["--lr", "3e-4", "--model"])
        .arg(project("models/tabletop"))
        .arg("--data")
        .arg(data)
        .arg("--out")
        .arg(out)
        .args(["--set", "data.frames=3"])
        .args(["--set", "memory.micro_batch=2"])
        .args(["--set", "run.log_every=1"])
        .args(["--set", "run.checkpoint_every=2"])
        .args(["--set", "run.validate_every=30"])
        .args(["--set", "run.validation_clips=6"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn finished(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    output
}

/// Everything a run says about losses, without its times.
fn losses(out: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(out.join("log.csv")).unwrap();
    let fields = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        format!("{} {} {} {} {}", f[0], f[2], f[6], f[7], f[8])
    };
    text.lines().skip(1).map(fields).collect()
}

fn weights(out: &Path) -> [Vec<u8>; 2] {
    ["model/model.safetensors", "state.safetensors"].map(|f| std::fs::read(out.join(f)).unwrap())
}

/// Seconds until a run has begun training.
fn started(out: &Path, since: Instant) -> Duration {
    while !out.join("log.csv").exists() {
        assert!(since.elapsed() < Duration::from_secs(120), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    since.elapsed()
}

/// Lets a run go for some time, then ends it. False when it ended by itself before.
fn end_after(mut child: Child, delay: Duration, end: impl FnOnce(&mut Child)) -> bool {
    std::thread::sleep(delay);
    let running = child.try_wait().unwrap().is_none();
    if running {
        end(&mut child);
    }
    child.wait().unwrap();
    running
}

#[test]
fn a_run_killed_twenty_times_ends_with_the_weights_of_one_that_was_not() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    record(&data, Split::Train, 5);
    record(&data, Split::Validation, 2);

    let whole = root.path().join("whole");
    let began = Instant::now();
    let mut child = finetune(&data, &whole, &[]).spawn().unwrap();
    let start_up = started(&whole, began);
    assert!(child.wait().unwrap().success());
    let training = began.elapsed() - start_up;

    // So far that even 20 of them would not finish the run, were it never set back.
    let longest = start_up + training / 22;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut kills, mut runs) = (0, 0);
    while kills < KILLS {
        let out = root.path().join(format!("killed-{runs}"));
        // On a machine that has become faster a run may end early; another takes the rest.
        loop {
            let child = finetune(&data, &out, &["--resume"]).spawn().unwrap();
            if kills == KILLS {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success());
                break;
            }
            let delay = longest.mul_f64(rng.random());
            let interrupt = kills == 10;
            let ended = end_after(child, delay, |child| {
                if interrupt {
                    // Ctrl-C, which saves.
                    let id = child.id().to_string();
                    Command::new("kill").args(["-INT", &id]).status().unwrap();
                } else {
                    child.kill().unwrap();
                }
            });
            if !ended {
                break;
            }
            kills += 1;
        }
        assert!(
            losses(&out) == losses(&whole),
            "losses of run {runs} differ"
        );
        assert!(
            weights(&out) == weights(&whole),
            "weights of run {runs} differ"
        );
        runs += 1;
    }
    println!("{kills} kills in {runs} runs of {training:?} after {start_up:?}");
    is_no_worse_than_its_start(&whole);
}

/// The held-out loss of the result is at most that of the start, whatever so few episodes teach,
/// and the card says both.
fn is_no_worse_than_its_start(out: &Path) {
    let card = std::fs::read_to_string(out.join("model/MODEL_CARD.md")).unwrap();
    let line = card.lines().find(|l| l.starts_with("| total |")).unwrap();
    let numbers: Vec<f64> = line
        .split('|')
        .filter_map(|f| f.trim().parse().ok())
        .collect();
    let [before, after] = numbers.as_slice() else {
        panic!("{line}");
    };
    assert!(after <= before, "{line}");
    for part in ["5 episodes", "2 episodes", "Seed | 239", "batch_size = 4"] {
        assert!(card.contains(part), "{part} is missing:\n{card}");
    }
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    record(&data, Split::Train, 3);
    record(&data, Split::Validation, 1);
    let out = root.path().join("run");
    let short = [
        "--set",
        "optimisation.schedule.total_steps=4",
        "--set",
        "optimisation.schedule.warmup_steps=1",
        "--set",
        "optimisation.schedule.anneal_steps=1",
    ];
    finished(finetune(&data, &out, &short));

    let refused = |out: &Path, more: &[&str], parts: &[&str]| {
        let mut command = finetune(&data, out, &[&short[..], more].concat());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    };
    // An existing run is neither overwritten nor turned into another one.
    refused(&out, &[], &["--resume"]);
    refused(&out, &["--resume", "--seed", "5"], &["seed was 239, now 5"]);

    let cut = |file: &Path| {
        let whole = std::fs::read(file).unwrap();
        std::fs::write(file, &whole[..whole.len() / 2]).unwrap();
        whole
    };
    for file in ["state.safetensors", "best.safetensors", "run.toml"] {
        let path = out.join(file);
        let whole = cut(&path);
        refused(&out, &["--resume"], &[file]);
        std::fs::write(&path, whole).unwrap();
    }
    finished(finetune(&data, &out, &[&short[..], &["--resume"]].concat()));

    // A damaged file of the latent cache, met by another run that shares it.
    let latents = out.join("latents");
    let folder = std::fs::read_dir(&latents).unwrap().next().unwrap();
    for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
        cut(&file.unwrap().path());
    }
    let cache = ["--cache", latents.to_str().unwrap()];
    refused(
        &root.path().join("other"),
        &cache,
        &["latent cache", ".safetensors"],
    );

    // Settings.
    let settings = root.path().join("mine.toml");
    std::fs::write(&settings, "[data]\nfps = \"four\"\n").unwrap();
    let config = ["--config", settings.to_str().unwrap()];
    refused(&root.path().join("third"), &config, &["mine.toml", "fps"]);
    let unknown = ["--set", "data.fsp=4"];
    refused(&root.path().join("third"), &unknown, &["data.fsp"]);

    // An episode that can't be read: named, and left out only where that is asked for.
    let episodes = project_episodes(&data);
    let victim = episodes
        .iter()
        .find(|e| e.join("trajectory.h5").exists())
        .unwrap();
    cut(&victim.join("trajectory.h5"));
    let name = victim.file_name().unwrap().to_str().unwrap();
    refused(&root.path().join("fourth"), &[], &[name, "skip"]);
    let skip = [&short[..], &["--set", "data.unusable=skip"]].concat();
    let output = finished(finetune(&data, &root.path().join("fourth"), &skip));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(name), "{text}");
}

/// What a GPU does, on the CPU: it learns what the kernels learn, goes on where it stopped, and a
/// run is not resumed on another device.
#[test]
fn training_through_candle_learns_what_the_kernels_learn() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    record(&data, Split::Train, 4);
    record(&data, Split::Validation, 2);
    let [kernels, candle] = ["kernels", "candle"].map(|name| root.path().join(name));
    finished(finetune(&data, &kernels, &[]));
    let on = ["--device", "candle-cpu"];
    let began = Instant::now();
    let child = finetune(&data, &candle, &on).spawn().unwrap();
    let start_up = started(&candle, began);
    end_after(child, start_up / 2, |child| child.kill().unwrap());
    let other = finetune(&data, &candle, &["--resume"])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        text.contains("compute.device was \"candle-cpu\", now \"cpu\""),
        "{text}"
    );
    finished(finetune(&data, &candle, &[&on[..], &["--resume"]].concat()));

    let numbers = |out: &Path| -> Vec<(String, f64)> {
        losses(out)
            .iter()
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(what, value)| (what.to_owned(), value.parse().unwrap()))
            .collect()
    };
    let (a, b) = (numbers(&kernels), numbers(&candle));
    assert_eq!(a.len(), b.len());
    for ((what, x), (other, y)) in a.iter().zip(&b) {
        // The learning rate is printed alike; sums differ in their last bits and drift apart.
        assert_eq!(what, other);
        assert!((x - y).abs() < 2e-3, "{what}: {x} and {y}");
    }
    // And it did move away from where it started.
    let mut totals = a
        .iter()
        .filter(|(what, _)| what.ends_with("validation total"));
    let (first, last) = (totals.next().unwrap().1, totals.next_back().unwrap().1);
    assert!((first - last).abs() > 5e-3, "{first} and {last}");
}

/// Episode folders recorded for training.
fn project_episodes(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("episode_1") {
                found.push(path);
            } else if path.is_dir() {
                open.push(path);
            }
        }
    }
    found
}
