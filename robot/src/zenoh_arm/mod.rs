//! An arm behind franka-node and a camera behind franka-cam, in wall time.

mod look;
mod session;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foresight_planner::Action;
use franka_node::{
    monotonic_ns, GripperMsg, GripperStateMsg, Phase, GRIPPER_GRASPED, GRIPPER_MOVING,
};
use nalgebra::Isometry3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zenoh::pubsub::Publisher;
use zenoh::{Session, Wait};
use zerocopy::IntoBytes;

use crate::arm::{Arm, ArmError, Execution, Observation};
use crate::envelope::{Envelope, EnvelopeConfig};
use crate::gripper::{closedness, GripperCommand, GripperConfig, STROKE_M};
use crate::intent::{Intended, Intent};
use crate::link::{self, link_error, Lease, LinkConfig, Monitor, Pump, TimedState};
use crate::placement::{self, distance_m};
use crate::sequence::Sequence;
use crate::settle::{retreat, Settle, SettleConfig, SettleSample, MAX_RETREATS};
use crate::streamer::{Budget, Streamer};
use session::wait_held;

/// How long the first state may take after connecting.
const FIRST_STATE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the target is kept alive between two calls, beyond what [`Arm::thinking`] grants.
const BETWEEN_CALLS: Duration = Duration::from_millis(1000);
/// How long one motion may take before the wait for it ends.
const MOTION_TIMEOUT: Duration = Duration::from_secs(12);
/// How long the gripper's state may take to show a command.
const GRIPPER_REACTION: Duration = Duration::from_millis(300);

/// Which arm and camera, and how to reach them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ZenohArmConfig {
    /// The arm's name in `franka/<arm>/…`.
    pub arm: String,
    /// The camera's name in `franka/cam/<camera>/…`.
    pub camera: String,
    /// Endpoints and certificates.
    pub link: LinkConfig,
    /// The gripper.
    pub gripper: GripperConfig,
    /// When the arm counts as settled.
    pub settle: SettleConfig,
    /// How long to wait for a frame, s.
    pub frame_timeout_s: f64,
    /// The id under which the lease is taken; made up when absent.
    pub client_id: Option<u32>,
}

impl Default for ZenohArmConfig {
    fn default() -> Self {
        ZenohArmConfig {
            arm: "fr3".into(),
            camera: "front".into(),
            link: LinkConfig::default(),
            gripper: GripperConfig::default(),
            settle: SettleConfig::default(),
            frame_timeout_s: 2.0,
            client_id: None,
        }
    }
}

/// How a wait for rest ended.
struct Rest {
    state: TimedState,
    settled: bool,
    blocked: bool,
}

/// The client of one arm and one camera.
pub struct ZenohArm {
    config: ZenohArmConfig,
    client_id: u32,
    session: Session,
    monitor: Arc<Monitor>,
    pump: Pump,
    lease: Option<Lease>,
    gripper_target: Publisher<'static>,
    gripper_sequence: Sequence,
    intent: Intent,
    /// Refusals of sessions that are over.
    refused_before: u64,
    /// The last state in which the arm was at rest after a motion of ours.
    settled: Option<TimedState>,
    /// Whether an idle arm is ours to start: never enabled yet, or stopped by us.
    may_enable: bool,
}

impl ZenohArm {
    /// Connects, waits for the first state and takes the lease. The arm is enabled by the first
    /// look or action.
    ///
    /// # Errors
    /// [`ArmError`] when nothing answers, someone else holds the arm, or the envelope's limits
    /// make no sense.
    pub fn connect(config: ZenohArmConfig, envelope: EnvelopeConfig) -> Result<Self, ArmError> {
        let budget = Budget::from(&envelope);
        let envelope = Envelope::new(envelope)?;
        let session = link::open(&config.link)?;
        let monitor = Monitor::subscribe(&session, &config.arm, Some(&config.camera))?;
        let monitor = Arc::new(monitor);
        let client_id = config.client_id.unwrap_or_else(made_up_id);
        let stale = || ArmError::StaleState {
            arm: config.arm.clone(),
            age_ms: FIRST_STATE_TIMEOUT.as_secs_f64() * 1e3,
        };
        let state = monitor
            .next_state(0, FIRST_STATE_TIMEOUT)
            .ok_or_else(stale)?;
        let lease = Lease::acquire(&session, &config.arm, client_id)?;
        wait_held(&monitor, client_id, state.node_ns());
        let streamer = Streamer::new(budget, state.placement);
        let pump = Pump::start(
            &session,
            &config.arm,
            client_id,
            Arc::clone(&monitor),
            streamer,
        )?;
        let key = format!("franka/{}/gripper/target", config.arm);
        let gripper_target = session
            .declare_publisher(key.clone())
            .express(true)
            .wait()
            .map_err(|e| link_error(format!("publishing on {key}"), e))?;
        let width_m = monitor.gripper().map_or(STROKE_M, |(g, _)| g.width.get());
        Ok(ZenohArm {
            intent: Intent::new(envelope, config.gripper, width_m),
            config,
            client_id,
            session,
            monitor,
            pump,
            lease: Some(lease),
            gripper_target,
            gripper_sequence: Sequence::from_clock(monotonic_ns()),
            refused_before: 0,
            settled: None,
            may_enable: true,
        })
    }

