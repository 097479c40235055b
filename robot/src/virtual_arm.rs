//! An arm in this process, in virtual time: as fast as it can be computed, and the same bits
//! every time.
//!
//! Between planner and simulator lies what lies between planner and a real arm: the envelope,
//! the 50 Hz stream, and a real `franka_node` guard with its default limits that judges every
//! target. Only zenoh and the wall clock are missing.

use std::time::Instant;

use foresight_planner::control_loop::{Ahead, Until};
use foresight_planner::{Action, Pose};
use foresight_sim::{Scene, Simulator};
use franka_node::{GripperKind, Guard, GuardOptions, Kind, TargetMsg, Verdict};
use nalgebra::Isometry3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action_gate::ActionGate;
use crate::arm::{Arm, ArmError, ArmResult, Execution, Observation};
use crate::envelope::{Envelope, EnvelopeConfig};
use crate::frame::Frame;
use crate::gripper::{GripperCommand, GripperConfig};
use crate::handover::{Handover, Pacer};
use crate::motion::{Motion, MotionSample, MotionStep};
use crate::se3::{self, distance_m};
use crate::sequence::Sequence;
use crate::settle::SettleConfig;
use crate::streamer::{Budget, Streamer, STREAM_HZ};
use foresight_kinematics::hand::closedness;

/// The lease holder's id in the guard.
const CLIENT: u32 = 1;
/// Physics steps between two targets.
const STEPS_PER_TARGET: u64 = (1.0 / (STREAM_HZ * Simulator::STEP_S) + 0.5) as u64;
/// Physics steps between two states, which a node publishes at 100 Hz.
const STEPS_PER_STATE: u64 = (0.01 / Simulator::STEP_S + 0.5) as u64;
/// The gripper's motion isn't judged earlier than this after its command, s: fingers need a
/// moment to start.
const GRIPPER_START_S: f64 = 0.1;
/// How long a stop may take, s.
const STOP_TIMEOUT_S: f64 = 2.0;

/// How a virtual arm looks and waits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VirtualArmConfig {
    /// Width of its frames, pixels.
    pub frame_width: u32,
    /// Height of its frames, pixels.
    pub frame_height: u32,
    /// The gripper.
    pub gripper: GripperConfig,
    /// When the arm counts as settled.
    pub settle: SettleConfig,
    /// What passes between a frame that is taken in motion and the decision on it, s.
    pub latency_s: f64,
}

impl Default for VirtualArmConfig {
    fn default() -> Self {
        VirtualArmConfig {
            frame_width: 128,
            frame_height: 128,
            gripper: GripperConfig::default(),
            settle: SettleConfig::default(),
            latency_s: 0.1,
        }
    }
}

/// A simulator behind envelope, streamer and guard.
///
/// A clone goes on from here on its own, with the same bits.
#[derive(Clone)]
pub struct VirtualArm {
    config: VirtualArmConfig,
    simulator: Simulator,
    gate: ActionGate,
    streamer: Streamer,
    guard: Guard,
    sequence: Sequence,
    steps: u64,
    targets: u64,
    refused: u64,
    last_refusal: Option<String>,
    stopped: bool,
    settled: bool,
    last_moving_s: f64,
    pacer: Pacer,
}

impl VirtualArm {
    /// Sets up `scene` in a new simulator.
    ///
    /// # Errors
    /// [`ArmError::Simulator`] when the scene can't be simulated, [`ArmError::Envelope`] when the
    /// limits make no sense.
    pub fn new(
        scene: &Scene,
        envelope: EnvelopeConfig,
        config: VirtualArmConfig,
    ) -> ArmResult<Self> {
        let simulator = Simulator::new(scene).map_err(|e| ArmError::Simulator(e.to_string()))?;
        VirtualArm::with_simulator(simulator, envelope, config)
    }

    /// Takes over a simulator as it stands.
    ///
    /// # Errors
    /// As [`VirtualArm::new`].
    pub fn with_simulator(
        simulator: Simulator,
        envelope: EnvelopeConfig,
        config: VirtualArmConfig,
    ) -> ArmResult<Self> {
        let tcp = simulator.arm().tcp;
        let width_m = simulator.gripper().width_m;
        Ok(VirtualArm {
            streamer: Streamer::new(Budget::from(&envelope), tcp),
            guard: new_guard(&tcp, simulator.time_s())?,
            gate: ActionGate::new(Envelope::new(envelope)?, config.gripper, width_m),
            pacer: Pacer::new(config.latency_s),
            config,
            last_moving_s: simulator.time_s(),
            simulator,
            sequence: Sequence::from_clock(0),
            steps: 0,
            targets: 0,
            refused: 0,
            last_refusal: None,
            stopped: false,
            settled: false,
        })
    }

    /// The simulator: truth, goal images.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The simulator, to let something happen there.
    pub fn simulator_mut(&mut self) -> &mut Simulator {
        &mut self.simulator
    }

    /// Targets sent since the start.
    pub fn targets(&self) -> u64 {
        self.targets
    }

    /// Why the guard refused the last refused target.
    pub fn last_refusal(&self) -> Option<&str> {
        self.last_refusal.as_deref()
    }

