//! What the node and the camera publish, kept for a few seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use franka_node::{GripperStateMsg, Phase, StateMsg, FLAG_JOINTS};
use nalgebra::Isometry3;
use zenoh::pubsub::Subscriber;
use zenoh::{Session, Wait};
use zerocopy::FromBytes;

use super::link_error;
use crate::arm::ArmError;
use crate::frame::capture_ns;
use crate::placement;

/// States kept: 4 s at 100 Hz.
const STATES: usize = 400;
/// Frames kept, undecoded.
const FRAMES: usize = 4;

/// A state of the arm and when it arrived.
#[derive(Debug, Clone, Copy)]
pub struct TimedState {
    /// The node's message.
    pub msg: StateMsg,
    /// `O_T_EE`.
    pub placement: Isometry3<f64>,
    /// When it arrived here.
    pub received: Instant,
}

impl TimedState {
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
        placement::from_wire(&self.msg.target.map(|v| v.get()))
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
}

#[derive(Default)]
struct Seen {
    states: VecDeque<TimedState>,
    gripper: Option<(GripperStateMsg, Instant)>,
    frames: VecDeque<RawFrame>,
    malformed: u64,
}

/// Subscribes to an arm's states, its gripper's and a camera's frames.
pub struct Monitor {
    shared: Arc<(Mutex<Seen>, Condvar)>,
    _subscribers: Vec<Subscriber<()>>,
}

impl Monitor {
    /// Starts watching `franka/<arm>/{state,gripper/state}` and, with a camera,
    /// `franka/cam/<camera>/frame`.
    ///
    /// # Errors
    /// [`ArmError::Link`] when a subscription is refused.
    pub fn subscribe(session: &Session, arm: &str, camera: Option<&str>) -> Result<Self, ArmError> {
        let shared = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let declare = |key: String, take: fn(&mut Seen, &[u8]) -> bool| {
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
            declare(format!("franka/{arm}/state"), take_state)?,
            declare(format!("franka/{arm}/gripper/state"), take_gripper)?,
        ];
        if let Some(camera) = camera {
            subscribers.push(declare(format!("franka/cam/{camera}/frame"), take_frame)?);
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

    /// Samples on the watched keys whose bytes were not messages.
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

    /// Waits for a frame that `wanted` accepts, oldest first.
    pub fn next_frame(
        &self,
        timeout: Duration,
        wanted: impl Fn(&RawFrame) -> bool,
    ) -> Option<RawFrame> {
        self.wait(timeout, |seen| {
            seen.frames.iter().find(|f| wanted(f)).cloned()
        })
    }

    /// The newest frame's capture time, ns.
    pub fn newest_frame_ns(&self) -> Option<u64> {
        lock(&self.shared.0).frames.back().map(|f| f.captured_ns)
    }

    fn wait<T>(&self, timeout: Duration, ready: impl Fn(&Seen) -> Option<T>) -> Option<T> {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_state(seen: &mut Seen, bytes: &[u8]) -> bool {
    let Ok(msg) = StateMsg::read_from_bytes(bytes) else {
        return false;
    };
    let joints = msg.q.iter().chain(&msg.dq).all(|v| v.get().is_finite());
    let placement = placement::from_column_major(&msg.o_t_ee.map(|v| v.get()));
    let (Some(placement), true, franka_node::VERSION) = (placement, joints, msg.version) else {
        return false;
    };
    // The node's clock never runs backwards, except when the node's host was restarted.
    if let Some(last) = seen.states.back() {
        if msg.t_node_ns.get() < last.node_ns() {
            seen.states.clear();
        }
    }
    seen.states.push_back(TimedState {
        msg,
        placement,
        received: Instant::now(),
    });
    if seen.states.len() > STATES {
        seen.states.pop_front();
    }
    true
}

fn take_gripper(seen: &mut Seen, bytes: &[u8]) -> bool {
    match GripperStateMsg::try_from(bytes) {
        Ok(msg) if msg.width.get().is_finite() => {
            seen.gripper = Some((msg, Instant::now()));
            true
        }
        _ => false,
    }
}

fn take_frame(seen: &mut Seen, bytes: &[u8]) -> bool {
    let Ok((header, _)) = franka_cam::decode(bytes) else {
        return false;
    };
    seen.frames.push_back(RawFrame {
        bytes: bytes.to_vec(),
        captured_ns: capture_ns(&header),
        start_of_exposure: header.flags.get() & franka_cam::TIMESTAMP_SOE != 0,
    });
    if seen.frames.len() > FRAMES {
        seen.frames.pop_front();
    }
    true
}
