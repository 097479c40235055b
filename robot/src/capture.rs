//! Everything an arm and its cameras publish while it is being recorded, in the order it arrives.
//!
//! [`Monitor`](crate::link::Monitor) keeps what is newest, for whoever decides; here nothing is
//! passed over, and nothing is sent: whoever drives the arm needn't know.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;

use franka_node::{GripperStateMsg, StateMsg, FLAG_JOINTS};
use nalgebra::Isometry3;
use zenoh::pubsub::Subscriber;
use zenoh::{Session, Wait};
use zerocopy::FromBytes;

use crate::arm::ArmResult;
use crate::frame::capture_ns;
use crate::link::{self, link_error, LinkConfig};
use crate::se3;

/// One message.
#[derive(Debug, Clone)]
pub enum Captured {
    /// Of the arm.
    State(CapturedState),
    /// Of its gripper.
    Gripper(CapturedGripper),
    /// Of a camera.
    Frame(CapturedFrame),
}

/// What the arm measured and was told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapturedState {
    /// The node's clock, ns.
    pub node_ns: u64,
    /// The robot's own clock, ms.
    pub robot_time_ms: u64,
    /// `O_T_EE`.
    pub placement: Isometry3<f64>,
    /// Joint positions, rad.
    pub joints_rad: [f64; 7],
    /// The target the node follows; `None` where joints are commanded.
    pub target: Option<Isometry3<f64>>,
}

/// What the gripper measured and was told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapturedGripper {
    /// The node's clock at the reading, ns.
    pub node_ns: u64,
    /// Measured width, m.
    pub width_m: f64,
    /// The last commanded width, m.
    pub commanded_m: f64,
}

/// A camera's picture, not yet decoded: [`crate::Frame::decode`] takes its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct CapturedFrame {
    /// Number of the camera, in the order they were asked for.
    pub camera: usize,
    /// The driver's count of frames; wraps. A gap is a frame that was lost.
    pub sequence: u32,
    /// When it was captured, ns on the clock of the states.
    pub captured_ns: u64,
    /// Header and pixels.
    pub bytes: Vec<u8>,
}

/// Makes a message of a sample's bytes; `None` where they are none.
type Take = Box<dyn Fn(&[u8]) -> Option<Captured> + Send + Sync>;

/// Subscriptions to an arm, its gripper and cameras.
pub struct Capture {
    received: Receiver<Captured>,
    on: Arc<AtomicBool>,
    malformed: Arc<AtomicU64>,
    _subscribers: Vec<Subscriber<()>>,
    _session: Session,
}

impl Capture {
    /// Subscribes; what arrives is passed over until [`Capture::begin`].
    ///
    /// # Errors
    /// [`crate::ArmError`] when the link can't be opened or a subscription is refused.
    pub fn connect(link: &LinkConfig, arm: &str, cameras: &[String]) -> ArmResult<Self> {
        let session = link::open(link)?;
        let (sender, received) = mpsc::channel();
        let (on, malformed) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let declare = |key: String, take: Take| {
            let (on, malformed): (_, Arc<AtomicU64>) = (Arc::clone(&on), Arc::clone(&malformed));
            let sender: Sender<Captured> = sender.clone();
            session
                .declare_subscriber(key.clone())
                .callback(move |sample| {
                    if !on.load(Ordering::Acquire) {
                        return;
                    }
                    match take(&sample.payload().to_bytes()) {
                        // Nobody listens any more once the capture is dropped.
                        Some(message) => drop(sender.send(message)),
                        None => drop(malformed.fetch_add(1, Ordering::Relaxed)),
                    }
                })
                .wait()
                .map_err(|e| link_error(format!("subscribing to {key}"), e))
        };
        let mut subscribers = vec![
            declare(format!("franka/{arm}/state"), Box::new(state))?,
            declare(format!("franka/{arm}/gripper/state"), Box::new(gripper))?,
        ];
        for (number, camera) in cameras.iter().enumerate() {
            let key = format!("franka/cam/{camera}/frame");
            let take = move |bytes: &[u8]| frame(number, bytes);
            subscribers.push(declare(key, Box::new(take))?);
        }
        Ok(Capture {
            received,
            on,
            malformed,
            _subscribers: subscribers,
            _session: session,
        })
    }

    /// From now on messages are kept; those of before are forgotten.
    pub fn begin(&self) {
        while self.received.try_recv().is_ok() {}
        self.on.store(true, Ordering::Release);
    }

    /// From now on messages are passed over; those kept can still be received.
    pub fn end(&self) {
        self.on.store(false, Ordering::Release);
    }

    /// What was kept, in the order it arrived.
    pub fn received(&self) -> &Receiver<Captured> {
        &self.received
    }

    /// Messages on these keys that can't be used, since connecting.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }
}

fn state(bytes: &[u8]) -> Option<Captured> {
    let msg = StateMsg::read_from_bytes(bytes).ok()?;
    let placement = se3::from_column_major(&msg.o_t_ee.map(|v| v.get()))?;
    let joints_rad = msg.q.map(|v| v.get());
    let joint_target = msg.flags.get() & FLAG_JOINTS != 0;
    let usable = msg.version == franka_node::VERSION && joints_rad.iter().all(|q| q.is_finite());
    usable.then(|| {
        Captured::State(CapturedState {
            node_ns: msg.t_node_ns.get(),
            robot_time_ms: msg.robot_time_ms.get(),
            placement,
            joints_rad,
            target: match joint_target {
                true => None,
                false => se3::from_wire(&msg.target.map(|v| v.get())),
            },
        })
    })
}

fn gripper(bytes: &[u8]) -> Option<Captured> {
    let msg = GripperStateMsg::try_from(bytes).ok()?;
    let (width_m, commanded_m) = (msg.width.get(), msg.commanded.get());
    (width_m.is_finite() && commanded_m.is_finite()).then(|| {
        Captured::Gripper(CapturedGripper {
            node_ns: msg.t_node_ns.get(),
            width_m,
            commanded_m,
        })
    })
}

fn frame(camera: usize, bytes: &[u8]) -> Option<Captured> {
    let (header, _) = franka_cam::decode(bytes).ok()?;
    Some(Captured::Frame(CapturedFrame {
        camera,
        sequence: header.seq.get(),
        captured_ns: capture_ns(&header),
        bytes: bytes.to_vec(),
    }))
}
