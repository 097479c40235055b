//! What a client sees of an arm and a camera: states that are fresh, frames taken after a
//! moment, and the pose of the instant a frame was captured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foresight_planner::Pose;
use nalgebra::Isometry3;

use crate::arm::{ArmError, ArmResult, Observation};
use crate::frame::Frame;
use crate::link::{Monitor, RawFrame, TimedState};
use foresight_kinematics::hand::closedness;

/// How long states may stay away before that is an error.
pub(crate) const STATE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long the first state may take after connecting.
pub(crate) const FIRST_STATE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much earlier than its stamp a frame without a start-of-exposure stamp may have begun, ns.
const EXPOSURE_NS: u64 = 60_000_000;
/// A frame that claims to be this much younger than the node's clock at its arrival is stamped
/// by another clock, ns. Its stamp can't prove that it was taken after the arm settled.
const FUTURE_NS: i64 = 50_000_000;
/// A picture of another camera may be this much older than the first one's, ns. With cameras of
/// 15 Hz and more there is always one.
const APART_NS: u64 = 35_000_000;
/// Frame and state clocks further apart than this are not the same clock, ns.
const CLOCK_SKEW_NS: u64 = 5_000_000_000;

/// Pairs camera frames with arm states for a client.
pub(crate) struct FrameStateSync {
    pub monitor: Arc<Monitor>,
    pub arm: String,
    /// The cameras' names, in the order in which their pictures stand in a frame.
    pub cameras: Vec<String>,
    /// How long to wait for a frame.
    pub frame_timeout: Duration,
}

impl FrameStateSync {
    /// Waits for the first state after connecting.
    pub(crate) fn first_state(&self) -> ArmResult<TimedState> {
        self.monitor
            .next_state(0, FIRST_STATE_TIMEOUT)
            .ok_or_else(|| self.stale(FIRST_STATE_TIMEOUT))
    }

    /// The newest state, not older than allowed.
    pub(crate) fn state(&self) -> ArmResult<TimedState> {
        let newest = self.monitor.state();
        let age = newest.map_or(FIRST_STATE_TIMEOUT, |s| s.received.elapsed());
        newest
            .filter(|_| age <= STATE_TIMEOUT)
            .ok_or_else(|| self.stale(age))
    }

    fn stale(&self, age: Duration) -> ArmError {
        ArmError::StaleState {
            arm: self.arm.clone(),
            age_ms: age.as_secs_f64() * 1e3,
        }
    }

    /// A frame captured after `rest`, with the pose measured at its capture.
    pub(crate) fn observe(&self, rest: &TimedState, settled: bool) -> ArmResult<Observation> {
        let frame = self.frame_after(rest, rest.node_ns(), EXPOSURE_NS)?;
        self.paired(frame, settled)
    }

    /// The newest frame captured after `after_ns`, with the pose measured at its capture, of an arm
    /// in motion; waits for the next where there is none.
    pub(crate) fn observe_moving(
        &self,
        state: &TimedState,
        after_ns: u64,
    ) -> ArmResult<Observation> {
        let newest = self.monitor.frame(0).map_or(0, |f| f.captured_ns);
        let not_before = newest.saturating_sub(1).min(state.node_ns()).max(after_ns);
        self.paired(self.frame_after(state, not_before, 0)?, false)
    }

    fn paired(&self, frame: Frame, settled: bool) -> ArmResult<Observation> {
        let (placement, paired, pose_age_ms) = self.at(frame.captured_ns)?;
        let (width_m, grasped) = self.monitor.width_and_grasp();
        Ok(Observation {
            pose: Pose::from_isometry(&placement, closedness(width_m)),
            joints_rad: paired.joints_rad(),
            grasped,
            settled,
            arm_time_s: paired.msg.robot_time_ms.get() as f64 * 1e-3,
            pose_age_ms,
            frame,
        })
    }

