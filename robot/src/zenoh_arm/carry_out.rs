//! Carrying out an action: judge it, lead the setpoint, and follow the arm to rest or to the next look.

use std::time::{Duration, Instant};

use foresight_kinematics::hand::closedness;
use foresight_planner::control_loop::Until;
use foresight_planner::{Action, Pose};
use nalgebra::Isometry3;

use super::gripper_command::GripperCommandState;
use super::{ZenohArm, BETWEEN_CALLS};
use crate::action_gate::GatedCommand;
use crate::arm::{Arm, ArmResult, Execution};
use crate::handover::Handover;
use crate::link::{self, TimedState};
use crate::motion::{Motion, MotionSample, MotionStep};
use crate::se3::{angle_rad, distance_m};

/// How a wait for rest ended.
pub(super) struct Rest {
    pub state: TimedState,
    pub settled: bool,
    pub blocked: bool,
}

impl ZenohArm {
    /// Waits until the arm has settled at `goal` and the gripper is done, or time is up.
    pub(super) fn wait_settled(
        &mut self,
        goal: Isometry3<f64>,
        mut grip: Option<GripperCommandState>,
    ) -> ArmResult<Rest> {
        let gripper_timeout_s = self.config.gripper.timeout_s;
        let mut motion = Motion::new(goal, self.config.settle, gripper_timeout_s);
        let mut seen_ns = 0;
        loop {
            let state = self.active_state()?;
            if state.node_ns() <= seen_ns {
                let monitor = &self.sync.monitor;
                monitor.next_state(seen_ns, Duration::from_millis(200));
                continue;
            }
            seen_ns = state.node_ns();
            self.publisher
                .keep_alive_at_least(Instant::now() + BETWEEN_CALLS);
            let gripper_done = match &mut grip {
                Some(grip) => self.gripper_done(grip)?,
                None => true,
            };
            let next = motion.next(&MotionSample {
                time_s: state.node_ns() as f64 * 1e-9,
                measured: &state.placement,
                joint_speed_rad_s: state.joint_speed_rad_s(),
                arrived: self.publisher.arrived(),
                blocked: self.publisher.blocked(),
                gripper_done,
            });
            match next {
                MotionStep::Wait => {}
                MotionStep::Lead(goal) => self.publisher.set_goal(goal),
                MotionStep::Over { settled, blocked } => {
                    if settled {
                        self.settled = Some(state);
                    } else {
                        tracing::warn!("the arm did not settle in time");
                    }
                    return Ok(Rest {
                        state,
                        settled,
                        blocked,
                    });
                }
            }
        }
    }

    /// Waits until it is time for the next look; an arm that is held up on the way rests.
    fn until_look(&mut self, goal: Isometry3<f64>) -> ArmResult<Rest> {
        loop {
            let state = self.active_state()?;
            self.publisher
                .keep_alive_at_least(Instant::now() + BETWEEN_CALLS);
            if self.publisher.blocked() {
                return self.wait_settled(goal, None);
            }
            if self.pacer.look_due(self.publisher.brakes_in_s()) {
                self.pacer.under_way_to(goal);
                return Ok(Rest {
                    state,
                    settled: false,
                    blocked: false,
                });
            }
            let monitor = &self.sync.monitor;
            monitor.next_state(state.node_ns(), Duration::from_millis(200));
        }
    }

    /// Whether a session holds for a motion to `goal`.
    fn session_reaches(&self, goal: &Isometry3<f64>) -> bool {
        distance_m(&self.session_start, goal) <= self.config.session_reach_m
            && angle_rad(&self.session_start, goal) <= self.config.session_turn_rad
    }

    /// Begins another session when a motion to `goal` would stray further from where this one
    /// began than the node allows. The arm rests meanwhile.
    fn session_reaching(
        &mut self,
        state: TimedState,
        goal: &Isometry3<f64>,
    ) -> ArmResult<TimedState> {
        if self.session_reaches(goal) {
            return Ok(state);
        }
        tracing::debug!("the motion leaves this session's reach; beginning another");
        self.publisher.disable();
        link::stop(&self.session, &self.config.arm, self.client_id)?;
        self.restart()
    }

    /// Judges and carries out one action: to rest, or, in continuous motion, as far as `onwards`
    /// says, turning to it from what is under way after a `handover`. `None` when it leads out of
    /// the session's reach: the arm has to rest before another begins.
    pub(super) fn carry_out(
        &mut self,
        action: &Action,
        handover: Option<Handover>,
        onwards: Option<Until>,
    ) -> ArmResult<Option<Execution>> {
        self.pacer.rest();
        let state = self.ensure_active()?;
        self.publisher
            .keep_alive_at_least(Instant::now() + BETWEEN_CALLS);
        let moving = handover.is_some();
        let (width_m, _) = self.sync.monitor.width_and_grasp();
        let (refused, targets) = (self.refused_targets(), self.publisher.targets());
        let joints = state.joints_rad();
        let command = self
            .gate
            .judge(&state.placement, moving, &joints, width_m, action);
        let GatedCommand {
            admitted,
            gripper,
            commanded,
        } = match command {
            Ok(command) => command,
            Err(refusal) => {
                tracing::warn!("action refused by the envelope: {refusal}");
                let held = self.gate.held(&state.placement);
                let measured = Pose::from_isometry(&state.placement, closedness(width_m));
                let refused = Execution::refused(*action, refusal, held, measured);
                return Ok(Some(refused));
            }
        };
        if moving && !self.session_reaches(&admitted.placement) {
            return Ok(None);
        }
        for change in &admitted.changed {
            tracing::info!("action changed by the envelope: {change}");
        }
        let started = Instant::now();
        self.settled = None;
        self.session_reaching(state, &admitted.placement)?;
        let gripper = match gripper {
            Some(command) => Some(self.command_gripper(command)?),
            None => None,
        };
        match onwards {
            Some(_) => self.publisher.turn_to(admitted.placement),
            None => self.publisher.set_goal(admitted.placement),
        }
        let Rest {
            state,
            settled,
            blocked,
        } = match (onwards, gripper) {
            (Some(Until::NextLook), None) => self.until_look(admitted.placement)?,
            (_, gripper) => self.wait_settled(admitted.placement, gripper)?,
        };
        let last_moving = self.publisher.last_moving();
        let (width_m, _) = self.sync.monitor.width_and_grasp();
        Ok(Some(Execution {
            requested: *action,
            sent: admitted.sent,
            changed: admitted.changed,
            refusal: None,
            commanded_pose: commanded,
            reached_pose: Pose::from_isometry(&state.placement, closedness(width_m)),
            error_m: distance_m(&admitted.placement, &state.placement),
            settled,
            under_way: self.pacer.is_under_way(),
            handover,
            blocked,
            refused: self.refused_targets().saturating_sub(refused),
            targets: self.publisher.targets() - targets,
            seconds: started.elapsed().as_secs_f64(),
            settle_seconds: last_moving.elapsed().as_secs_f64(),
        }))
    }
}
