//! The simulator behind franka-node's and franka-cam's own keys, in real time.
//!
//! Only the robot, the gripper and the camera are simulated. State machine, lease, watchdogs,
//! guard, messages and their rates are franka-node's own arm thread, frames and camera status
//! franka-cam's own capture thread; so what a client sees here is what it sees in a lab.

mod camera;
mod clock;
mod gripper;
mod robot;
mod twin_camera;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foresight_sim::{GroundTruth, Scene, Simulator};
use franka_node::{ArmConfig, NodeConfig, StatusPublisher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zenoh::{Session, Wait};

use crate::arm::{ArmError, ArmResult};
use crate::link::{self, link_error, LinkConfig, TlsConfig};
use crate::worker::Worker;
use camera::SimCamera;
use clock::SharedSimulator;
use gripper::SimGripper;
use robot::SimRobot;
pub use twin_camera::TwinCamera;

/// How often another free port is tried when one was taken meanwhile.
const PORT_ATTEMPTS: u32 = 20;

/// What is served, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimServerConfig {
    /// Endpoints to listen on; none for a free port on the loopback.
    pub listen: Vec<String>,
    /// Endpoints to connect to; a camera that follows a real arm names its node's.
    pub connect: Vec<String>,
    /// Certificates for `tls/` endpoints.
    pub tls: Option<TlsConfig>,
    /// A zenoh configuration file (JSON5) to start from: certificates, access control.
    pub zenoh_config: Option<PathBuf>,
    /// The arm's name in `franka/<arm>/…`.
    pub arm: String,
    /// The camera's name in `franka/cam/<camera>/…`. Of a scene with several cameras it shows all of
    /// them, side by side, unless the others are named.
    pub camera: String,
    /// The scene's other cameras, each under its name.
    pub other_cameras: Vec<String>,
    /// Width of the frames, of all cameras together, pixels.
    pub frame_width: u16,
    /// Height of the frames, pixels.
    pub frame_height: u16,
    /// Frames per second.
    pub frames_per_second: u32,
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
    /// franka-node's hold watchdog, ms.
    pub hold_after_ms: u64,
    /// franka-node's stop watchdog, ms.
    pub stop_after_ms: u64,
}

impl Default for SimServerConfig {
    fn default() -> Self {
        SimServerConfig {
            listen: Vec::new(),
            connect: Vec::new(),
            tls: None,
            zenoh_config: None,
            arm: "fr3".into(),
            camera: "front".into(),
            other_cameras: Vec::new(),
            frame_width: 128,
            frame_height: 128,
            frames_per_second: 20,
            jpeg_quality: 97,
            hold_after_ms: 200,
            stop_after_ms: 2000,
        }
    }
}

impl SimServerConfig {
    /// Width of the pictures published under one camera's name, pixels.
    pub(crate) fn picture_width(&self) -> u16 {
        let cameras = 1 + self.other_cameras.len();
        self.frame_width / u16::try_from(cameras).unwrap_or(u16::MAX)
    }
}

/// Something that goes wrong at the robot or the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedFault {
    /// Nothing: what was injected before is over. A reflex needs a `recover`.
    None,
    /// The robot breaks the session off: the arm brakes and the node goes to Faulted.
    Reflex,
    /// The robot's clock stands still, as when its state stream stalls.
    FrozenClock,
    /// The camera's stamps are ahead of the host's clock by so much, ns.
    CameraSkew {
        /// How much; negative when they lag.
        ns: i64,
    },
    /// The camera delivers no more frames.
    DeadCamera,
}

/// A running server; dropping it stops everything.
pub struct SimServer {
    // Order matters: what uses the session goes first, the clock last.
    _status: (StatusPublisher, franka_cam::StatusPublisher),
    cameras: Vec<franka_cam::Camera>,
    arm: Mutex<Option<franka_node::Attached>>,
    arm_config: ArmConfig,
    session: Session,
    world: Arc<SharedSimulator>,
    clock: Option<Worker>,
    endpoints: Vec<String>,
}

