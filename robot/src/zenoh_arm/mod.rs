//! An arm behind franka-node and a camera behind franka-cam, in wall time.

mod carry_out;
mod gripper_command;
mod session;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foresight_kinematics::{franka_hand, Fr3};
use foresight_planner::control_loop::{Ahead, Until};
use foresight_planner::Action;
use franka_node::{monotonic_ns, Phase};
use nalgebra::Isometry3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zenoh::pubsub::Publisher;
use zenoh::{Session, Wait};

use crate::action_gate::ActionGate;
use crate::arm::{Arm, ArmError, ArmResult, Execution, Observation};
use crate::envelope::{Envelope, EnvelopeConfig, EnvelopeError};
use crate::frame_sync::FrameStateSync;
use crate::gripper::GripperConfig;
use crate::handover::Pacer;
use crate::link::{self, link_error, Lease, LinkConfig, Monitor, SetpointPublisher, TimedState};
use crate::se3::{angle_rad, distance_m};
use crate::sequence::Sequence;
use crate::settle::SettleConfig;
use crate::streamer::{Budget, Streamer};
use session::wait_held;

/// How long the target is kept alive between two calls, beyond what [`Arm::keep_alive_until`] grants.
const BETWEEN_CALLS: Duration = Duration::from_millis(1000);
/// How long the first decision in motion is expected to take where none at rest was measured, s.
const FIRST_DECISION_S: f64 = 0.15;
/// A measured end effector this near the Franka Hand's is the Franka Hand's, m and rad.
const SAME_TOOL: f64 = 1e-3;

/// Which arm and camera, and how to reach them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ZenohArmConfig {
    /// The arm's name in `franka/<arm>/…`.
    pub arm: String,
    /// The camera's name in `franka/cam/<camera>/…`.
    pub camera: String,
    /// More cameras, whose pictures stand to the right of the first one's in every frame: for a
    /// model that sees several.
    pub other_cameras: Vec<String>,
    /// Endpoints and certificates.
    pub link: LinkConfig,
    /// The gripper.
    pub gripper: GripperConfig,
    /// When the arm counts as settled.
    pub settle: SettleConfig,
    /// How long to wait for a frame, s: the bound on a frame's age when it is planned on.
    pub frame_timeout_s: f64,
    /// Motions that would end further than this from where the arm was enabled first end the
    /// session and begin another, m. Keep it below the node's `max_deviation` (0.3 m), beyond
    /// which the node breaks the session off as a fault.
    pub session_reach_m: f64,
    /// The same for the orientation, rad; the node's `max_angular_deviation` is 0.5.
    pub session_turn_rad: f64,
    /// The id under which the lease is taken; made up when absent.
    pub client_id: Option<u32>,
}

impl Default for ZenohArmConfig {
    fn default() -> Self {
        ZenohArmConfig {
            arm: "fr3".into(),
            camera: "front".into(),
            other_cameras: Vec::new(),
            link: LinkConfig::default(),
            gripper: GripperConfig::default(),
            // An arm under impedance control creeps the last millimetres.
            settle: SettleConfig {
                distance_m: 0.0015,
                ..SettleConfig::default()
            },
            frame_timeout_s: 2.0,
            session_reach_m: 0.25,
            session_turn_rad: 0.4,
            client_id: None,
        }
    }
}

impl ZenohArmConfig {
    /// The names of all cameras, in the order in which their pictures stand in a frame.
    pub fn cameras(&self) -> Vec<&str> {
        let others = self.other_cameras.iter();
        std::iter::once(&self.camera)
            .chain(others)
            .map(String::as_str)
            .collect()
    }

    /// How long to wait for a frame.
    pub(crate) fn frame_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.frame_timeout_s.clamp(0.05, 60.0))
    }

    /// The id to take a lease or send a command under.
    pub fn client_id(&self) -> u32 {
        self.client_id
            .filter(|id| *id != 0)
            .unwrap_or_else(made_up_id)
    }
}

/// The client of one arm and one camera.
pub struct ZenohArm {
    config: ZenohArmConfig,
    client_id: u32,
    session: Session,
    sync: FrameStateSync,
    publisher: SetpointPublisher,
    lease: Option<Lease>,
    gripper_target: Publisher<'static>,
    gripper_sequence: Sequence,
    gate: ActionGate,
    /// Refusals of sessions of ours that are over.
    refused_before: u64,
    /// Whether the node's count of refusals is about a session of ours.
    counting: bool,
    /// The last state in which the arm was at rest after a motion of ours.
    settled: Option<TimedState>,
    /// Whether an idle arm is ours to start: never enabled yet, or stopped by us.
    may_enable: bool,
    /// Where the arm stood when the running session began.
    session_start: Isometry3<f64>,
    pacer: Pacer,
    /// When the frame of the last look was captured, ns of the node's clock.
    last_frame_ns: u64,
    /// When the last look at rest was made.
    looked: Option<Instant>,
}