    /// Lets decisions in motion take `seconds` from now on.
    pub fn set_latency_s(&mut self, seconds: f64) {
        self.config.latency_s = seconds;
    }

    /// Lets `seconds` of virtual time pass with the hold target kept alive.
    pub fn rest(&mut self, seconds: f64) -> ArmResult<()> {
        self.start_if_stopped()?;
        let until = self.simulator.time_s() + seconds;
        while self.simulator.time_s() < until {
            self.advance();
        }
        Ok(())
    }

    /// Starts the arm again after a stop, as a node's `enable` does.
    fn start_if_stopped(&mut self) -> ArmResult<()> {
        if self.stopped {
            let tcp = self.simulator.arm().tcp;
            self.streamer.reset(tcp);
            self.guard = new_guard(&tcp, self.simulator.time_s())?;
            self.stopped = false;
        }
        Ok(())
    }

    /// One state's worth of time: a target when one is due, then physics.
    fn advance(&mut self) {
        if self.steps.is_multiple_of(STEPS_PER_TARGET) {
            self.send_target();
        }
        for _ in 0..STEPS_PER_STATE {
            self.simulator.step();
        }
        self.steps += STEPS_PER_STATE;
    }

    fn send_target(&mut self) {
        let now_s = self.simulator.time_s();
        let measured = self.simulator.arm().tcp;
        let target = self.streamer.next(now_s, &measured);
        if !target.arrived {
            self.last_moving_s = now_s;
        }
        let now_ns = to_ns(now_s);
        let data = target.data();
        let mut msg = TargetMsg::new(
            Kind::Cartesian,
            CLIENT,
            self.sequence.advance(),
            now_ns,
            data,
        );
        if target.anchor {
            msg = msg.with_anchor();
        }
        self.targets += 1;
        let reference = se3::to_wire(&measured);
        match self.guard.check(&msg, now_ns, Some(&reference)) {
            Verdict::Accept => {
                if let Some(target) = se3::from_wire(&data) {
                    self.simulator.set_cartesian_target(target);
                }
            }
            Verdict::Refuse(reason) => {
                self.refused += 1;
                self.last_refusal = Some(reason.to_string());
            }
        }
    }

    /// Advances until the arm has settled at `goal` and the gripper is done, or time is up.
    /// Returns whether it settled, and whether it was blocked on the way.
    fn settle(&mut self, goal: Isometry3<f64>, gripper: Option<GripperCommand>) -> (bool, bool) {
        let started_s = self.simulator.time_s();
        let gripper_timeout_s = self.config.gripper.timeout_s;
        let mut motion = Motion::new(goal, self.config.settle, gripper_timeout_s);
        loop {
            self.advance();
            let time_s = self.simulator.time_s();
            let arm = self.simulator.arm();
            let next = motion.next(&MotionSample {
                time_s,
                measured: &arm.tcp,
                joint_speed_rad_s: arm.dq.iter().fold(0.0, |m, v| v.abs().max(m)),
                arrived: self.streamer.arrived(),
                blocked: self.streamer.blocked(),
                gripper_done: self.gripper_done(gripper.is_some(), time_s - started_s),
            });
            match next {
                MotionStep::Wait => {}
                MotionStep::Lead(goal) => self.streamer.set_goal(goal),
                MotionStep::Over { settled, blocked } => return (settled, blocked),
            }
        }
    }

    /// Advances until it is time for the next look; an arm that is held up on the way rests.
    fn until_look(&mut self, goal: Isometry3<f64>) -> (bool, bool) {
        loop {
            self.advance();
            if self.streamer.blocked() {
                return self.settle(goal, None);
            }
            if self.pacer.look_due(self.streamer.brakes_in_s()) {
                self.pacer.under_way_to(goal);
                return (false, false);
            }
        }
    }

    fn look(&self, settled: bool) -> Observation {
        let (width, height) = (self.config.frame_width, self.config.frame_height);
        let gripper = self.simulator.gripper();
        let time_s = self.simulator.time_s();
        Observation {
            frame: Frame {
                image: self.simulator.render(width, height),
                captured_ns: to_ns(time_s),
            },
            pose: Pose::from_isometry(&self.simulator.arm().tcp, closedness(gripper.width_m)),
            joints_rad: self.simulator.arm().q,
            grasped: gripper.grasped,
            settled,
            arm_time_s: time_s,
            pose_age_ms: 0.0,
        }
    }

    fn gripper_done(&self, commanded: bool, elapsed_s: f64) -> bool {
        !commanded
            || elapsed_s > self.config.gripper.timeout_s
            || (elapsed_s > GRIPPER_START_S && !self.simulator.gripper().moving)
    }