    /// The id this client holds the lease under.
    pub fn client_id(&self) -> u32 {
        self.client_id
    }

    /// What the node and the camera publish.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Targets sent since connecting.
    pub fn targets(&self) -> u64 {
        self.pump.targets()
    }

    /// Stops the arm if it runs and gives the lease back; [`Drop`] does the same, silently.
    ///
    /// # Errors
    /// [`ArmError`] when the node refuses either.
    pub fn close(mut self) -> Result<(), ArmError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), ArmError> {
        let Some(lease) = self.lease.take() else {
            return Ok(());
        };
        let active = self.monitor.state().and_then(|s| s.phase()) == Some(Phase::Active);
        let stopped = if active { self.stop() } else { Ok(()) };
        self.pump.disable();
        let released = lease.release();
        stopped.and(released)
    }

    /// Waits until the arm has settled at `goal` and the gripper is done, or time is up.
    fn wait_settled(
        &mut self,
        mut goal: Isometry3<f64>,
        gripper: Option<(GripperCommand, Instant)>,
    ) -> Result<Rest, ArmError> {
        let mut started = Instant::now();
        let (mut blocked, mut retreats) = (false, 0);
        let mut settle = Settle::new(self.config.settle);
        let mut seen_ns = 0;
        loop {
            let state = self.active_state()?;
            if state.node_ns() <= seen_ns {
                self.monitor.next_state(seen_ns, Duration::from_millis(200));
                continue;
            }
            seen_ns = state.node_ns();
            self.pump.vouch_at_least(Instant::now() + BETWEEN_CALLS);
            if self.pump.blocked() {
                goal = state.placement;
                blocked = true;
                self.pump.set_goal(goal);
            }
            let arrived = self.pump.arrived();
            let p = state.placement.translation.vector;
            let sample = SettleSample {
                time_s: state.node_ns() as f64 * 1e-9,
                position_m: [p.x, p.y, p.z],
                joint_speed_rad_s: state.joint_speed_rad_s(),
                distance_m: distance_m(&state.placement, &goal),
                commanded: arrived && self.gripper_done(gripper.as_ref()),
            };
            if settle.update(&sample) {
                self.settled = Some(state);
                return Ok(Rest {
                    state,
                    settled: true,
                    blocked,
                });
            }
            let quiet = self.pump.last_moving().elapsed().as_secs_f64();
            let patience = self.config.settle.timeout_s + self.config.gripper.timeout_s;
            if (arrived && quiet > patience) || started.elapsed() > MOTION_TIMEOUT {
                if retreats < MAX_RETREATS {
                    // It presses on something that gives: it backs off.
                    (retreats, blocked) = (retreats + 1, true);
                    started = Instant::now();
                    settle = Settle::new(self.config.settle);
                    goal = retreat(&state.placement);
                    self.pump.set_goal(goal);
                    continue;
                }
                tracing::warn!("the arm did not settle in time");
                return Ok(Rest {
                    state,
                    settled: false,
                    blocked,
                });
            }
        }
    }

    /// Whether the gripper has carried out `command`, or had its time.
    fn gripper_done(&self, command: Option<&(GripperCommand, Instant)>) -> bool {
        let Some((command, sent)) = command else {
            return true;
        };
        if sent.elapsed().as_secs_f64() > self.config.gripper.timeout_s {
            return true;
        }
        let Some((state, received)) = self.monitor.gripper() else {
            return sent.elapsed() > GRIPPER_REACTION;
        };
        let shown = (state.commanded.get() - command.width_m).abs() < 1e-4;
        received > *sent
            && state.flags & GRIPPER_MOVING == 0
            && (shown || sent.elapsed() > GRIPPER_REACTION)
            && sent.elapsed() > Duration::from_millis(100)
    }

    fn send_gripper(&mut self, command: &GripperCommand) -> Result<Instant, ArmError> {
        let msg = GripperMsg::new(
            command.kind,
            self.client_id,
            self.gripper_sequence.advance(),
            monotonic_ns(),
            command.width_m,
            command.force_n,
        );
        self.gripper_target
            .put(msg.as_bytes())
            .wait()
            .map_err(|e| link_error("sending a gripper command", e))?;
        Ok(Instant::now())
    }

    fn gripper_state(&self) -> (f64, bool) {
        self.monitor
            .gripper()
            .map_or((STROKE_M, false), |(g, _)| (g.width.get(), grasped(&g)))
    }
}

