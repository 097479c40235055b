//! Frames after rest, and the pose of the instant they were captured.

use std::time::{Duration, Instant};

use nalgebra::Isometry3;

use super::ZenohArm;
use crate::arm::ArmError;
use crate::frame::Frame;
use crate::link::TimedState;

/// How much earlier than its stamp a frame without a start-of-exposure stamp may have begun, ns.
const EXPOSURE_NS: u64 = 60_000_000;
/// Frame and state clocks further apart than this are not the same clock, ns.
const CLOCK_SKEW_NS: u64 = 5_000_000_000;

impl ZenohArm {
    /// A frame captured after the settled state, decoded.
    pub(super) fn frame_after(&self, settled: &TimedState) -> Result<Frame, ArmError> {
        let timeout = Duration::from_secs_f64(self.config.frame_timeout_s.clamp(0.05, 60.0));
        let after = settled.node_ns();
        let deadline = Instant::now() + timeout;
        let mut broken = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let newest = broken.unwrap_or(0);
            let raw = self.monitor.next_frame(left, |frame| {
                let exposure = if frame.start_of_exposure {
                    0
                } else {
                    EXPOSURE_NS
                };
                frame.captured_ns > after + exposure && frame.captured_ns > newest
            });
            let Some(raw) = raw else {
                return Err(self.no_frame(settled, timeout));
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

    pub(super) fn no_frame(&self, settled: &TimedState, waited: Duration) -> ArmError {
        let camera = self.config.camera.clone();
        let skew = self
            .monitor
            .newest_frame_ns()
            .map(|ns| ns.abs_diff(settled.node_ns()));
        match skew {
            Some(skew_ns) if skew_ns > CLOCK_SKEW_NS => ArmError::ClockSkew {
                camera,
                skew_s: skew_ns as f64 * 1e-9,
            },
            _ => ArmError::StaleCamera {
                camera,
                waited_ms: waited.as_secs_f64() * 1e3,
            },
        }
    }

    /// The measured placement at `captured_ns`, interpolated, with the nearer state and how far
    /// it is, ms.
    pub(super) fn at(
        &self,
        captured_ns: u64,
    ) -> Result<(Isometry3<f64>, TimedState, f64), ArmError> {
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
