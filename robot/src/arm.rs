//! What a planner sees of an arm: observe, execute, stay alive while deciding, stop.

use std::time::Instant;

use foresight_planner::control_loop::{Ahead, Until};
use foresight_planner::{Action, Pose};

use crate::envelope::{Adjustment, EnvelopeError, Refusal};
use crate::frame::{Frame, FrameError};
use crate::handover::Handover;

/// An arm with a gripper and a camera.
///
/// Two implementations share the same envelope, streamer and target guard: [`crate::ZenohArm`]
/// talks to a franka-node (a real arm, or [`crate::SimServer`]) in wall time,
/// [`crate::VirtualArm`] drives a simulator in this process in virtual time.
pub trait Arm {
    /// Waits until the arm has settled, then returns a frame captured after that moment with
    /// the pose measured at the frame's capture time.
    ///
    /// # Errors
    /// [`ArmError`] when states or frames stop arriving, or the arm was stopped or faulted. An
    /// arm that doesn't come to rest within the settle timeout is not an error: the observation
    /// then says `settled: false`.
    fn observe(&mut self) -> ArmResult<Observation>;

    /// Passes one action through the envelope, streams it and returns when the arm has settled
    /// at the end of it, or the settle timeout has passed.
    ///
    /// An action the envelope refuses moves nothing and returns `Ok` with
    /// [`Execution::refusal`] set.
    ///
    /// # Errors
    /// [`ArmError`] when the arm can't be driven: stopped by someone, faulted, lease lost,
    /// states stale.
    fn execute(&mut self, action: &Action) -> ArmResult<Execution>;

    /// Returns a frame captured while the action that [`Arm::follow_on`] left under way goes on, the
    /// pose measured at its capture, and what the hand will still do after that. `None` when
    /// nothing is under way.
    ///
    /// # Errors
    /// As [`Arm::observe`].
    fn look_ahead(&mut self) -> ArmResult<Option<Ahead<Observation>>> {
        Ok(None)
    }

    /// Passes one action through the envelope, counted from the end of the action under way where
    /// there is one, and turns to it without a stop; one that moves the fingers begins and ends at
    /// rest. `None` when the decision on the last
    /// [`Arm::look_ahead`] came too late or the arm was held up: the action is dropped, the arm goes
    /// on to the end of the one under way and rests there.
    ///
    /// # Errors
    /// As [`Arm::execute`].
    fn follow_on(&mut self, action: &Action, _until: Until) -> ArmResult<Option<Execution>> {
        self.execute(action).map(Some)
    }

    /// Keeps the hold target alive until `deadline`, for the time a decision takes. After that this
    /// side falls silent and the node's own watchdog holds, then stops the arm. A virtual arm has
    /// nothing to keep alive, its clock stands still.
    fn keep_alive_until(&mut self, deadline: Instant);

    /// Stops the arm where it is. The next [`Arm::execute`] starts it again.
    ///
    /// # Errors
    /// [`ArmError`] when the stop could not be delivered or was refused.
    fn stop(&mut self) -> ArmResult<()>;

    /// Targets the guard refused since this arm was opened; 0 in normal operation.
    fn refused_targets(&self) -> u64;
}

/// One look at the world: a frame and the pose of the same instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The camera frame.
    pub frame: Frame,
    /// The measured pose when the frame was captured; the gripper's closedness comes from its
    /// measured width.
    pub pose: Pose,
    /// Joint positions at the state paired with the frame, rad.
    pub joints_rad: [f64; 7],
    /// Whether the gripper reports that it holds something.
    pub grasped: bool,
    /// Whether the arm had come to rest before the frame was captured.
    pub settled: bool,
    /// The arm's own clock at the state paired with the frame, s.
    pub arm_time_s: f64,
    /// How far apart the frame's capture and the nearest measured state are, ms.
    pub pose_age_ms: f64,
}

/// What became of one action.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// The action asked for.
    pub requested: Action,
    /// The action after the envelope; all zero when refused.
    pub sent: Action,
    /// What the envelope changed, and why; empty when it passed as asked.
    pub changed: Vec<Adjustment>,
    /// Why the envelope refused the action, if it did.
    pub refusal: Option<Refusal>,
    /// The pose commanded.
    pub commanded_pose: Pose,
    /// The pose measured when the arm had settled, or when it was time for the next look.
    pub reached_pose: Pose,
    /// Distance between the commanded and the reached position, m.
    pub error_m: f64,
    /// Whether the arm came to rest before the settle timeout; not so while under way.
    pub settled: bool,
    /// Whether the action is still under way, so that the next one can follow without a stop.
    pub under_way: bool,
    /// What was measured of its decision, when it took over in motion.
    pub handover: Option<Handover>,
    /// Whether something in the way kept the arm from getting there; it was then led back to
    /// where it stood, so that it doesn't go on pressing.
    pub blocked: bool,
    /// Targets the guard refused during this action; 0 in normal operation.
    pub refused: u64,
    /// Targets sent during this action.
    pub targets: u64,
    /// How long the action took from the first target to settled or the next look, s of the arm's
    /// clock.
    pub seconds: f64,
    /// The part of `seconds` after the last moving target, s.
    pub settle_seconds: f64,
}

