//! What the node and the camera publish, kept for a few seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foresight_kinematics::hand::STROKE_M;
use franka_node::{GripperStateMsg, Phase, StateMsg, FLAG_JOINTS, GRIPPER_GRASPED};
use nalgebra::Isometry3;
use zenoh::pubsub::Subscriber;
use zenoh::{Session, Wait};
use zerocopy::FromBytes;

use super::link_error;
use crate::arm::ArmResult;
use crate::frame::capture_ns;
use crate::se3;

/// States kept: 4 s at 100 Hz.
const STATES: usize = 400;
/// Frames kept, undecoded.
const FRAMES: usize = 4;
/// A state older than the newest by the node's clock is a late or replayed message, unless
/// nothing newer has arrived for this long: then the node's host was restarted.
const RESTARTED: Duration = Duration::from_millis(500);

/// A state of the arm and when it arrived.
#[derive(Debug, Clone, Copy)]
pub struct TimedState {
    /// The node's message.
    pub msg: StateMsg,
    /// `O_T_EE`.
    pub placement: Isometry3<f64>,
    /// When it arrived here.
    pub received: Instant,
    /// For how long the robot's own clock has stood still while the arm was active.
    pub clock_still: Duration,
}

/// An active arm whose clock has stood still for this long is no base for targets: what is
/// measured may be old although the node publishes it anew.
pub const FROZEN: Duration = Duration::from_millis(500);

impl TimedState {
    /// Whether the robot's own clock stands still.
    pub fn frozen(&self) -> bool {
        self.clock_still > FROZEN
    }

    /// The node's clock when it encoded the state, ns.
    pub fn node_ns(&self) -> u64 {
        self.msg.t_node_ns.get()
    }

    /// The phase, if the byte is one.
    pub fn phase(&self) -> Option<Phase> {
        Phase::from_u8(self.msg.phase)
    }

    /// Joint positions, rad.
    pub fn joints_rad(&self) -> [f64; 7] {
        self.msg.q.map(|v| v.get())
    }

    /// The fastest joint, rad/s, absolute.
    pub fn joint_speed_rad_s(&self) -> f64 {
        self.msg.dq.iter().fold(0.0, |m, v| v.get().abs().max(m))
    }

    /// The node's current target in a Cartesian session.
    pub fn target(&self) -> Option<Isometry3<f64>> {
        if self.msg.flags.get() & FLAG_JOINTS != 0 {
            return None;
        }
        se3::from_wire(&self.msg.target.map(|v| v.get()))
    }
}

/// One camera sample, not yet decoded.
#[derive(Debug, Clone)]
pub struct RawFrame {
    /// Header and pixels.
    pub bytes: Vec<u8>,
    /// Capture time, ns.
    pub captured_ns: u64,
    /// Whether the capture time is the start of the exposure.
    pub start_of_exposure: bool,
    /// Whether the capture time is on the host's monotonic clock by the driver's own stamp.
    pub driver_stamp: bool,
    /// When it arrived here.
    pub received: Instant,
    /// How far its capture time lies before the node's clock at its arrival, ns; negative when
    /// it claims to be from the future. `None` before the first state.
    pub age_ns: Option<i64>,
}

/// What a camera has sent.
#[derive(Default)]
struct CameraFrames {
    /// The last few, oldest first.
    newest: VecDeque<RawFrame>,
    /// Frames seen since subscribing.
    count: u64,
}

/// Takes a sample's bytes; says whether they were a usable message.
type Take = Box<dyn Fn(&mut Received, &[u8]) -> bool + Send + Sync>;

#[derive(Default)]
struct Received {
    states: VecDeque<TimedState>,
    gripper: Option<(GripperStateMsg, Instant)>,
    cameras: Vec<CameraFrames>,
    state_count: u64,
    malformed: u64,
    /// The robot's clock, ms, and since when it has shown that while the arm was active.
    robot_clock: Option<(u64, Instant)>,
}

/// Subscribes to an arm's states, its gripper's and cameras' frames.
pub struct Monitor {
    shared: Arc<(Mutex<Received>, Condvar)>,
    _subscribers: Vec<Subscriber<()>>,
}

impl Monitor {
    /// Starts watching `franka/<arm>/{state,gripper/state}` and `franka/cam/<camera>/frame` of every
    /// camera.
    ///
    /// # Errors
    /// [`crate::ArmError::Link`] when a subscription is refused.
    pub fn subscribe(session: &Session, arm: &str, cameras: &[&str]) -> ArmResult<Self> {
        let received = Received {
            cameras: cameras.iter().map(|_| CameraFrames::default()).collect(),
            ..Received::default()
        };
        let shared = Arc::new((Mutex::new(received), Condvar::new()));
        let declare = |key: String, take: Take| {
            let shared = Arc::clone(&shared);
            session
                .declare_subscriber(key.clone())
                .callback(move |sample| {
                    let bytes = sample.payload().to_bytes();
                    let mut seen = lock(&shared.0);
                    if !take(&mut seen, &bytes) {
                        seen.malformed += 1;
                    }
                    drop(seen);
                    shared.1.notify_all();
                })
                .wait()
                .map_err(|e| link_error(format!("subscribing to {key}"), e))
        };
        let mut subscribers = vec![
            declare(format!("franka/{arm}/state"), Box::new(take_state))?,
            declare(
                format!("franka/{arm}/gripper/state"),
                Box::new(take_gripper),
            )?,
        ];
        for (number, camera) in cameras.iter().enumerate() {
            let take = move |seen: &mut Received, bytes: &[u8]| take_frame(seen, number, bytes);
            let key = format!("franka/cam/{camera}/frame");
            subscribers.push(declare(key, Box::new(take))?);
        }
        Ok(Monitor {
            shared,
            _subscribers: subscribers,
        })
    }

