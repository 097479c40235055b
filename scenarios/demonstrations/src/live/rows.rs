//! From what arrived to an episode: a row for each picture of the first camera.

use foresight_datasets::{CommandedStep, LooseCamera, LooseEpisode, Metadata, Trajectory};
use foresight_kinematics::hand::{closedness, STROKE_M};
use foresight_planner::Pose;
use foresight_robot::capture::{CapturedGripper, CapturedState};
use nalgebra::Isometry3;
use serde::Serialize;

use super::spool::{Spool, SpooledFrame};
use super::LiveCamera;
use crate::error::RecordError;

/// Frames and states whose stamps are further apart are not of one clock, ns.
const SAME_CLOCK_NS: u64 = 5_000_000_000;

/// Intervals so many times the usual one have room for a state that never arrived.
const GAP: f64 = 1.8;

/// What an episode consists of and what it lacks.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LiveSummary {
    /// Rows: pictures of the first camera.
    pub rows: usize,
    /// From the first to the last, s.
    pub seconds: f64,
    /// Pictures that each camera took meanwhile and that never arrived.
    pub lost_frames: Vec<u64>,
    /// States that arrived meanwhile.
    pub states: usize,
    /// States that the node should have published meanwhile and that never arrived.
    pub lost_states: u64,
    /// Measurements a second behind those states. Far fewer than there are rows: the node measures
    /// seldom while no session is enabled.
    pub measured_hz: f64,
}

/// The episode, called `path`.
pub(super) fn episode(
    spool: &Spool,
    cameras: &[LiveCamera],
    path: String,
    metadata: Metadata,
) -> Result<(LooseEpisode, LiveSummary), RecordError> {
    let states = &spool.states;
    let (Some(first), Some(last)) = (states.first(), states.last()) else {
        return Err(RecordError::Plan(
            "no state of the arm arrived; is its node running, and is the arm's name right?".into(),
        ));
    };
    let covered = first.node_ns..=last.node_ns;
    let leading = &spool.cameras[0].frames;
    let rows: Vec<SpooledFrame> = leading
        .iter()
        .filter(|frame| covered.contains(&frame.captured_ns))
        .copied()
        .collect();
    if rows.len() < 2 {
        return Err(RecordError::Plan(too_few(&cameras[0].name, leading, first)));
    }
    let times: Vec<u64> = rows.iter().map(|frame| frame.captured_ns).collect();
    let moments: Vec<Moment> = times.iter().map(|ns| moment(spool, *ns)).collect();
    let poses: Vec<Pose> = moments.iter().map(|m| m.measured).collect();
    let commanded: Vec<Pose> = moments.iter().map(|m| m.commanded).collect();
    let steps = poses.iter().zip(&commanded).take(poses.len() - 1);
    let seconds = |ns: &u64| *ns as f64 * 1e-9;
    let trajectory = Trajectory {
        time_s: times.iter().map(seconds).collect(),
        joints_rad: moments.iter().map(|m| m.joints_rad).collect(),
        commands: steps
            .map(|(pose, target)| CommandedStep {
                requested: pose.action_to(target),
                target: *target,
            })
            .collect(),
        states: poses,
        simulator: None,
    };

    let mut filmed = Vec::new();
    let mut lost_frames = Vec::new();
    for (camera, spooled) in cameras.iter().zip(&spool.cameras) {
        let shown: Vec<SpooledFrame> = times
            .iter()
            .filter_map(|ns| nearest(&spooled.frames, *ns))
            .collect();
        if shown.len() != rows.len() {
            return Err(RecordError::Plan(format!(
                "no picture of camera {} arrived; is franka-cam running, and is its name right?",
                camera.name
            )));
        }
        lost_frames.push(lost(&spooled.frames, times[0], times[times.len() - 1]));
        let captured_s = shown
            .iter()
            .map(|frame| seconds(&frame.captured_ns))
            .collect();
        let pictures = spooled.pictures(shown)?;
        let size = pictures(0)?.dimensions();
        filmed.push(LooseCamera {
            name: camera.name.clone(),
            role: camera.role.clone(),
            size,
            extrinsics: camera.extrinsics.map(|pose| vec![pose; rows.len()]),
            captured_s,
            pictures,
        });
    }
    let span_s = seconds(&(times[times.len() - 1] - times[0]));
    let mut clocks: Vec<u64> = states.iter().map(|s| s.robot_time_ms).collect();
    clocks.dedup();
    let summary = LiveSummary {
        rows: rows.len(),
        seconds: span_s,
        lost_frames,
        states: states.len(),
        lost_states: lost_states(states),
        measured_hz: clocks.len() as f64 / seconds(&(last.node_ns - first.node_ns)).max(1e-9),
    };
    let episode = LooseEpisode {
        path,
        trajectory,
        commanded,
        metadata,
        step_rate_hz: None,
        cameras: filmed,
    };
    Ok((episode, summary))
}

