//! The simulated hand as franka-node drives a gripper.

use std::sync::Arc;
use std::time::{Duration, Instant};

use franka_node::{monotonic_ns, Gripper, GripperState};

use super::clock::World;

/// How long a homing may take: closing, then opening, at the hand's speed.
const HOMING_TIMEOUT: Duration = Duration::from_secs(10);

/// The hand.
pub(super) struct SimGripper(Arc<World>);

impl SimGripper {
    pub fn new(world: Arc<World>) -> Self {
        SimGripper(world)
    }

    fn wait_still(&self) -> Result<(), String> {
        let deadline = Instant::now() + HOMING_TIMEOUT;
        std::thread::sleep(Duration::from_millis(100));
        while self.0.lock().simulator.gripper().moving {
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
        self.0.lock().simulator.gripper_move(width_m);
    }

    fn grasp(&self, width_m: f64, force_n: f64) {
        self.0.lock().simulator.gripper_grasp(width_m, force_n);
    }

    fn home(&self) -> Result<(), String> {
        let open_m = self.0.lock().simulator.gripper().max_width_m;
        for width_m in [0.0, open_m] {
            self.0.lock().simulator.gripper_move(width_m);
            self.wait_still()?;
        }
        Ok(())
    }

    fn stop(&self) {
        self.0.lock().simulator.gripper_stop();
    }

    fn state(&self) -> GripperState {
        let state = self.0.lock().simulator.gripper();
        GripperState {
            width_m: state.width_m,
            commanded_m: state.commanded_m,
            max_width_m: state.max_width_m,
            calibrated: true,
            grasped: state.grasped,
            moving: state.moving,
            fault: false,
            t_ns: monotonic_ns(),
        }
    }
}