impl ZenohArm {
    /// Connects, waits for the first state and takes the lease. The arm is enabled by the first
    /// look or action.
    ///
    /// # Errors
    /// [`ArmError`] when nothing answers, someone else holds the arm, or the envelope's limits
    /// make no sense.
    pub fn connect(config: ZenohArmConfig, envelope: EnvelopeConfig) -> ArmResult<Self> {
        let budget = Budget::from(&envelope);
        envelope.validate()?;
        let session = link::open(&config.link)?;
        let monitor = Monitor::subscribe(&session, &config.arm, &config.cameras())?;
        let sync = FrameStateSync {
            monitor: Arc::new(monitor),
            arm: config.arm.clone(),
            cameras: config.cameras().into_iter().map(Into::into).collect(),
            frame_timeout: config.frame_timeout(),
        };
        let client_id = config.client_id();
        let state = sync.first_state()?;
        let envelope = envelope_for(&state, envelope)?;
        let lease = Lease::acquire(&session, &config.arm, client_id)?;
        wait_held(&sync.monitor, client_id, state.node_ns());
        let streamer = Streamer::new(budget, state.placement);
        let publisher = SetpointPublisher::start(
            &session,
            &config.arm,
            client_id,
            Arc::clone(&sync.monitor),
            streamer,
        )?;
        let key = format!("franka/{}/gripper/target", config.arm);
        let gripper_target = session
            .declare_publisher(key.clone())
            .express(true)
            .wait()
            .map_err(|e| link_error(format!("publishing on {key}"), e))?;
        let width_m = sync.monitor.width_and_grasp().0;
        Ok(ZenohArm {
            gate: ActionGate::new(envelope, config.gripper, width_m),
            config,
            client_id,
            session,
            sync,
            publisher,
            lease: Some(lease),
            gripper_target,
            gripper_sequence: Sequence::from_clock(monotonic_ns()),
            refused_before: 0,
            counting: false,
            settled: None,
            may_enable: true,
            session_start: state.placement,
            pacer: Pacer::new(FIRST_DECISION_S),
            last_frame_ns: 0,
            looked: None,
        })
    }

    /// The id this client holds the lease under.
    pub fn client_id(&self) -> u32 {
        self.client_id
    }

    /// What the node and the camera publish.
    pub fn monitor(&self) -> &Monitor {
        &self.sync.monitor
    }

    /// The verdict of the simulator behind the arm; `None` where nobody judges, as with a real arm.
    ///
    /// # Errors
    /// [`ArmError`] when it refuses, or its answer can't be read.
    pub fn scene_verdict(&self) -> ArmResult<Option<link::SceneVerdict>> {
        link::scene::verdict(&self.session, &self.config.arm)
    }

    /// Targets sent since connecting.
    pub fn targets(&self) -> u64 {
        self.publisher.targets()
    }

    /// Stops the arm if it runs and gives the lease back; [`Drop`] does the same, silently.
    ///
    /// # Errors
    /// [`ArmError`] when the node refuses either.
    pub fn close(mut self) -> ArmResult<()> {
        self.finish()
    }

    fn finish(&mut self) -> ArmResult<()> {
        let Some(lease) = self.lease.take() else {
            return Ok(());
        };
        let active = self.sync.monitor.state().and_then(|s| s.phase()) == Some(Phase::Active);
        let stopped = if active { self.stop() } else { Ok(()) };
        self.publisher.disable();
        let released = lease.release();
        stopped.and(released)
    }
}

/// The limits with the end effector the arm really has: what it reports against what its joints
/// say.
pub(crate) fn envelope_for(state: &TimedState, limits: EnvelopeConfig) -> ArmResult<Envelope> {
    let arm = Fr3::new().map_err(|e| EnvelopeError::Kinematics(e.to_string()))?;
    let tool = arm.measured_tool(&state.joints_rad(), &state.placement);
    let hand = franka_hand();
    if distance_m(&tool, &hand) < SAME_TOOL && angle_rad(&tool, &hand) < SAME_TOOL {
        return Ok(Envelope::new(limits)?);
    }
    let t = tool.translation;
    tracing::warn!(
        "the arm's end effector isn't the Franka Hand's: flange to TCP is [{:.4}, {:.4}, {:.4}] m",
        t.x,
        t.y,
        t.z
    );
    Ok(Envelope::with_tool(limits, &tool)?)
}

