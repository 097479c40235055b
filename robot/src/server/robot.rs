//! The simulated robot as franka-node's arm thread drives one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use franka_node::franka::robot::target_control::{
    FieldBound, LiveTuning, TuningUpdate, NO_TUNING_MESSAGE,
};
use franka_node::franka::{
    FciVersion, FrankaError, FrankaResult, JointTargetControlOptions, Model, RobotMode, RobotState,
    TargetControlOptions,
};
use franka_node::{Control, RobotSide};

use super::clock::{Inner, SessionBounds, SharedSimulator};
use crate::se3;

/// How long a stop may take to come to rest; franka-node's own bound is 5 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// At rest below this, m/s.
const REST_M_S: f64 = 1e-4;

/// The robot's side.
pub(super) struct SimRobot(Arc<SharedSimulator>);

impl SimRobot {
    pub(super) fn new(world: Arc<SharedSimulator>) -> Self {
        SimRobot(world)
    }

    /// `stray` is how far the arm may stray from here, m and rad, before the session is broken
    /// off, as franka-rs' control loop does.
    fn start_control(
        &self,
        joints: bool,
        stray: Option<(f64, f64)>,
    ) -> FrankaResult<Box<dyn Control>> {
        let mut inner = self.0.lock();
        if inner.running {
            return Err(FrankaError::InvalidOperation(
                "a control session already runs".into(),
            ));
        }
        inner.running = true;
        inner.simulator.hold();
        let start = inner.simulator.arm().tcp;
        inner.bounds = stray.map(|(deviation_m, deviation_rad)| SessionBounds {
            start,
            deviation_m,
            deviation_rad,
        });
        drop(inner);
        Ok(Box::new(SimControl {
            world: Arc::clone(&self.0),
            joints,
        }))
    }
}

impl RobotSide for SimRobot {
    fn fci_version(&self) -> FciVersion {
        FciVersion::V10
    }

    fn read_once(&self) -> FrankaResult<RobotState> {
        Ok(robot_state(&self.0.lock()))
    }

    fn set_collision_behavior(&self, _torque: f64, _force: f64) -> FrankaResult<()> {
        Ok(())
    }

    fn start(&self, options: TargetControlOptions) -> FrankaResult<Box<dyn Control>> {
        let stray = (options.max_deviation, options.max_angular_deviation);
        self.start_control(false, Some(stray))
    }

    fn start_joints(&self, _options: JointTargetControlOptions) -> FrankaResult<Box<dyn Control>> {
        self.start_control(true, None)
    }

    fn automatic_error_recovery(&self) -> FrankaResult<()> {
        Ok(())
    }

    fn load_model(&self) -> FrankaResult<Model> {
        Err(FrankaError::InvalidOperation(
            "the simulator has no model to record with".into(),
        ))
    }
}

/// A running session, Cartesian or joints.
struct SimControl {
    world: Arc<SharedSimulator>,
    joints: bool,
}

impl Control for SimControl {
    fn set_target(&self, data: [f64; 7]) -> FrankaResult<()> {
        let mut inner = self.world.lock();
        if !inner.running {
            return Err(FrankaError::InvalidOperation("the session ended".into()));
        }
        if self.joints {
            inner.simulator.set_joint_target(data);
        } else if let Some(target) = se3::from_wire(&data) {
            inner.simulator.set_cartesian_target(target);
        }
        Ok(())
    }

    fn target(&self) -> [f64; 7] {
        let arm = self.world.lock().simulator.arm();
        if self.joints {
            arm.q
        } else {
            se3::to_wire(&arm.tcp)
        }
    }

    fn state(&self) -> RobotState {
        robot_state(&self.world.lock())
    }

    fn is_running(&self) -> bool {
        self.world.lock().running
    }

    fn tuning(&self) -> FrankaResult<LiveTuning> {
        Err(FrankaError::InvalidOperation(NO_TUNING_MESSAGE.into()))
    }

    fn tune(&self, _update: &TuningUpdate) -> FrankaResult<Vec<&'static FieldBound>> {
        Err(FrankaError::InvalidOperation(NO_TUNING_MESSAGE.into()))
    }

    /// Brakes where the arm is and waits for rest, as the library's settle does.
    fn stop(self: Box<Self>) -> FrankaResult<()> {
        let was_running = {
            let mut inner = self.world.lock();
            inner.simulator.hold();
            std::mem::replace(&mut inner.running, false)
        };
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.world.lock().simulator.arm().tcp_speed_m_s > REST_M_S {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if was_running {
            Ok(())
        } else {
            Err(FrankaError::InvalidOperation(
                "the session was broken off by the simulator".into(),
            ))
        }
    }
}

fn robot_state(inner: &Inner) -> RobotState {
    let arm = inner.simulator.arm();
    RobotState {
        O_T_EE: se3::to_column_major(&arm.tcp),
        q: arm.q,
        q_d: arm.q,
        dq: arm.dq,
        dq_d: arm.dq,
        control_command_success_rate: if inner.running { 1.0 } else { 0.0 },
        robot_mode: if inner.running {
            RobotMode::Move
        } else {
            RobotMode::Idle
        },
        time: franka_node::franka::Duration::from_millis((inner.robot_time_s() * 1e3) as u64),
        ..RobotState::default()
    }
}
