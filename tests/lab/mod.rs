//! A lab without hardware: franka-sim (an FCI server in MuJoCo) behind stock franka-node, and our
//! renderer looking at the arm through franka-cam's format. Everything is a process of its own,
//! as in a lab, and is ended with SIGTERM.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where `robot/franka-sim/setup` put franka-sim, when not under `target/`.
const SIM_FOLDER: &str = "FORESIGHT_FRANKA_SIM";
/// Set by `.ci/run`: a missing franka-sim is then a failure.
const REQUIRED: &str = "FORESIGHT_REQUIRE_FRANKA_SIM";
/// The configuration file of a node process.
pub const NODE_CONFIG: &str = "FORESIGHT_TEST_NODE_CONFIG";
/// The FCI's ports can't be chosen, so there is one lab at a time.
static ONE_LAB: Mutex<()> = Mutex::new(());

/// A process that is asked to end when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        terminate(&mut self.0);
    }
}

/// SIGTERM, and SIGKILL when that is ignored.
fn terminate(child: &mut Child) {
    let pid = child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status();
    let deadline = Instant::now() + Duration::from_secs(20);
    while asked.is_ok() && Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
}

pub struct Lab {
    // Dropped in this order: camera, node, robot.
    _camera: Process,
    _node: Process,
    _sim: Process,
    pub node: String,
    pub camera: String,
    pub folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// franka-sim's folder, or why there is none. A test that can't run says so even when its output
/// is captured, and fails where it must run.
pub fn franka_sim() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let folder = std::env::var_os(SIM_FOLDER).map_or(target.join("franka-sim"), PathBuf::from);
    if folder.join("model/fr3.xml").exists() {
        return Some(folder);
    }
    let what = format!(
        "franka-sim is not set up in {}: run robot/franka-sim/setup",
        folder.display()
    );
    assert!(std::env::var_os(REQUIRED).is_none(), "{what}");
    let _ = writeln!(std::io::stderr(), "\nSKIPPED, NOT PASSED: {what}\n");
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}

fn wait_for_port(port: u16, who: &str, process: &mut Process) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = process.0.try_wait().expect("a process");
        assert!(ended.is_none(), "{who} ended: {ended:?}");
        assert!(Instant::now() < deadline, "{who} does not listen on {port}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Lab {
    /// Starts everything; the camera looks at the scene of the bundled `reach` scenario.
    pub fn start(sim: &Path) -> Lab {
        let alone = ONE_LAB.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        let log = |name: &str| {
            let file = std::fs::File::create(folder.path().join(name)).expect("a log");
            let both = file.try_clone().expect("a log");
            (Stdio::from(file), Stdio::from(both))
        };
        let (out, err) = log("franka-sim.log");
        let mut robot = Process(
            Command::new(sim.join("venv/bin/run-franka-sim-server"))
                .arg("--urdf")
                .arg(sim.join("model/fr3.urdf"))
                // Something between the fingers, so that a grasp can succeed.
                .args(["--gripper-object-width", "0.05"])
                .env("FR3_MJCF", sim.join("model/fr3.xml"))
                .stdout(out)
                .stderr(err)
                .spawn()
                .expect("franka-sim starts"),
        );
        wait_for_port(1337, "franka-sim", &mut robot);
        wait_for_port(1338, "franka-sim's gripper", &mut robot);
        // A probe of its port occupies its only client slot for a moment.
        std::thread::sleep(Duration::from_millis(1500));

        let (node_port, camera_port) = (free_port(), free_port());
        let config = folder.path().join("node.toml");
        let text = format!(
            "name = \"lab\"\n[zenoh]\nlisten = [\"tcp/127.0.0.1:{node_port}\"]\n\
             multicast_scouting = false\n[[arm]]\nname = \"fr3\"\nhost = \"127.0.0.1\"\n\
             realtime = \"ignore\"\ngripper = \"hand\"\n"
        );
        std::fs::write(&config, text).expect("the node's configuration");
        let (out, err) = log("franka-node.log");
        let mut node = Process(
            Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "franka_node_process", "--ignored", "--nocapture"])
                .env(NODE_CONFIG, &config)
                .env("RUST_LOG", "franka_node=debug,zenoh=error")
                .stdout(out)
                .stderr(err)
                .spawn()
                .expect("franka-node starts"),
        );
        wait_for_port(node_port, "franka-node", &mut node);
        let node_endpoint = format!("tcp/127.0.0.1:{node_port}");
        let camera_endpoint = format!("tcp/127.0.0.1:{camera_port}");
        let (out, err) = log("camera.log");
        let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
        let mut camera = Process(
            Command::new(env!("CARGO_BIN_EXE_foresight"))
                .arg("sim")
                .arg(reach)
                .args(["--follow", &node_endpoint, "--listen", &camera_endpoint])
                .stdout(out)
                .stderr(err)
                .spawn()
                .expect("the camera starts"),
        );
        wait_for_port(camera_port, "the camera", &mut camera);
        Lab {
            _camera: camera,
            _node: node,
            _sim: robot,
            node: node_endpoint,
            camera: camera_endpoint,
            folder,
            _alone: alone,
        }
    }

    /// Runs the command line with this lab's endpoints.
    pub fn foresight(&self, arguments: &[&str]) -> Output {
        let connect = ["--connect", &self.node, "--connect", &self.camera];
        foresight(&[arguments, &connect].concat())
    }

    /// What the processes wrote, for failures.
    pub fn logs(&self) -> String {
        let names = ["franka-sim.log", "franka-node.log", "camera.log"];
        let tail = |name: &str| {
            let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let from = lines.len().saturating_sub(25);
            format!("--- {name}\n{}\n", lines[from..].join("\n"))
        };
        names.map(tail).concat()
    }
}

/// The bundled `reach` scenario's scene, served by the command line.
pub struct Served {
    _process: Process,
    pub endpoint: String,
}

impl Served {
    pub fn start() -> Served {
        let port = free_port();
        let endpoint = format!("tcp/127.0.0.1:{port}");
        let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
        let mut process = Process(
            Command::new(env!("CARGO_BIN_EXE_foresight"))
                .arg("sim")
                .arg(reach)
                .args(["--listen", &endpoint])
                .stdout(Stdio::null())
                .spawn()
                .expect("the simulator starts"),
        );
        wait_for_port(port, "foresight sim", &mut process);
        Served {
            _process: process,
            endpoint,
        }
    }
}

pub fn foresight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foresight"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// The standard output of a command that must succeed.
pub fn text(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    out
}