impl SimServer {
    /// Sets up `scene` and serves it.
    ///
    /// # Errors
    /// [`ArmError`] when the scene can't be simulated, a name is not usable as a key, or the
    /// endpoint can't be listened on.
    pub fn start(scene: &Scene, config: &SimServerConfig) -> ArmResult<Self> {
        let simulator = Simulator::new(scene).map_err(|e| ArmError::Simulator(e.to_string()))?;
        let node = node_config(config)?;
        let camera_configs = camera::configs(config)?;
        let (session, endpoints) = listen(config)?;
        let world = Arc::new(SharedSimulator::new(simulator));
        let clock = clock::start(Arc::clone(&world))?;

        let serving = |e: zenoh::Error| link_error("serving the simulator", e);
        let arm_config = node.arms[0].clone();
        let arm = attach(&session, arm_config.clone(), &world)?;
        let arm_stats = vec![(config.arm.clone(), Arc::clone(arm.stats()))];
        let arm_status = franka_node::transport::status_publisher(&session, &node.name, arm_stats)
            .map_err(serving)?;

        let (cameras, cam_status) = serve_cameras(&session, &world, config, camera_configs)?;
        Ok(SimServer {
            _status: (arm_status, cam_status),
            cameras,
            arm: Mutex::new(Some(arm)),
            arm_config,
            session,
            world,
            clock: Some(clock),
            endpoints,
        })
    }

    /// Where it listens, such as `tcp/127.0.0.1:40123`.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// A link to this server.
    pub fn link(&self) -> LinkConfig {
        LinkConfig {
            connect: self.endpoints.clone(),
            ..LinkConfig::default()
        }
    }

    /// The physics' own account of the scene.
    pub fn truth(&self) -> GroundTruth {
        self.world.lock().simulator.truth()
    }

    /// Looks at the simulator; it stands still meanwhile, so be brief.
    pub fn with_simulator<T>(&self, look: impl FnOnce(&Simulator) -> T) -> T {
        look(&self.world.lock().simulator)
    }

    /// Changes the simulator's poses; it stands still meanwhile.
    pub fn with_simulator_mut<T>(&self, change: impl FnOnce(&mut Simulator) -> T) -> T {
        change(&mut self.world.lock().simulator)
    }

    /// Puts another scene in place of this one. Refused while a session runs: the arm would
    /// jump under it.
    ///
    /// # Errors
    /// [`ArmError::Simulator`] when a session runs or the scene can't be simulated.
    pub fn reset(&self, scene: &Scene) -> ArmResult<()> {
        let simulator = Simulator::new(scene).map_err(|e| ArmError::Simulator(e.to_string()))?;
        let mut inner = self.world.lock();
        if inner.running {
            return Err(ArmError::Simulator(
                "the arm is enabled; stop it before changing the scene".into(),
            ));
        }
        inner.replace(simulator);
        Ok(())
    }

    /// Lets something go wrong, or go right again: for tests of what happens then.
    pub fn inject(&self, fault: InjectedFault) {
        let mut inner = self.world.lock();
        match fault {
            InjectedFault::Reflex => inner.break_off(),
            InjectedFault::FrozenClock => inner.frozen_s = Some(inner.robot_time_s()),
            InjectedFault::CameraSkew { ns } => inner.camera_skew_ns = ns,
            InjectedFault::DeadCamera => inner.camera_dead = true,
            InjectedFault::None => {
                inner.frozen_s = None;
                inner.camera_skew_ns = 0;
                inner.camera_dead = false;
            }
        }
    }

    /// Ends the node's arm thread, as SIGTERM does, and starts another in its place; the robot
    /// itself goes on.
    ///
    /// # Errors
    /// [`ArmError::Link`] when the keys can't be served again.
    pub fn restart_node(&self) -> ArmResult<()> {
        let mut arm = self.arm();
        if let Some(arm) = arm.take() {
            arm.shutdown();
        }
        *arm = Some(attach(&self.session, self.arm_config.clone(), &self.world)?);
        Ok(())
    }

    fn arm(&self) -> MutexGuard<'_, Option<franka_node::Attached>> {
        self.arm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Targets and gripper commands the node refused since the running session began.
    pub fn refused(&self) -> u64 {
        self.arm()
            .as_ref()
            .map_or(0, |arm| arm.stats().snapshot("").refused)
    }

