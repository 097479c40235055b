//! A simulated camera that looks at an arm simulated, or moved, elsewhere.
//!
//! Servers such as franka-sim simulate an arm and no camera. This one watches the states a node
//! publishes, poses our scene's arm the same way, and publishes what our camera sees of it, as
//! franka-cam would. The object follows the fingers while the node's gripper reports a grasp.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use foresight_kinematics::Fr3;
use foresight_sim::{ObjectPose, Scene, Simulator};
use nalgebra::Isometry3;
use zenoh::{Session, Wait};

use super::clock::SharedSimulator;
use super::{camera, listen, serve_cameras, SimServerConfig};
use crate::arm::{ArmError, ArmResult};
use crate::link::Monitor;
use crate::worker::Worker;

/// How long to wait for a state before looking whether to go on.
const PATIENCE: Duration = Duration::from_millis(100);
/// An object this near the TCP is what the fingers hold, m.
const IN_HAND_M: f64 = 0.04;

/// Served cameras; dropping this stops them.
pub struct TwinCamera {
    _status: franka_cam::StatusPublisher,
    cameras: Vec<franka_cam::Camera>,
    session: Session,
    worker: Option<Worker>,
    endpoints: Vec<String>,
}

impl TwinCamera {
    /// Serves a camera on `scene` that follows the arm `config.arm` of the node at
    /// `config.connect`.
    ///
    /// # Errors
    /// [`ArmError`] when the scene can't be simulated or an endpoint can't be used.
    pub fn start(scene: &Scene, config: &SimServerConfig) -> ArmResult<Self> {
        let simulator = Simulator::new(scene).map_err(|e| ArmError::Simulator(e.to_string()))?;
        let kinematics = Fr3::new().map_err(|e| ArmError::Simulator(e.to_string()))?;
        let camera_configs = camera::configs(config)?;
        let (session, endpoints) = listen(config)?;
        let monitor = Monitor::subscribe(&session, &config.arm, &[])?;
        let world = Arc::new(SharedSimulator::new(simulator));
        let followed = Arc::clone(&world);
        let worker = Worker::start("foresight-twin".into(), "following the arm", move |stop| {
            follow(&followed, stop, &monitor, &kinematics);
        })?;
        let (cameras, status) = serve_cameras(&session, &world, config, camera_configs)?;
        Ok(TwinCamera {
            _status: status,
            cameras,
            session,
            worker: Some(worker),
            endpoints,
        })
    }

    /// Where it listens, such as `tcp/127.0.0.1:40123`.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }
}

impl Drop for TwinCamera {
    fn drop(&mut self) {
        self.cameras.clear();
        drop(self.worker.take());
        if let Err(e) = self.session.close().wait() {
            tracing::debug!("closing the camera's session: {e}");
        }
    }
}

fn follow(world: &SharedSimulator, stop: &AtomicBool, monitor: &Monitor, kinematics: &Fr3) {
    let mut seen_ns = 0;
    // Where the held object is, seen from the TCP.
    let mut held: Option<Isometry3<f64>> = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(state) = monitor.next_state(seen_ns, PATIENCE) else {
            continue;
        };
        seen_ns = state.node_ns();
        let (width_m, grasping) = monitor.width_and_grasp();
        let tcp = kinematics.tcp_pose(&state.joints_rad());
        let mut inner = world.lock();
        let simulator = &mut inner.simulator;
        simulator.set_arm(state.joints_rad(), width_m);
        let truth = simulator.truth();
        let object = ObjectPose {
            position_m: truth.object_position_m,
            quaternion_xyzw: truth.object_quaternion_xyzw,
        };
        match (held, grasping) {
            (None, true) if truth.hand_distance_m < IN_HAND_M => {
                held = object.isometry().map(|object| tcp.inverse() * object);
            }
            (Some(in_hand), true) => put(simulator, &(tcp * in_hand)),
            (Some(_), false) => {
                // It falls upright where it was let go of.
                let mut fallen = object;
                fallen.position_m[2] -= truth.object_height_m;
                held = None;
                if let Some(fallen) = fallen.isometry() {
                    put(simulator, &fallen);
                }
            }
            (None, _) => {}
        }
    }
}

fn put(simulator: &mut Simulator, place: &Isometry3<f64>) {
    if let Err(e) = simulator.set_object(&ObjectPose::from_isometry(place)) {
        tracing::debug!("the held object: {e}");
    }
}
