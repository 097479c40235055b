//! `doctor` and `robot` against the served simulator, as a user without hardware runs them.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::RwLockReadGuard;
use std::time::{Duration, Instant};

use serde_json::Value;

fn foresight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    out
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A served simulator; killed when dropped.
struct Served {
    process: Child,
    endpoint: String,
    _alone: RwLockReadGuard<'static, ()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(extra: &[&str], scheme: &str) -> Served {
    let _alone = crate::lab::no_lab();
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port();
    let endpoint = format!("{scheme}/127.0.0.1:{port}");
    let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
    let mut process = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .arg("sim")
        .arg(reach)
        .args(["--listen", &endpoint])
        .args(extra)
        .stdout(Stdio::null())
        .spawn()
        .expect("the simulator starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(process.try_wait().expect("a process").is_none(), "it ended");
        assert!(Instant::now() < deadline, "it does not listen");
        std::thread::sleep(Duration::from_millis(100));
    }
    Served {
        process,
        endpoint,
        _alone,
    }
}

#[test]
fn an_arm_by_hand() {
    let served = serve(&[], "tcp");
    let connect = ["--connect", &served.endpoint];
    let robot = |arguments: &[&str]| {
        let output = foresight(&[&["robot"], arguments, &connect].concat());
        text(&output)
    };
    let checks = json(&text(&foresight(&[
        "doctor",
        "--json",
        "--connect",
        &served.endpoint,
    ])));
    let checks = checks.as_array().expect("checks");
    assert!(checks.len() >= 10, "{checks:?}");
    for check in checks {
        assert_ne!(check["grade"], "fail", "{check}");
        let silent = check["remedy"].as_str().unwrap_or_default().is_empty();
        assert_eq!(silent, check["grade"] == "pass", "{check}");
    }
    assert!(robot(&["home", "--speed", "0.5"]).contains("home"));
    let state = json(&robot(&["state", "--json"]));
    assert!(
        (state["pose"][0].as_f64().expect("a number") - 0.307).abs() < 0.02,
        "{state}"
    );
    assert_eq!(state["holder"], 0);
    assert!(robot(&["gripper", "close"]).contains("0.0 cm"));
    assert!(robot(&["gripper", "open"]).contains("8.0 cm"));
    assert!(robot(&["stop"]).contains("stopped"));
    assert!(robot(&["recover"]).contains("recovered"));

    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let subgoal = robot(&["goal", "capture", "ready", "--out", &out]);
    assert!(
        subgoal.contains("[[subgoal]]") && subgoal.contains("pose = ["),
        "{subgoal}"
    );
    let image = image::open(folder.path().join("ready.png")).expect("a picture");
    assert_eq!((image.width(), image.height()), (64, 64));
    let again = foresight(&[
        "robot", "goal", "capture", "ready", "--out", &out, connect[0], connect[1],
    ]);
    assert_eq!(again.status.code(), Some(2), "never overwritten unasked");
}

#[test]
fn what_is_missing_is_named() {
    let dead = foresight(&["doctor", "--connect", "tcp/127.0.0.1:1", "--json"]);
    assert_eq!(dead.status.code(), Some(1));
    let checks = json(&String::from_utf8_lossy(&dead.stdout));
    let zenoh = &checks[0];
    assert_eq!(
        (&zenoh["name"], &zenoh["grade"]),
        (&Value::from("zenoh"), &Value::from("fail"))
    );
    assert!(
        zenoh["remedy"]
            .as_str()
            .is_some_and(|r| r.contains("firewall")),
        "{zenoh}"
    );

    let served = serve(&[], "tcp");
    let arguments = [
        "doctor",
        "--json",
        "--connect",
        &served.endpoint,
        "--arm",
        "nobody",
        "--camera",
        "none",
    ];
    let wrong = foresight(&arguments);
    assert_eq!(wrong.status.code(), Some(1));
    let out = String::from_utf8_lossy(&wrong.stdout).into_owned();
    assert!(
        out.contains("no node reports an arm named 'nobody'"),
        "{out}"
    );
    // What is logged into a pipe has no colours in it, and no warning of disabled gossip.
    let arguments = [
        "robot",
        "state",
        "--connect",
        &served.endpoint,
        "--arm",
        "nobody",
    ];
    let wrong = Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .env("RUST_LOG", "info")
        .output()
        .expect("the program runs");
    assert_eq!(wrong.status.code(), Some(3));
    let logged = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(logged.contains("zenoh"), "something is logged: {logged}");
    assert!(
        !logged.contains('\u{1b}') && !logged.contains("ossip"),
        "{logged}"
    );
}

#[test]
fn certificates_made_by_the_command_let_a_viewer_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("certificates").display().to_string();
    let made = text(&foresight(&[
        "robot",
        "certificates",
        "--out",
        &dir,
        "--host",
        "127.0.0.1",
    ]));
    assert_eq!(made.lines().count(), 15, "{made}");
    let served = serve(&["--certificates", &dir], "tls");
    let viewer = ["--connect", &served.endpoint, "--certificates", &dir];
    let state = text(&foresight(
        &[&["robot", "state", "--json"], &viewer[..]].concat(),
    ));
    assert_eq!(json(&state)["phase"], "idle");
    text(&foresight(&[&["robot", "stop"], &viewer[..]].concat()));
    // The viewer may not move it, the planner may.
    let home = foresight(&[&["robot", "home"], &viewer[..]].concat());
    assert_eq!(home.status.code(), Some(3), "{home:?}");
    let planner = [
        &["robot", "home", "--speed", "0.5"],
        &viewer[..],
        &["--role", "planner"],
    ]
    .concat();
    assert!(text(&foresight(&planner)).contains("home"));
    let without = foresight(&["robot", "state", "--connect", &served.endpoint]);
    assert_eq!(without.status.code(), Some(2), "{without:?}");
    // Certificates of another authority open nothing.
    let other = folder.path().join("other").display().to_string();
    text(&foresight(&[
        "robot",
        "certificates",
        "--out",
        &other,
        "--host",
        "127.0.0.1",
    ]));
    let stranger = [
        "robot",
        "state",
        "--connect",
        &served.endpoint,
        "--certificates",
        &other,
    ];
    assert_eq!(foresight(&stranger).status.code(), Some(3));
}