    /// Messages on the target keys that were not messages, since the start.
    pub fn decode_failures(&self) -> u64 {
        self.arm().as_ref().map_or(0, |arm| arm.decode_failures())
    }

    /// How far the simulated clock is behind the wall clock, s: grows when the machine is too
    /// slow to simulate in real time.
    pub fn lost_s(&self) -> f64 {
        self.world.lock().lost_s
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.cameras.clear();
        if let Some(arm) = self.arm().take() {
            arm.shutdown();
        }
        if let Err(e) = self.session.close().wait() {
            tracing::debug!("closing the server's session: {e}");
        }
        drop(self.clock.take());
    }
}

/// Serves the simulated robot on franka-node's own arm thread.
fn attach(
    session: &Session,
    config: ArmConfig,
    world: &Arc<SharedSimulator>,
) -> ArmResult<franka_node::Attached> {
    let names = [config.name.clone()];
    let gripper = Box::new(SimGripper::new(Arc::clone(world)));
    let robot = SimRobot::new(Arc::clone(world));
    franka_node::transport::attach(session, config, &names, robot, Some(gripper))
        .map_err(|e| link_error("serving the simulator", e))
}

/// Serves the simulated cameras as franka-cam does.
fn serve_cameras(
    session: &Session,
    world: &Arc<SharedSimulator>,
    config: &SimServerConfig,
    cameras: Vec<franka_cam::CameraConfig>,
) -> ArmResult<(Vec<franka_cam::Camera>, franka_cam::StatusPublisher)> {
    let serving = |e: zenoh::Error| link_error("serving the camera", e);
    let mut attached = Vec::new();
    let mut known = Vec::new();
    let apart = cameras.len() > 1;
    for (number, camera) in cameras.into_iter().enumerate() {
        let name = camera.name.clone();
        let stats = Arc::new(franka_cam::CamStats::new(&camera));
        let factory = SimCamera::factory(Arc::clone(world), config, apart.then_some(number));
        let camera =
            franka_cam::transport::attach(session, camera, factory, Arc::clone(&stats), None)
                .map_err(serving)?;
        attached.push(camera);
        known.push((name, "simulator".into(), stats));
    }
    let known = franka_cam::Cameras::new(known);
    let status = franka_cam::transport::status_publisher(session, "foresight-sim-cam", known)
        .map_err(serving)?;
    Ok((attached, status))
}

/// franka-node's own configuration of one arm: its defaults, except for what the simulator has
/// no use for.
fn node_config(config: &SimServerConfig) -> ArmResult<NodeConfig> {
    let text = format!(
        "name = \"foresight-sim\"\n[[arm]]\nname = {:?}\nhost = \"simulator\"\nrealtime = \"ignore\"\n\
         gripper = \"simulator\"\nhold_after_ms = {}\nstop_after_ms = {}\n",
        config.arm, config.hold_after_ms, config.stop_after_ms
    );
    text.parse()
        .map_err(|e| ArmError::Simulator(format!("arm '{}': {e}", config.arm)))
}

/// Opens the session on the configured endpoints, or on a free port of the loopback.
fn listen(config: &SimServerConfig) -> ArmResult<(Session, Vec<String>)> {
    let open = |listen: Vec<String>| {
        let link = LinkConfig {
            connect: config.connect.clone(),
            listen: listen.clone(),
            tls: config.tls.clone(),
            zenoh_config: config.zenoh_config.clone(),
        };
        link::open(&link).map(|session| (session, listen))
    };
    if !config.listen.is_empty() {
        return open(config.listen.clone());
    }
    let mut last = None;
    for _ in 0..PORT_ATTEMPTS {
        // Someone may take the port between asking for it and listening: then try the next.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(|e| link_error("finding a free port on the loopback", e))?
            .port();
        match open(vec![format!("tcp/127.0.0.1:{port}")]) {
            Ok(opened) => return Ok(opened),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| link_error("finding a free port on the loopback", "none")))
}