impl Arm for ZenohArm {
    fn observe(&mut self) -> ArmResult<Observation> {
        let state = self.ensure_active()?;
        self.publisher
            .keep_alive_at_least(Instant::now() + BETWEEN_CALLS);
        self.pacer.rest();
        let goal = self.publisher.goal();
        let (state, settled) = match self.settled {
            // Still where it came to rest.
            Some(rest) if distance_m(&rest.placement, &state.placement) < 0.002 => (rest, true),
            _ => {
                let rest = self.wait_settled(goal, None)?;
                (rest.state, rest.settled)
            }
        };
        self.publisher
            .keep_alive_at_least(Instant::now() + self.sync.frame_timeout + BETWEEN_CALLS);
        let observation = self.sync.observe(&state, settled)?;
        self.last_frame_ns = observation.frame.captured_ns;
        self.looked = Some(Instant::now());
        Ok(observation)
    }

    fn execute(&mut self, action: &Action) -> ArmResult<Execution> {
        if self.pacer.is_under_way() {
            self.wait_settled(self.publisher.goal(), None)?;
        }
        match self.carry_out(action, None, None)? {
            Some(execution) => Ok(execution),
            None => Err(ArmError::NotAtRest {
                arm: self.config.arm.clone(),
            }),
        }
    }

    fn look_ahead(&mut self) -> ArmResult<Option<Ahead<Observation>>> {
        if !self.pacer.is_under_way() {
            return Ok(None);
        }
        let state = self.active_state()?;
        let observation = self.sync.observe_moving(&state, self.last_frame_ns)?;
        let brakes_in_s = self.publisher.brakes_in_s();
        self.last_frame_ns = observation.frame.captured_ns;
        let Some(committed) = self.pacer.committed(&observation.pose) else {
            return Ok(None);
        };
        let captured_s = observation.frame.captured_ns as f64 * 1e-9;
        self.pacer
            .looked(node_now_s(&state), captured_s, brakes_in_s);
        Ok(Some(Ahead {
            observation,
            committed,
        }))
    }

    fn follow_on(&mut self, action: &Action, until: Until) -> ArmResult<Option<Execution>> {
        if self.pacer.looked_s().is_none() {
            if let Some(looked) = self.looked.take() {
                self.pacer.took(looked.elapsed().as_secs_f64());
            }
            return self.carry_out(action, None, Some(until));
        }
        let handover = self.pacer.decided(node_now_s(&self.sync.state()?));
        if handover.is_none() || self.publisher.blocked() {
            tracing::info!("a decision came too late and was dropped");
            self.pacer.rest();
            return Ok(None);
        }
        if action.gripper.abs() >= self.config.gripper.dead_band {
            let rest = self.wait_settled(self.publisher.goal(), None)?;
            self.pacer.rest();
            return match rest.blocked {
                true => Ok(None),
                false => self.carry_out(action, None, Some(until)),
            };
        }
        self.carry_out(action, handover, Some(until))
    }

    fn keep_alive_until(&mut self, deadline: Instant) {
        self.publisher.keep_alive_until(deadline);
    }

    fn stop(&mut self) -> ArmResult<()> {
        self.publisher.disable();
        self.settled = None;
        self.pacer.rest();
        self.gate.forget();
        self.may_enable = true;
        link::stop(&self.session, &self.config.arm, self.client_id)
    }

    fn refused_targets(&self) -> u64 {
        let now = self.sync.monitor.state().filter(|_| self.counting);
        self.refused_before + now.map_or(0, |s| s.msg.refused.get())
    }
}

impl Drop for ZenohArm {
    fn drop(&mut self) {
        if let Err(e) = self.finish() {
            tracing::warn!("leaving the arm: {e}");
        }
    }
}

/// The node's clock now, s, going by a state of it.
fn node_now_s(state: &TimedState) -> f64 {
    state.node_ns() as f64 * 1e-9 + state.received.elapsed().as_secs_f64()
}

/// An id no other client of this or another process is likely to have; never 0.
fn made_up_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = u64::from(std::process::id()) << 32 ^ monotonic_ns() ^ u64::from(count) << 20;
    ((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32).max(1)
}