fn too_few(camera: &str, frames: &[SpooledFrame], state: &CapturedState) -> String {
    match frames.last() {
        None => format!(
            "no picture of camera {camera} arrived; is franka-cam running, and is its name right?"
        ),
        Some(frame) if frame.captured_ns.abs_diff(state.node_ns) > SAME_CLOCK_NS => format!(
            "camera {camera} stamps its pictures {:.1} s away from the arm's states: run franka-cam \
             on the arm node's host, so that both use one clock",
            frame.captured_ns.abs_diff(state.node_ns) as f64 * 1e-9
        ),
        Some(_) => format!(
            "only {} pictures of camera {camera} were taken; an action needs at least two",
            frames.len()
        ),
    }
}

/// What was measured and commanded at an instant.
struct Moment {
    measured: Pose,
    commanded: Pose,
    joints_rad: [f64; 7],
}

/// At a time between the first and the last state, by the node's clock.
fn moment(spool: &Spool, ns: u64) -> Moment {
    let states = &spool.states;
    let after = states
        .partition_point(|s| s.node_ns < ns)
        .min(states.len() - 1);
    let (before, after) = (&states[after.saturating_sub(1)], &states[after]);
    let part = match after.node_ns - before.node_ns {
        0 => 0.0,
        all => ns.saturating_sub(before.node_ns) as f64 / all as f64,
    };
    let placement: Isometry3<f64> = before.placement.lerp_slerp(&after.placement, part.min(1.0));
    let gripper = gripper(&spool.grippers, ns);
    // Nothing told where to go: it is where it should be.
    let target = after.target.unwrap_or(placement);
    Moment {
        measured: Pose::from_isometry(&placement, closedness(gripper.width_m)),
        commanded: Pose::from_isometry(&target, closedness(gripper.commanded_m)),
        joints_rad: std::array::from_fn(|i| {
            before.joints_rad[i] + part * (after.joints_rad[i] - before.joints_rad[i])
        }),
    }
}

/// The gripper's newest reading, or its first; open where there is none.
fn gripper(all: &[CapturedGripper], ns: u64) -> CapturedGripper {
    let before = all.partition_point(|g| g.node_ns <= ns);
    let open = CapturedGripper {
        node_ns: ns,
        width_m: STROKE_M,
        commanded_m: STROKE_M,
    };
    all.get(before.saturating_sub(1)).copied().unwrap_or(open)
}

fn nearest(frames: &[SpooledFrame], ns: u64) -> Option<SpooledFrame> {
    let after = frames.partition_point(|f| f.captured_ns < ns);
    let both = [after.checked_sub(1), Some(after)].into_iter().flatten();
    let both = both.filter_map(|i| frames.get(i));
    both.min_by_key(|f| f.captured_ns.abs_diff(ns)).copied()
}

/// Gaps in the driver's count between two times.
fn lost(frames: &[SpooledFrame], from_ns: u64, to_ns: u64) -> u64 {
    let inside = frames
        .iter()
        .filter(|f| (from_ns..=to_ns).contains(&f.captured_ns));
    let sequences: Vec<u32> = inside.map(|f| f.sequence).collect();
    let gaps = sequences
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]));
    gaps.map(|gap| u64::from(gap.saturating_sub(1))).sum()
}

/// How many states gaps of nearly twice the usual interval and more would have had room for.
fn lost_states(states: &[CapturedState]) -> u64 {
    let pairs = states.windows(2);
    let gaps: Vec<u64> = pairs
        .map(|pair| pair[1].node_ns - pair[0].node_ns)
        .collect();
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0).max(1) as f64;
    let ratios = gaps.iter().map(|gap| *gap as f64 / usual);
    let long = ratios.filter(|ratio| *ratio > GAP);
    long.map(|ratio| ratio.round() as u64 - 1).sum()
}