    /// The newest state.
    pub fn state(&self) -> Option<TimedState> {
        lock(&self.shared.0).states.back().copied()
    }

    /// The newest gripper state and when it arrived.
    pub fn gripper(&self) -> Option<(GripperStateMsg, Instant)> {
        lock(&self.shared.0).gripper
    }

    /// Width between the fingers, m, and whether they hold something; open and empty while no
    /// gripper has reported.
    pub fn width_and_grasp(&self) -> (f64, bool) {
        self.gripper()
            .map_or((STROKE_M, false), |(g, _)| (g.width.get(), grasped(&g)))
    }

    /// States seen since subscribing.
    pub fn state_count(&self) -> u64 {
        lock(&self.shared.0).state_count
    }

    /// Frames of each camera seen since subscribing.
    pub fn frame_counts(&self) -> Vec<u64> {
        let seen = lock(&self.shared.0);
        seen.cameras.iter().map(|camera| camera.count).collect()
    }

    /// The newest frame of a camera, by its place in the order they were asked for; undecoded.
    pub fn frame(&self, camera: usize) -> Option<RawFrame> {
        let seen = lock(&self.shared.0);
        seen.cameras.get(camera)?.newest.back().cloned()
    }

    /// Samples on the watched keys that were not usable messages: wrong length, version or
    /// numbers, or states older than ones already seen.
    pub fn malformed(&self) -> u64 {
        lock(&self.shared.0).malformed
    }

    /// The states just before and just after `node_ns` of the node's clock.
    pub fn around(&self, node_ns: u64) -> (Option<TimedState>, Option<TimedState>) {
        let seen = lock(&self.shared.0);
        let before = seen.states.iter().rev().find(|s| s.node_ns() <= node_ns);
        let after = seen.states.iter().find(|s| s.node_ns() >= node_ns);
        (before.copied(), after.copied())
    }

    /// Waits for a state newer than `after_ns` of the node's clock.
    pub fn next_state(&self, after_ns: u64, timeout: Duration) -> Option<TimedState> {
        self.wait(timeout, |seen| {
            seen.states
                .back()
                .filter(|s| s.node_ns() > after_ns)
                .copied()
        })
    }

    /// Waits for a camera's frame that `wanted` accepts, oldest first.
    pub fn next_frame(
        &self,
        camera: usize,
        timeout: Duration,
        wanted: impl Fn(&RawFrame) -> bool,
    ) -> Option<RawFrame> {
        self.wait(timeout, |seen| {
            let frames = &seen.cameras.get(camera)?.newest;
            frames.iter().find(|f| wanted(f)).cloned()
        })
    }

    fn wait<T>(&self, timeout: Duration, ready: impl Fn(&Received) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut seen = lock(&self.shared.0);
        loop {
            if let Some(value) = ready(&seen) {
                return Some(value);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            seen = self
                .shared
                .1
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Whether a gripper reports that it holds something.
pub(crate) fn grasped(state: &GripperStateMsg) -> bool {
    state.flags & GRIPPER_GRASPED != 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_state(seen: &mut Received, bytes: &[u8]) -> bool {
    let Ok(msg) = StateMsg::read_from_bytes(bytes) else {
        return false;
    };
    let joints = msg.q.iter().chain(&msg.dq).all(|v| v.get().is_finite());
    let placement = se3::from_column_major(&msg.o_t_ee.map(|v| v.get()));
    let (Some(placement), true, franka_node::VERSION) = (placement, joints, msg.version) else {
        return false;
    };
    let received = Instant::now();
    if let Some(last) = seen.states.back() {
        if msg.t_node_ns.get() < last.node_ns() {
            if received.saturating_duration_since(last.received) < RESTARTED {
                return false;
            }
            seen.states.clear();
            seen.robot_clock = None;
        }
    }
    let time_ms = msg.robot_time_ms.get();
    let active = Phase::from_u8(msg.phase) == Some(Phase::Active);
    let since = match seen.robot_clock {
        Some((shown_ms, since)) if active && shown_ms == time_ms => since,
        _ => received,
    };
    seen.robot_clock = Some((time_ms, since));
    seen.state_count += 1;
    seen.states.push_back(TimedState {
        msg,
        placement,
        received,
        clock_still: received.saturating_duration_since(since),
    });
    if seen.states.len() > STATES {
        seen.states.pop_front();
    }
    true
}

fn take_gripper(seen: &mut Received, bytes: &[u8]) -> bool {
    match GripperStateMsg::try_from(bytes) {
        Ok(msg) if msg.width.get().is_finite() => {
            seen.gripper = Some((msg, Instant::now()));
            true
        }
        _ => false,
    }
}

fn take_frame(seen: &mut Received, camera: usize, bytes: &[u8]) -> bool {
    let Ok((header, _)) = franka_cam::decode(bytes) else {
        return false;
    };
    let captured_ns = capture_ns(&header);
    let received = Instant::now();
    let age_ns = seen.states.back().map(|state| {
        let since = received
            .saturating_duration_since(state.received)
            .as_nanos();
        let now_ns = i128::from(state.node_ns()) + since as i128;
        let age_ns = now_ns - i128::from(captured_ns);
        age_ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    });
    let flags = header.flags.get();
    let Some(camera) = seen.cameras.get_mut(camera) else {
        return false;
    };
    camera.count += 1;
    camera.newest.push_back(RawFrame {
        bytes: bytes.to_vec(),
        captured_ns,
        start_of_exposure: flags & franka_cam::TIMESTAMP_SOE != 0,
        driver_stamp: flags & franka_cam::TIMESTAMP_MONOTONIC != 0,
        received,
        age_ns,
    });
    if camera.newest.len() > FRAMES {
        camera.newest.pop_front();
    }
    true
}