impl Execution {
    /// An action that moved nothing: the arm holds `held` and is at `measured`.
    pub(crate) fn refused(requested: Action, refusal: Refusal, held: Pose, measured: Pose) -> Self {
        Execution {
            requested,
            sent: Action::default(),
            changed: Vec::new(),
            refusal: Some(refusal),
            commanded_pose: held,
            reached_pose: measured,
            error_m: held.distance_m(&measured),
            settled: true,
            under_way: false,
            handover: None,
            blocked: false,
            refused: 0,
            targets: 0,
            seconds: 0.0,
            settle_seconds: 0.0,
        }
    }
}

/// What can end in a [`ArmError`].
pub type ArmResult<T> = Result<T, ArmError>;

/// Why an arm could not be looked through or driven.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// The zenoh link could not be opened or used.
    #[error("zenoh: {what}: {reason}; check the endpoint, that the node runs, and the certificates when it is tls/")]
    Link {
        /// What was being done.
        what: String,
        /// zenoh's own words.
        reason: String,
    },
    /// A zenoh configuration file or a certificate can't be used.
    #[error("{}: {reason}", path.display())]
    LinkFile {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it, the field where one is, and what to do.
        reason: String,
    },
    /// An endpoint that can't be one.
    #[error("the endpoint {endpoint:?}: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The node refused a command or did not answer.
    #[error("the node of arm '{arm}' refused '{verb}': {reason}")]
    Command {
        /// The arm's name.
        arm: String,
        /// The verb of `franka/<arm>/cmd/<verb>`.
        verb: &'static str,
        /// The node's own words.
        reason: String,
    },
    /// No state of the arm arrived for too long.
    #[error("no state from arm '{arm}' for {age_ms:.0} ms; is franka-node running and reachable, and is the arm's name right?")]
    StaleState {
        /// The arm's name.
        arm: String,
        /// How long the last state is ago, ms.
        age_ms: f64,
    },
    /// No usable camera frame arrived for too long.
    #[error("no frame from camera '{camera}' captured after the arm settled within {waited_ms:.0} ms; is franka-cam running, and is the camera's name right?")]
    StaleCamera {
        /// The camera's name.
        camera: String,
        /// How long was waited, ms.
        waited_ms: f64,
    },
    /// Frames and states are stamped by clocks that don't agree.
    #[error("frames of camera '{camera}' are stamped {skew_s:.2} s away from the arm's states, so that nobody can tell whether they show the arm at rest; run franka-cam on the arm node's host, so that both use one clock")]
    ClockSkew {
        /// The camera's name.
        camera: String,
        /// How far apart, s.
        skew_s: f64,
    },
    /// States arrive but the robot's own clock stands still.
    #[error("the clock of arm '{arm}' stands still at {robot_time_ms} ms although its node publishes; check the robot's connection and restart its node")]
    FrozenClock {
        /// The arm's name.
        arm: String,
        /// The robot's clock, ms.
        robot_time_ms: u64,
    },
    /// The arm keeps moving although nothing of ours moves it.
    #[error("arm '{arm}' does not stand still; wait until whoever moves it is done")]
    NotAtRest {
        /// The arm's name.
        arm: String,
    },
    /// Someone stopped the arm; it is not restarted behind their back.
    #[error("arm '{arm}' was stopped ({phase}); make sure it is clear, then start again")]
    Stopped {
        /// The arm's name.
        arm: String,
        /// The phase the node reports.
        phase: String,
    },
    /// The arm is in an error state.
    #[error("arm '{arm}' is faulted; clear the cause, then `foresight robot recover`")]
    Faulted {
        /// The arm's name.
        arm: String,
    },
    /// The lease went to someone else or was lost.
    #[error("the lease of arm '{arm}' is lost ({}); make sure it is clear, then start again", lost_to(*.holder))]
    LeaseLost {
        /// The arm's name.
        arm: String,
        /// The client that holds it now, 0 for nobody.
        holder: u32,
    },
    /// A camera frame could not be decoded.
    #[error("camera frame: {0}")]
    Frame(#[from] FrameError),
    /// The envelope's limits make no sense.
    #[error("safety envelope: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The simulator could not be built or served.
    #[error("simulator: {0}")]
    Simulator(String),
}

impl ArmError {
    /// Whether the user can mend it in the files that were given.
    pub fn is_input(&self) -> bool {
        matches!(self, ArmError::LinkFile { .. } | ArmError::Endpoint { .. })
    }
}

/// Who has the lease now, in words.
fn lost_to(holder: u32) -> String {
    match holder {
        0 => "nobody holds it: the link broke for a while, or the node was restarted".into(),
        other => format!("client {other} holds it; only one client may drive an arm"),
    }
}
