//! A lab without hardware: franka-sim (an FCI server in MuJoCo) behind stock franka-node, and our
//! renderer looking at the arm through franka-cam's format. Everything is a process of its own,
//! as in a lab, and is ended with SIGTERM.

mod watch;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use foresight_robot::certificates::{create, of_role};
use foresight_robot::link::{ONE_THREAD, ZENOH_RUNTIME_ENV};
use foresight_robot::{EnvelopeConfig, WorkspaceBox, ZenohArmConfig};
use franka_node::{ArmConfig, FrankaHand, Gripper, NodeConfig};

pub use watch::Watch;

/// Where `robot/franka-sim/setup` put franka-sim, when not under `target/`.
const SIM_FOLDER: &str = "FORESIGHT_FRANKA_SIM";
/// The configuration file of a node process.
const NODE_CONFIG: &str = "FORESIGHT_TEST_NODE_CONFIG";
/// The FCI's ports can't be chosen, so there is one lab at a time; and what it measures in real time
/// would suffer from a served simulator beside it.
static ONE_LAB: RwLock<()> = RwLock::new(());

/// Waits until no lab is open, and keeps them closed.
pub fn no_lab() -> RwLockReadGuard<'static, ()> {
    ONE_LAB.read().unwrap_or_else(PoisonError::into_inner)
}

/// The box of all motions here; the ready pose lies inside.
pub const BOX: WorkspaceBox = WorkspaceBox {
    min_m: [0.28, -0.30, 0.0],
    max_m: [0.65, 0.30, 0.55],
};

/// The limits of all motions here.
pub fn limits() -> EnvelopeConfig {
    EnvelopeConfig::new(BOX)
}

/// A process that is asked to end when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        terminate(&mut self.0);
    }
}

impl Process {
    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

/// SIGTERM, and SIGKILL when that is ignored.
fn terminate(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
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
    camera_process: Process,
    node_process: Process,
    sim_process: Process,
    node_config: PathBuf,
    pub node: String,
    pub camera: String,
    /// Folder of the certificates of a lab over TLS.
    pub certificates: Option<PathBuf>,
    pub folder: tempfile::TempDir,
    _alone: RwLockWriteGuard<'static, ()>,
}

/// franka-sim's folder, where it is set up.
pub fn franka_sim() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let folder = std::env::var_os(SIM_FOLDER).map_or(target.join("franka-sim"), PathBuf::from);
    let there = folder.join("model/fr3.xml").exists();
    let remedy = format!("run robot/franka-sim/setup {}", folder.display());
    crate::require::present("franka-sim", there, &remedy).then_some(folder)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}

/// A log file in `folder`, for standard output and standard error.
fn log(folder: &Path, name: &str) -> (Stdio, Stdio) {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(name))
        .expect("a log");
    let both = file.try_clone().expect("a log");
    (Stdio::from(file), Stdio::from(both))
}

fn start_robot(sim: &Path, folder: &Path) -> Process {
    let (out, err) = log(folder, "franka-sim.log");
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
    robot
}

fn start_node(config: &Path, port: u16) -> Process {
    let (out, err) = log(config.parent().expect("a folder"), "franka-node.log");
    let mut node = Process(
        Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "lab::franka_node_process",
                "--ignored",
                "--nocapture",
            ])
            .env(NODE_CONFIG, config)
            .env(ZENOH_RUNTIME_ENV, ONE_THREAD)
            .env("RUST_LOG", "franka_node=debug,zenoh=error")
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("franka-node starts"),
    );
    wait_for_port(port, "franka-node", &mut node);
    node
}

/// Not a test: the node's process. It is franka-node's own `main`: its `run`, and the Franka Hand
/// for `gripper = "hand"`.
#[test]
#[ignore = "runs as a child of the other tests"]
fn franka_node_process() {
    let Ok(file) = std::env::var(NODE_CONFIG) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    fn hand(
        arm: &ArmConfig,
        _: &Arc<franka_node::franka::Robot>,
    ) -> Result<Option<Box<dyn Gripper>>, String> {
        FrankaHand::connect(&arm.host, arm.gripper_speed)
            .map(|hand| Some(Box::new(hand) as Box<dyn Gripper>))
            .map_err(|e| format!("gripper: {e}"))
    }
    let config = NodeConfig::from_path(&file).expect("the node's configuration");
    franka_node::run(config, hand).expect("the node runs");
}