    /// A frame captured after `after` of the node's clock, ns, decoded; later by `exposure` where its
    /// stamp isn't the start of its exposure. `state` says what that clock shows.
    fn frame_after(&self, state: &TimedState, after: u64, exposure: u64) -> ArmResult<Frame> {
        let deadline = Instant::now() + self.frame_timeout;
        let first = self.picture_after(0, state, [after, exposure], deadline, |_| true)?;
        let captured_ns = first.captured_ns;
        let mut pictures = vec![first];
        for camera in 1..self.cameras.len() {
            // Of the same moment, or of the next picture's: cameras needn't run in step.
            let beside = |frame: &RawFrame| frame.captured_ns + APART_NS > captured_ns;
            let limits = [after, exposure];
            pictures.push(self.picture_after(camera, state, limits, deadline, beside)?);
        }
        Ok(Frame::side_by_side(pictures))
    }

    /// One camera's picture, decoded, that was captured late enough and that `wanted` accepts.
    fn picture_after(
        &self,
        camera: usize,
        state: &TimedState,
        [after, exposure]: [u64; 2],
        deadline: Instant,
        wanted: impl Fn(&RawFrame) -> bool,
    ) -> ArmResult<Frame> {
        let mut broken = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let newest = broken.unwrap_or(0);
            let raw = self.monitor.next_frame(camera, left, |frame| {
                let exposure = if frame.start_of_exposure { 0 } else { exposure };
                !from_the_future(frame)
                    && frame.captured_ns > after + exposure
                    && frame.captured_ns > newest
                    && wanted(frame)
            });
            let Some(raw) = raw else {
                return Err(self.no_frame(camera, state));
            };
            match Frame::decode(&raw.bytes) {
                Ok(frame) => return Ok(frame),
                Err(e) if Instant::now() < deadline => {
                    tracing::warn!("camera frame skipped: {e}");
                    broken = Some(raw.captured_ns);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Why no frame would do.
    fn no_frame(&self, camera: usize, settled: &TimedState) -> ArmError {
        let newest = self.monitor.frame(camera);
        let camera = self.cameras.get(camera).cloned().unwrap_or_default();
        let skew_ns = newest.as_ref().and_then(|frame| match frame.age_ns {
            Some(age_ns) if age_ns < -FUTURE_NS => Some(age_ns.unsigned_abs()),
            _ => {
                Some(frame.captured_ns.abs_diff(settled.node_ns())).filter(|ns| *ns > CLOCK_SKEW_NS)
            }
        });
        match skew_ns {
            Some(skew_ns) => ArmError::ClockSkew {
                camera,
                skew_s: skew_ns as f64 * 1e-9,
            },
            None => ArmError::StaleCamera {
                camera,
                waited_ms: self.frame_timeout.as_secs_f64() * 1e3,
            },
        }
    }

    /// The measured placement at `captured_ns`, interpolated, with the nearer state and how far
    /// it is, ms.
    fn at(&self, captured_ns: u64) -> ArmResult<(Isometry3<f64>, TimedState, f64)> {
        // The state after the frame is usually still on its way.
        self.monitor
            .next_state(captured_ns, Duration::from_millis(100));
        let (before, after) = self.monitor.around(captured_ns);
        let distance = |s: &TimedState| s.node_ns().abs_diff(captured_ns);
        let nearer = match (before, after) {
            (Some(b), Some(a)) if distance(&a) < distance(&b) => a,
            (Some(b), _) => b,
            (None, Some(a)) => a,
            (None, None) => return self.state().map(|s| (s.placement, s, f64::INFINITY)),
        };
        let placement = match (before, after) {
            (Some(b), Some(a)) if a.node_ns() > b.node_ns() => {
                let part = (captured_ns - b.node_ns()) as f64 / (a.node_ns() - b.node_ns()) as f64;
                b.placement.lerp_slerp(&a.placement, part)
            }
            _ => nearer.placement,
        };
        Ok((placement, nearer, distance(&nearer) as f64 * 1e-6))
    }
}

fn from_the_future(frame: &RawFrame) -> bool {
    frame.age_ns.is_some_and(|age_ns| age_ns < -FUTURE_NS)
}
