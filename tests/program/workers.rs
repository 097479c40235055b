//! Plans shared out among processes, as a user starts them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use image::{Rgb, RgbImage};
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tabletop");

/// A `foresight serve` that ends with the test.
struct Served {
    process: Child,
    endpoint: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(model: &str) -> Served {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port();
    let endpoint = format!("tcp/127.0.0.1:{port}");
    let mut process = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(["serve", model, "--listen", &endpoint, "--precision", "f32"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    // It listens once it says so.
    let mut line = String::new();
    let out = process.stdout.take().expect("its output");
    BufReader::new(out).read_line(&mut line).expect("a line");
    assert!(
        line.contains(&endpoint) && line.contains("tabletop"),
        "{line}"
    );
    Served { process, endpoint }
}

fn plan(folder: &Path, more: &[&str]) -> (Option<Value>, String) {
    let picture = |name: &str, grey: u8| {
        let path = folder.join(name);
        let image = RgbImage::from_fn(64, 64, |x, y| Rgb([grey, (3 * x) as u8, (2 * y) as u8]));
        image.save(&path).expect("a picture");
        path
    };
    let output = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args([
            "plan",
            "--model",
            MODEL,
            "--state",
            "0.5,0,0.2,3.14159,0,0,0",
            "--json",
        ])
        .args([
            "--precision",
            "f32",
            "--preset",
            "fast",
            "--samples",
            "37",
            "--seed",
            "5",
        ])
        .arg("--context")
        .arg(picture("now.png", 40))
        .arg("--goal")
        .arg(picture("goal.png", 200))
        .args(more)
        .output()
        .expect("the program");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).ok(), words)
}

#[test]
fn a_plan_shared_with_workers_is_the_plan_made_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (alone, words) = plan(folder.path(), &[]);
    let alone = alone.unwrap_or_else(|| panic!("{words}"));
    let workers = [serve(MODEL), serve(MODEL)];
    let endpoints = workers.each_ref().map(|w| w.endpoint.clone()).join(",");
    let (shared, words) = plan(folder.path(), &["--workers", &endpoints]);
    let shared = shared.unwrap_or_else(|| panic!("{words}"));
    for key in ["actions", "energy", "iterations", "evaluations"] {
        assert_eq!(alone[key], shared[key], "{key}");
    }
    assert_eq!(shared["evaluations"], 185);
}

#[test]
fn another_model_and_nobody_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (none, words) = plan(folder.path(), &["--workers", "tcp/127.0.0.1:9"]);
    assert!(
        none.is_none() && words.contains("no worker answers"),
        "{words}"
    );

    let other = folder.path().join("tabletop");
    std::fs::create_dir(&other).expect("a folder");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(MODEL).join(file), other.join(file)).expect("a copy");
    }
    // One bit of one weight.
    let weights = other.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).expect("weights");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).expect("weights");
    let served = serve(other.to_str().expect("a path"));
    let (none, words) = plan(folder.path(), &["--workers", &served.endpoint]);
    assert!(
        none.is_none() && words.contains("serves the model tabletop"),
        "{words}"
    );
}
