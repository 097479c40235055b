//! The set-point publisher: a thread that sends the streamer's targets at 50 Hz while someone keeps
//! them alive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use franka_node::{monotonic_ns, Kind, Phase, TargetMsg};
use nalgebra::Isometry3;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::{Session, Wait};
use zerocopy::IntoBytes;

use super::{link_error, Monitor};
use crate::arm::ArmResult;
use crate::sequence::Sequence;
use crate::streamer::{Streamer, STREAM_HZ};
use crate::worker::Worker;

/// A state older than this is no base for a target: the publisher falls silent and the node holds.
const FRESH: Duration = Duration::from_millis(300);

/// Why no targets are being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopReason {
    /// No session is enabled.
    Idle,
    /// The time up to which targets are kept alive has passed.
    Deadline,
    /// The states are too old.
    StaleState,
    /// The robot's own clock stands still: what is measured may be old.
    FrozenClock,
}

struct Core {
    streamer: Streamer,
    sequence: Sequence,
    enabled: bool,
    keep_alive_until: Instant,
    /// Why nothing is being sent; `None` while targets are.
    stopped: Option<StopReason>,
    /// The publisher had stopped of itself when the arm was last seen active: a watchdog's stop that
    /// follows is our own doing.
    stopped_itself: bool,
    arrived: bool,
    blocked: bool,
    targets: u64,
    last_moving: Instant,
}

/// The streaming thread.
pub(crate) struct SetpointPublisher {
    core: Arc<Mutex<Core>>,
    _worker: Worker,
}

impl SetpointPublisher {
    /// Starts the thread; it sends nothing before [`SetpointPublisher::enable`].
    ///
    /// # Errors
    /// [`crate::ArmError::Link`] when the publisher or the thread can't be made.
    pub(crate) fn start(
        session: &Session,
        arm: &str,
        client_id: u32,
        monitor: Arc<Monitor>,
        streamer: Streamer,
    ) -> ArmResult<Self> {
        let key = format!("franka/{arm}/target");
        let publisher = session
            .declare_publisher(key.clone())
            .congestion_control(CongestionControl::Drop)
            .express(true)
            .wait()
            .map_err(|e| link_error(format!("publishing on {key}"), e))?;
        let now = Instant::now();
        let core = Arc::new(Mutex::new(Core {
            streamer,
            sequence: Sequence::from_clock(monotonic_ns()),
            enabled: false,
            keep_alive_until: now,
            stopped: Some(StopReason::Idle),
            stopped_itself: false,
            arrived: true,
            blocked: false,
            targets: 0,
            last_moving: now,
        }));
        let streamed = Arc::clone(&core);
        let worker = Worker::start(
            format!("foresight-stream-{arm}"),
            "starting the target stream",
            move |stop| run(&streamed, stop, &monitor, &publisher, client_id),
        )?;
        Ok(SetpointPublisher {
            core,
            _worker: worker,
        })
    }

    /// Begins to send: the setpoint rests at `start`, kept alive until `until`.
    pub(crate) fn enable(&self, start: Isometry3<f64>, until: Instant) {
        let mut core = self.core();
        core.streamer.reset(start);
        core.enabled = true;
        core.stopped_itself = false;
        core.arrived = true;
        core.blocked = false;
        core.keep_alive_until = until;
    }

    /// Sends nothing more.
    pub(crate) fn disable(&self) {
        let mut core = self.core();
        core.enabled = false;
        core.stopped = Some(StopReason::Idle);
    }

    /// Leads the setpoint to `goal`.
    pub(crate) fn set_goal(&self, goal: Isometry3<f64>) {
        let mut core = self.core();
        core.streamer.set_goal(goal);
        core.arrived = false;
        core.blocked = false;
        core.last_moving = Instant::now();
    }

    /// Leads the setpoint to `goal` by way of the goal it travels to, without a stop.
    pub(crate) fn turn_to(&self, goal: Isometry3<f64>) {
        let mut core = self.core();
        core.streamer.turn_to(goal);
        core.arrived = false;
        core.blocked = false;
        core.last_moving = Instant::now();
    }