    /// Judges and carries out one action: to rest, or, in continuous motion, as far as `onwards`
    /// says, turning to it from what is under way after a `handover`.
    fn carry_out(
        &mut self,
        action: &Action,
        handover: Option<Handover>,
        onwards: Option<Until>,
    ) -> ArmResult<Execution> {
        self.pacer.rest();
        let arm = self.simulator.arm();
        let width_m = self.simulator.gripper().width_m;
        let moving = handover.is_some();
        let command = match self.gate.judge(&arm.tcp, moving, &arm.q, width_m, action) {
            Ok(command) => command,
            Err(refusal) => {
                let held = self.gate.held(&arm.tcp);
                let measured = Pose::from_isometry(&arm.tcp, closedness(width_m));
                return Ok(Execution::refused(*action, refusal, held, measured));
            }
        };
        let (refused, targets) = (self.refused, self.targets);
        let started_s = self.simulator.time_s();
        match command.gripper {
            Some(command) if command.kind == GripperKind::Grasp => {
                self.simulator
                    .gripper_grasp(command.width_m, command.force_n);
            }
            Some(command) => self.simulator.gripper_move(command.width_m),
            None => {}
        }
        let goal = command.admitted.placement;
        match onwards {
            Some(_) => self.streamer.turn_to(goal),
            None => self.streamer.set_goal(goal),
        }
        self.last_moving_s = started_s;
        let (settled, blocked) = match (onwards, command.gripper) {
            (Some(Until::NextLook), None) => self.until_look(goal),
            _ => self.settle(goal, command.gripper),
        };
        self.settled = settled;
        let (arm, now_s) = (self.simulator.arm(), self.simulator.time_s());
        let width_m = self.simulator.gripper().width_m;
        Ok(Execution {
            requested: *action,
            sent: command.admitted.sent,
            changed: command.admitted.changed,
            refusal: None,
            commanded_pose: command.commanded,
            reached_pose: Pose::from_isometry(&arm.tcp, closedness(width_m)),
            error_m: distance_m(&goal, &arm.tcp),
            settled,
            under_way: self.pacer.is_under_way(),
            handover,
            blocked,
            refused: self.refused - refused,
            targets: self.targets - targets,
            seconds: now_s - started_s,
            settle_seconds: now_s - self.last_moving_s,
        })
    }
}

impl Arm for VirtualArm {
    fn observe(&mut self) -> ArmResult<Observation> {
        self.start_if_stopped()?;
        self.pacer.rest();
        let settled = self.settled || {
            let goal = self.streamer.goal();
            self.settle(goal, None).0
        };
        self.settled = settled;
        Ok(self.look(settled))
    }

    fn execute(&mut self, action: &Action) -> ArmResult<Execution> {
        self.start_if_stopped()?;
        if self.pacer.is_under_way() {
            let goal = self.streamer.goal();
            self.settle(goal, None);
        }
        self.carry_out(action, None, None)
    }

    fn look_ahead(&mut self) -> ArmResult<Option<Ahead<Observation>>> {
        if !self.pacer.is_under_way() {
            return Ok(None);
        }
        let observation = self.look(false);
        let Some(committed) = self.pacer.committed(&observation.pose) else {
            return Ok(None);
        };
        let (now_s, brakes_in_s) = (observation.arm_time_s, self.streamer.brakes_in_s());
        self.pacer.looked(now_s, now_s, brakes_in_s);
        Ok(Some(Ahead {
            observation,
            committed,
        }))
    }

    fn follow_on(&mut self, action: &Action, until: Until) -> ArmResult<Option<Execution>> {
        self.start_if_stopped()?;
        let Some(looked_s) = self.pacer.looked_s() else {
            return self.carry_out(action, None, Some(until)).map(Some);
        };
        while self.simulator.time_s() < looked_s + self.config.latency_s {
            self.advance();
        }
        let handover = self.pacer.decided(self.simulator.time_s());
        if handover.is_none() || self.streamer.blocked() {
            self.pacer.rest();
            return Ok(None);
        }
        if action.gripper.abs() >= self.config.gripper.dead_band {
            let (_, blocked) = self.settle(self.streamer.goal(), None);
            self.pacer.rest();
            return match blocked {
                true => Ok(None),
                false => self.carry_out(action, None, Some(until)).map(Some),
            };
        }
        self.carry_out(action, handover, Some(until)).map(Some)
    }

    fn keep_alive_until(&mut self, _deadline: Instant) {}

    fn stop(&mut self) -> ArmResult<()> {
        self.simulator.hold();
        let until_s = self.simulator.time_s() + STOP_TIMEOUT_S;
        loop {
            for _ in 0..STEPS_PER_STATE {
                self.simulator.step();
            }
            let now_s = self.simulator.time_s();
            if self.simulator.arm().tcp_speed_m_s < 1e-4 || now_s > until_s {
                break;
            }
        }
        self.gate.forget();
        self.pacer.rest();
        (self.stopped, self.settled) = (true, false);
        Ok(())
    }

    fn refused_targets(&self) -> u64 {
        self.refused
    }
}

/// A stock guard at the start of a session.
fn new_guard(tcp: &Isometry3<f64>, now_s: f64) -> ArmResult<Guard> {
    let mut guard = Guard::new(GuardOptions::default(), se3::to_wire(tcp))
        .map_err(|reason| ArmError::Simulator(format!("the arm's pose: {reason}")))?;
    guard.set_holder(CLIENT, to_ns(now_s));
    Ok(guard)
}

fn to_ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
