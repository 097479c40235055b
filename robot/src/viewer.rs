//! Watching an arm without driving it: no lease, no targets. What a viewer's certificate allows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foresight_planner::{Action, Pose};
use zenoh::Session;

use crate::arm::{ArmError, ArmResult, Observation};
use crate::envelope::{Admitted, EnvelopeConfig, Refusal};
use crate::frame_sync::FrameStateSync;
use crate::link::{self, Monitor, TimedState};
use crate::zenoh_arm::{envelope_for, ZenohArmConfig};

/// How long an arm may take to stand still for a look.
const REST_TIMEOUT: Duration = Duration::from_secs(15);
/// Joints that moved less than this between two readings stand still, rad.
const STILL_RAD: f64 = 1e-3;
/// Joints slower than this stand still, rad/s.
const STILL_RAD_S: f64 = 0.02;

/// A client that only looks, and may stop.
pub struct Viewer {
    session: Session,
    sync: FrameStateSync,
    client_id: u32,
}

impl Viewer {
    /// Connects and waits for the first state.
    ///
    /// # Errors
    /// [`ArmError`] when the link can't be opened or no state arrives.
    pub fn connect(config: &ZenohArmConfig) -> ArmResult<Self> {
        let viewer = Viewer::open(config)?;
        viewer.sync.first_state()?;
        Ok(viewer)
    }

    /// Connects without waiting for anything: for looking at what is missing.
    ///
    /// # Errors
    /// [`ArmError::Link`] when the link can't be opened.
    pub fn open(config: &ZenohArmConfig) -> ArmResult<Self> {
        let session = link::open(&config.link)?;
        let monitor = Monitor::subscribe(&session, &config.arm, &config.cameras())?;
        Ok(Viewer {
            sync: FrameStateSync {
                monitor: Arc::new(monitor),
                arm: config.arm.clone(),
                cameras: config.cameras().into_iter().map(Into::into).collect(),
                frame_timeout: config.frame_timeout(),
            },
            client_id: config.client_id(),
            session,
        })
    }

    /// What the node and the camera publish.
    pub fn monitor(&self) -> &Monitor {
        &self.sync.monitor
    }

    /// The zenoh session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The newest state.
    ///
    /// # Errors
    /// [`ArmError::StaleState`] when none arrived lately.
    pub fn state(&self) -> ArmResult<TimedState> {
        self.sync.state()
    }

    /// Waits until the arm stands still, then returns a frame captured after that and the pose
    /// of that moment. A node refreshes what it measures once a second while no session runs, so
    /// this takes up to two seconds.
    ///
    /// # Errors
    /// [`ArmError`] when the arm keeps moving or no frame arrives.
    pub fn look(&self) -> ArmResult<Observation> {
        let deadline = Instant::now() + REST_TIMEOUT;
        let mut last = self.sync.state()?;
        loop {
            let state = self.sync.state()?;
            let fresh = state.msg.robot_time_ms.get() > last.msg.robot_time_ms.get();
            if fresh {
                let (now, then) = (state.joints_rad(), last.joints_rad());
                let moved = now.iter().zip(&then).map(|(a, b)| (a - b).abs());
                if moved.fold(0.0, f64::max) < STILL_RAD && state.joint_speed_rad_s() < STILL_RAD_S
                {
                    return self.sync.observe(&state, true);
                }
                last = state;
            }
            if Instant::now() > deadline {
                return Err(ArmError::NotAtRest {
                    arm: self.sync.arm.clone(),
                });
            }
            let newest = state.node_ns();
            self.sync
                .monitor
                .next_state(newest, Duration::from_millis(200));
        }
    }

    /// The newest frame with the pose measured at its capture, whether the arm moves or not.
    ///
    /// # Errors
    /// [`ArmError`] when no frame arrives.
    pub fn glance(&self, state: &TimedState) -> ArmResult<Observation> {
        self.sync.observe_moving(state, 0)
    }

    /// What the envelope with these limits would make of an action from `start`.
    ///
    /// # Errors
    /// [`ArmError`] when no state arrived lately or the limits make no sense.
    pub fn judge(
        &self,
        limits: EnvelopeConfig,
        start: &Pose,
        action: &Action,
    ) -> ArmResult<Result<Admitted, Refusal>> {
        let state = self.sync.state()?;
        let envelope = envelope_for(&state, limits)?;
        Ok(envelope.admit(start, &state.joints_rad(), action))
    }

    /// Stops the gripper: no lease is needed.
    ///
    /// # Errors
    /// [`ArmError`] when the node can't be reached or there is no gripper.
    pub fn stop_gripper(&self) -> ArmResult<()> {
        link::command(
            &self.session,
            &self.sync.arm,
            "gripper_stop",
            self.client_id,
        )
    }

    /// Clears the arm's error; nothing moves.
    ///
    /// # Errors
    /// [`ArmError`] when the node can't be reached or the robot stays in its error.
    pub fn recover(&self) -> ArmResult<()> {
        link::command(&self.session, &self.sync.arm, "recover", self.client_id)
    }

    /// Stops the arm: no lease is needed, whoever drives it.
    ///
    /// # Errors
    /// [`ArmError`] when the node can't be reached or its stop fails.
    pub fn stop(&self) -> ArmResult<()> {
        link::stop(&self.session, &self.sync.arm, self.client_id)
    }
}