    /// How long until the setpoint has to brake for its goal, s.
    pub(crate) fn brakes_in_s(&self) -> f64 {
        self.core().streamer.brakes_in_s()
    }

    /// Where the setpoint stands or goes.
    pub(crate) fn goal(&self) -> Isometry3<f64> {
        self.core().streamer.goal()
    }

    /// Keeps targets alive until `until`, no longer, whatever was said before.
    pub(crate) fn keep_alive_until(&self, until: Instant) {
        self.core().keep_alive_until = until;
    }

    /// Keeps targets alive until `until` or longer.
    pub(crate) fn keep_alive_at_least(&self, until: Instant) {
        let mut core = self.core();
        core.keep_alive_until = core.keep_alive_until.max(until);
    }

    /// Whether the setpoint stands at the goal.
    pub(crate) fn arrived(&self) -> bool {
        self.core().arrived
    }

    /// Whether the arm doesn't follow because something blocks it.
    pub(crate) fn blocked(&self) -> bool {
        self.core().blocked
    }

    /// When the last moving target was sent.
    pub(crate) fn last_moving(&self) -> Instant {
        self.core().last_moving
    }

    /// Targets sent since the start.
    pub(crate) fn targets(&self) -> u64 {
        self.core().targets
    }

    /// Whether the publisher had stopped of itself when the arm was last active, so that it was the
    /// node's watchdog that stopped the arm, not somebody.
    pub(crate) fn stopped_itself(&self) -> bool {
        self.core().stopped_itself
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(
    core: &Mutex<Core>,
    stop: &AtomicBool,
    monitor: &Monitor,
    publisher: &Publisher<'_>,
    client_id: u32,
) {
    let period = Duration::from_secs_f64(1.0 / STREAM_HZ);
    let started = Instant::now();
    let mut next = started;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if let Some(pause) = next.checked_duration_since(now) {
            std::thread::sleep(pause);
            continue;
        }
        // After a stall the missed ticks are skipped, not sent in a burst.
        next = (next + period).max(now);
        let msg = {
            let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
            core.tick(now, (now - started).as_secs_f64(), monitor, client_id)
        };
        if let Some(msg) = msg {
            if let Err(e) = publisher.put(msg.as_bytes()).wait() {
                tracing::warn!("target not sent: {e}");
            }
        }
    }
}

impl Core {
    fn tick(
        &mut self,
        now: Instant,
        clock_s: f64,
        monitor: &Monitor,
        client_id: u32,
    ) -> Option<TargetMsg> {
        let state = monitor.state();
        let fresh = state.filter(|s| now.saturating_duration_since(s.received) <= FRESH);
        let stopped = match (self.enabled, fresh) {
            (false, _) => Some(StopReason::Idle),
            (true, None) => Some(StopReason::StaleState),
            (true, Some(state)) if state.frozen() => Some(StopReason::FrozenClock),
            (true, Some(_)) if now > self.keep_alive_until => Some(StopReason::Deadline),
            (true, Some(_)) => None,
        };
        let own_doing = stopped.filter(|reason| *reason != StopReason::Idle);
        if let Some(reason) = own_doing.filter(|_| stopped != self.stopped) {
            tracing::warn!("target stream stops ({reason:?}); the node will hold the arm");
        }
        self.stopped = stopped;
        let active = fresh.filter(|s| s.phase() == Some(Phase::Active));
        if self.enabled && (active.is_some() || fresh.is_none()) {
            self.stopped_itself = own_doing.is_some();
        }
        let state = active.filter(|_| stopped.is_none())?;
        let target = self.streamer.next(clock_s, &state.placement);
        self.arrived = target.arrived;
        self.blocked = target.blocked;
        if !target.arrived {
            self.last_moving = now;
        }
        self.targets += 1;
        let msg = TargetMsg::new(
            Kind::Cartesian,
            client_id,
            self.sequence.advance(),
            monotonic_ns(),
            target.data(),
        );
        Some(if target.anchor {
            msg.with_anchor()
        } else {
            msg
        })
    }
}