fn start_camera(
    node: &str,
    (endpoint, port): (&str, u16),
    certificates: Option<&Path>,
    folder: &Path,
) -> Process {
    let (out, err) = log(folder, "camera.log");
    let reach = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/reach.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_foresight"));
    command
        .arg("sim")
        .arg(reach)
        .args(["--follow", node, "--listen", endpoint]);
    if let Some(made) = certificates {
        command.arg("--certificates").arg(made);
    }
    let mut camera = Process(
        command
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("the camera starts"),
    );
    wait_for_port(port, "the camera", &mut camera);
    camera
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
        Lab::with(sim, false)
    }

    /// The same over mutual TLS, with access control.
    pub fn over_tls(sim: &Path) -> Lab {
        Lab::with(sim, true)
    }

    fn with(sim: &Path, tls: bool) -> Lab {
        let alone = ONE_LAB.write().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        let sim_process = start_robot(sim, folder.path());
        let certificates = tls.then(|| {
            let made = folder.path().join("certificates");
            create(&made, &["127.0.0.1".into()], 2).expect("certificates");
            made
        });
        let (node_port, camera_port) = (free_port(), free_port());
        let scheme = if tls { "tls" } else { "tcp" };
        let at = |port: u16| format!("{scheme}/127.0.0.1:{port}");
        let zenoh_config = certificates.as_ref().map_or(String::new(), |made| {
            format!("zenoh_config = {:?}\n", made.join("node.json5"))
        });
        let text = format!(
            "name = \"lab\"\n[zenoh]\nlisten = [{:?}]\nmulticast_scouting = false\n{zenoh_config}\
             [[arm]]\nname = \"fr3\"\nhost = \"127.0.0.1\"\nrealtime = \"ignore\"\n\
             gripper = \"hand\"\n",
            at(node_port)
        );
        let node_config = folder.path().join("node.toml");
        std::fs::write(&node_config, text).expect("the node's configuration");
        let node_process = start_node(&node_config, node_port);
        let camera_process = start_camera(
            &at(node_port),
            (&at(camera_port), camera_port),
            certificates.as_deref(),
            folder.path(),
        );
        Lab {
            camera_process,
            node_process,
            sim_process,
            node_config,
            node: at(node_port),
            camera: at(camera_port),
            certificates,
            folder,
            _alone: alone,
        }
    }

    /// Kills the node, as a crash does, and starts it again.
    pub fn restart_node(&mut self) {
        self.node_process.kill();
        let port = self.node.rsplit(':').next().and_then(|p| p.parse().ok());
        self.node_process = start_node(&self.node_config, port.expect("a port"));
    }

    /// Kills the robot: what answers the FCI is gone from one moment to the next.
    pub fn kill_robot(&mut self) {
        self.sim_process.kill();
    }

    /// Kills the camera.
    pub fn kill_camera(&mut self) {
        self.camera_process.kill();
    }

    /// Runs the command line with this lab's endpoints.
    pub fn foresight(&self, arguments: &[&str]) -> Output {
        let connect = ["--connect", &self.node, "--connect", &self.camera];
        let shown = self
            .certificates
            .as_ref()
            .map(|made| made.display().to_string());
        let shown = shown
            .iter()
            .flat_map(|made| ["--certificates", made, "--role", "planner"]);
        foresight(&[arguments, &connect, &shown.collect::<Vec<_>>()].concat())
    }

    /// The standard output of a command with this lab's endpoints, which must succeed.
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.foresight(arguments);
        assert!(output.status.success(), "{output:?}\n{}", self.logs());
        text(&output)
    }

    /// How a planner reaches this lab.
    pub fn arm(&self) -> ZenohArmConfig {
        let mut config = ZenohArmConfig::default();
        config.link.connect = vec![self.node.clone(), self.camera.clone()];
        config.link.tls = self
            .certificates
            .as_ref()
            .map(|made| of_role(made, "planner"));
        config
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
