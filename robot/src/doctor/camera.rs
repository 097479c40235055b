//! The camera: frames at all, their rate, age, clock and format.

use std::time::{Duration, Instant};

use super::Check;
use crate::frame::Frame;
use crate::link::{RawFrame, TimedState};
use crate::viewer::Viewer;
use crate::zenoh_arm::ZenohArmConfig;

/// A frame older than this when it arrives is planned on late, ns.
const SLOW_NS: i64 = 250_000_000;
/// Stamps this far ahead of the node's clock are another clock's, ns.
const FUTURE_NS: i64 = 50_000_000;
/// Stamps this far behind are, too, ns.
const PAST_NS: i64 = 5_000_000_000;

pub(super) fn checks(
    viewer: &Viewer,
    state: &TimedState,
    config: &ZenohArmConfig,
    watched: Duration,
) -> Vec<Check> {
    let before = viewer.monitor().frame_counts();
    let started = Instant::now();
    std::thread::sleep(watched);
    let seconds = started.elapsed().as_secs_f64();
    let counts = viewer.monitor().frame_counts();
    let cameras = config.cameras();
    let mut checks = Vec::new();
    let seen = cameras.iter().zip(counts.iter().zip(&before));
    for (number, (camera, (now, before))) in seen.enumerate() {
        let newest = viewer.monitor().frame(number).filter(|_| now > before);
        let rate_hz = (now - before) as f64 / seconds;
        let of_this = of_one(newest, rate_hz, state, camera);
        if cameras.len() == 1 {
            checks.extend(of_this);
        } else {
            checks.extend(of_this.into_iter().map(|check| check.about(camera)));
        }
    }
    checks
}

/// The checks of one camera.
fn of_one(newest: Option<RawFrame>, rate_hz: f64, state: &TimedState, camera: &str) -> Vec<Check> {
    let Some(frame) = newest else {
        return vec![Check::fail(
            "camera",
            format!("no frames on franka/cam/{camera}/frame"),
            "start franka-cam; compare its [[camera]] name with robot.franka.camera, and name its endpoint in robot.franka.link.connect too",
        )];
    };
    let mut checks = vec![match Frame::decode(&frame.bytes) {
        Ok(picture) => {
            let (width, height) = picture.image.dimensions();
            let found = format!("{rate_hz:.1} Hz, {width}×{height}");
            if rate_hz < 2.0 {
                let remedy = "each action waits for a frame; raise fps";
                Check::warn("camera", found, remedy)
            } else {
                Check::pass("camera", found)
            }
        }
        Err(error) => Check::fail(
            "camera",
            format!("{rate_hz:.1} Hz, but {error}"),
            "set format = \"mjpeg\" in franka-cam's configuration",
        ),
    }];
    let age_ns = frame
        .age_ns
        .unwrap_or_else(|| (state.node_ns() as i64).saturating_sub_unsigned(frame.captured_ns));
    let found = format!("frames are {:.0} ms old on arrival", age_ns as f64 * 1e-6);
    let one_clock =
        "run franka-cam on the arm node's host, so that frames and states share a clock";
    checks.push(if !(-FUTURE_NS..=PAST_NS).contains(&age_ns) {
        let found = format!(
            "frames are stamped {:.2} s {} the node's clock",
            age_ns.unsigned_abs() as f64 * 1e-9,
            if age_ns < 0 { "ahead of" } else { "behind" }
        );
        Check::fail("clock skew", found, one_clock)
    } else if !frame.driver_stamp {
        Check::warn(
            "clock skew",
            format!("{found}, stamped by the node, not the driver"),
            "frames are taken for 60 ms older than they are; use a driver with monotonic stamps",
        )
    } else if age_ns > SLOW_NS {
        Check::warn(
            "clock skew",
            found,
            "look for a slow network or a busy camera host",
        )
    } else {
        Check::pass("clock skew", found)
    });
    checks
}
