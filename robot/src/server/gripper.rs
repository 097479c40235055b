//! The simulated hand as franka-node drives a gripper.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use franka_node::{monotonic_ns, Gripper, GripperState};

use super::clock::SharedSimulator;

/// How long a homing may take: closing, then opening, at the hand's speed.
const HOMING_TIMEOUT: Duration = Duration::from_secs(10);

/// The Franka Hand reports a grasp only when its fingers stop this near the width asked for, m.
const GRASP_EPSILON_M: f64 = 0.005;

/// The hand.
pub(super) struct SimGripper {
    world: Arc<SharedSimulator>,
    /// The width of the last grasp asked for, m.
    grasp_m: Mutex<f64>,
}

impl SimGripper {
    pub(super) fn new(world: Arc<SharedSimulator>) -> Self {
        SimGripper {
            world,
            grasp_m: Mutex::new(0.0),
        }
    }

    fn grasp_m(&self) -> MutexGuard<'_, f64> {
        self.grasp_m.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_still(&self) -> Result<(), String> {
        let deadline = Instant::now() + HOMING_TIMEOUT;
        std::thread::sleep(Duration::from_millis(100));
        while self.world.lock().simulator.gripper().moving {
            if Instant::now() > deadline {
                return Err("the fingers did not come to rest".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Gripper for SimGripper {
    fn command(&self, width_m: f64) {
        self.world.lock().simulator.gripper_move(width_m);
    }

    fn grasp(&self, width_m: f64, force_n: f64) {
        *self.grasp_m() = width_m;
        // It closes until it meets something; the width only decides what counts as success.
        self.world.lock().simulator.gripper_grasp(0.0, force_n);
    }

    fn home(&self) -> Result<(), String> {
        let open_m = self.world.lock().simulator.gripper().max_width_m;
        for width_m in [0.0, open_m] {
            self.world.lock().simulator.gripper_move(width_m);
            self.wait_still()?;
        }
        Ok(())
    }

    fn stop(&self) {
        self.world.lock().simulator.gripper_stop();
    }

    fn state(&self) -> GripperState {
        let state = self.world.lock().simulator.gripper();
        GripperState {
            width_m: state.width_m,
            commanded_m: state.commanded_m,
            max_width_m: state.max_width_m,
            calibrated: true,
            grasped: state.grasped && (state.width_m - *self.grasp_m()).abs() < GRASP_EPSILON_M,
            moving: state.moving,
            fault: false,
            t_ns: monotonic_ns(),
        }
    }
}