impl Arm for ZenohArm {
    fn observe(&mut self) -> Result<Observation, ArmError> {
        let state = self.ensure_active()?;
        self.pump.vouch_at_least(Instant::now() + BETWEEN_CALLS);
        let goal = self.pump.goal();
        let (state, settled) = match self.settled {
            // Still where it came to rest.
            Some(rest) if distance_m(&rest.placement, &state.placement) < 0.002 => (rest, true),
            _ => {
                let rest = self.wait_settled(goal, None)?;
                (rest.state, rest.settled)
            }
        };
        let frame_wait = Duration::from_secs_f64(self.config.frame_timeout_s.clamp(0.05, 60.0));
        self.pump
            .vouch_at_least(Instant::now() + frame_wait + BETWEEN_CALLS);
        let frame = self.frame_after(&state)?;
        let (placement, paired, pose_age_ms) = self.at(frame.captured_ns)?;
        let (width_m, grasped) = self.gripper_state();
        Ok(Observation {
            pose: placement::pose(&placement, closedness(width_m)),
            grasped,
            settled,
            arm_time_s: paired.msg.robot_time_ms.get() as f64 * 1e-3,
            pose_age_ms,
            frame,
        })
    }

    fn execute(&mut self, action: &Action) -> Result<Execution, ArmError> {
        let state = self.ensure_active()?;
        self.pump.vouch_at_least(Instant::now() + BETWEEN_CALLS);
        let (width_m, _) = self.gripper_state();
        let (refused, targets) = (self.refused_targets(), self.pump.targets());
        let joints = state.joints_rad();
        let intended = self
            .intent
            .judge(&state.placement, &joints, width_m, action);
        let Intended {
            admitted,
            gripper,
            commanded,
        } = match intended {
            Ok(intended) => intended,
            Err(refusal) => {
                tracing::warn!("action refused by the envelope: {refusal}");
                let held = self.intent.held(&state.placement);
                let measured = placement::pose(&state.placement, closedness(width_m));
                return Ok(Execution::refused(*action, refusal, held, measured));
            }
        };
        let started = Instant::now();
        self.settled = None;
        let gripper = match gripper {
            Some(command) => Some((command, self.send_gripper(&command)?)),
            None => None,
        };
        self.pump.set_goal(admitted.placement);
        let Rest {
            state,
            settled,
            blocked,
        } = self.wait_settled(admitted.placement, gripper)?;
        let last_moving = self.pump.last_moving();
        let (width_m, _) = self.gripper_state();
        Ok(Execution {
            requested: *action,
            sent: admitted.sent,
            changed: admitted.changed,
            refusal: None,
            commanded_pose: commanded,
            reached_pose: placement::pose(&state.placement, closedness(width_m)),
            error_m: distance_m(&admitted.placement, &state.placement),
            settled,
            blocked,
            refused: self.refused_targets().saturating_sub(refused),
            targets: self.pump.targets() - targets,
            seconds: started.elapsed().as_secs_f64(),
            settle_seconds: last_moving.elapsed().as_secs_f64(),
        })
    }

    fn thinking(&mut self, deadline: Duration) {
        self.pump.vouch(Instant::now() + deadline);
    }

    fn stop(&mut self) -> Result<(), ArmError> {
        self.pump.disable();
        self.settled = None;
        self.intent.forget();
        let stopped = link::command(&self.session, &self.config.arm, "stop", self.client_id);
        self.may_enable = true;
        match stopped {
            // Nothing runs: that is what was wanted.
            Err(ArmError::Command { reason, .. }) if reason.starts_with("not allowed in") => Ok(()),
            other => other,
        }
    }

    fn refused_targets(&self) -> u64 {
        let now = self.monitor.state().map_or(0, |s| s.msg.refused.get());
        self.refused_before + now
    }
}

impl Drop for ZenohArm {
    fn drop(&mut self) {
        if let Err(e) = self.finish() {
            tracing::warn!("leaving the arm: {e}");
        }
    }
}

fn grasped(state: &GripperStateMsg) -> bool {
    state.flags & GRIPPER_GRASPED != 0
}

/// An id no other client of this or another process is likely to have; never 0.
fn made_up_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = u64::from(std::process::id()) << 32 ^ monotonic_ns() ^ u64::from(count) << 20;
    ((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32).max(1)
}
