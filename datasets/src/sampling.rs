//! Which frames make up a clip.
//!
//! By default frames are chosen by the time they were taken: the clip's k-th frame is the one
//! nearest to `start + k / fps`. The official loader counts frame numbers at the rate the video
//! file claims instead; where that rate is wrong (DROID's files say 60 fps and were taken at
//! 15 Hz) its clips last four times as long as configured. `legacy` does the same, for training
//! that must match the released recipe.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::convert::SAME_RATE;

/// How a clip's frames are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// By true timestamps.
    #[default]
    RealTime,
    /// By frame numbers at the video file's own rate, as `app/vjepa_droid/droid.py` does.
    Legacy,
    /// One after the other, whatever their times: for recordings whose every state is the end of
    /// a step.
    Consecutive,
}

/// The shape of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipShape {
    /// Frames of a clip, `T`.
    pub frames: usize,
    /// Frames a second of real time.
    pub fps: f64,
    /// Frames a state: states are those of every `tubelet`-th frame. 1 where every frame is a
    /// step of its own, as in the official action-conditioned training.
    pub tubelet: usize,
    /// How frames are chosen.
    pub sampling: Sampling,
    /// `[least, most]` steps from one frame of the clip to the next: a length is drawn for every jump,
    /// and a jump ends early where the gripper begins or ceases to move. `[1, 1]`: one after the
    /// other.
    pub jump_steps: [usize; 2],
}

impl Default for ClipShape {
    /// The official recipe's: 8 frames, 4 a second; by real time.
    fn default() -> Self {
        ClipShape {
            frames: 8,
            fps: 4.0,
            tubelet: 1,
            sampling: Sampling::RealTime,
            jump_steps: [1, 1],
        }
    }
}

impl ClipShape {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Which is impossible, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        if self.tubelet == 0 || !self.frames.is_multiple_of(self.tubelet.max(1)) {
            return Err(format!(
                "tubelet = {} must be at least 1 and divide frames = {}",
                self.tubelet, self.frames
            ));
        }
        if self.frames == 0 {
            return Err("a clip has at least 1 frame".to_owned());
        }
        if !(self.fps.is_finite() && self.fps > 0.0) {
            return Err(format!("fps = {} must be a number above 0", self.fps));
        }
        let [least, most] = self.jump_steps;
        if least == 0 || least > most {
            return Err(format!(
                "jump_steps = [{least}, {most}] must be [least, most], both at least 1"
            ));
        }
        if self.jumps() && (self.sampling == Sampling::Legacy || self.tubelet != 1) {
            return Err(format!(
                "jump_steps = [{least}, {most}] needs sampling = \"real_time\" or \"consecutive\", \
                 and tubelet = 1"
            ));
        }
        Ok(())
    }

    /// Whether its frames may lie more than one step apart.
    pub fn jumps(&self) -> bool {
        self.jump_steps != [1, 1]
    }
}

/// Frame numbers of the clip that starts at frame `start`, by time; `None` when the recording
/// ends before, pauses inside, or is slower than the clip's rate.
///
/// `time_s` are the frames' times, increasing; `tolerance_s` is how far a frame may be from the
/// time it stands for.
pub(crate) fn by_time(
    time_s: &[f64],
    start: usize,
    shape: &ClipShape,
    tolerance_s: f64,
) -> Option<Vec<usize>> {
    let numbers = steps_by_time(time_s, start, shape, tolerance_s, shape.frames);
    (numbers.len() == shape.frames).then_some(numbers)
}

/// Frame numbers one step apart from frame `start` on, by time: at most `most`, fewer where the
/// recording ends before, pauses, or is slower than the clip's rate.
pub(crate) fn steps_by_time(
    time_s: &[f64],
    start: usize,
    shape: &ClipShape,
    tolerance_s: f64,
    most: usize,
) -> Vec<usize> {
    let Some(begin) = time_s.get(start) else {
        return Vec::new();
    };
    let mut numbers = vec![start];
    for k in 1..most {
        match nearest(time_s, begin + k as f64 / shape.fps, tolerance_s) {
            Some(number) if Some(&number) > numbers.last() => numbers.push(number),
            _ => break,
        }
    }
    numbers
}

/// Frames of a whole recording at `fps` a second, by time; counted anew behind a pause, and where
/// its jitter gives two ticks one frame. Only the first where it is slower.
pub(crate) fn evenly(time_s: &[f64], fps: f64) -> Vec<usize> {
    let tolerance = tolerance_s(time_s);
    let Some(mut begin) = time_s.first().copied() else {
        return Vec::new();
    };
    let mut numbers: Vec<usize> = vec![0];
    if rate_hz(time_s) < (1.0 - SAME_RATE) * fps {
        return numbers;
    }
    let (mut last, mut k) = (0, 0.0);
    loop {
        k += 1.0;
        let wanted = begin + k / fps;
        match nearest(time_s, wanted, tolerance) {
            Some(number) if number > last => last = number,
            _ => {
                last = time_s.partition_point(|t| *t < wanted).max(last + 1);
                let Some(next) = time_s.get(last) else {
                    return numbers;
                };
                (begin, k) = (*next, 0.0);
            }
        }
        numbers.push(last);
    }
}

/// The frame nearest to a time, if one is near enough.
fn nearest(time_s: &[f64], wanted: f64, tolerance_s: f64) -> Option<usize> {
    let after = time_s.partition_point(|t| *t < wanted);
    let (number, error) = [after.checked_sub(1), Some(after)]
        .into_iter()
        .flatten()
        .filter_map(|i| Some((i, (time_s.get(i)? - wanted).abs())))
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    (error <= tolerance_s).then_some(number)
}

/// Every frame a clip can start at, by time.
pub(crate) fn starts_by_time(time_s: &[f64], shape: &ClipShape) -> Vec<usize> {
    let tolerance = tolerance_s(time_s);
    (0..time_s.len())
        .filter(|start| by_time(time_s, *start, shape, tolerance).is_some())
        .collect()
}

/// How far a frame may be from the time it stands for: in an even recording the nearest is half
/// an interval away at most; times jitter, pauses are longer.
pub(crate) fn tolerance_s(time_s: &[f64]) -> f64 {
    0.75 * usual_interval_s(time_s)
}

/// Intervals so many times the usual one are pauses.
const PAUSE: f64 = 3.5;
/// What no recording's states are apart, s: faster than any arm's bus, slower than any use.
const PLAUSIBLE_S: [f64; 2] = [2e-4, 2.5];

/// The median interval, s; 0 where there is none.
fn usual_interval_s(time_s: &[f64]) -> f64 {
    let mut intervals: Vec<f64> = time_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
    intervals.sort_by(f64::total_cmp);
    intervals.get(intervals.len() / 2).copied().unwrap_or(0.0)
}

/// States a second, measured where the recording didn't pause; 0 without times.
pub(crate) fn rate_hz(time_s: &[f64]) -> f64 {
    let longest = PAUSE * usual_interval_s(time_s);
    let intervals = time_s.windows(2).map(|pair| pair[1] - pair[0]);
    let (mut count, mut sum) = (0.0, 0.0);
    for interval in intervals.filter(|interval| *interval <= longest) {
        count += 1.0;
        sum += interval;
    }
    if sum > 0.0 {
        count / sum
    } else {
        0.0
    }
}

/// Checks a recording's times; `usual`: that they are as far apart as states are recorded.
///
/// # Errors
/// That they don't increase, or are probably in another unit, and which.
pub(crate) fn check_times(time_s: &[f64], usual: bool) -> Result<(), String> {
    if let Some(at) = time_s.windows(2).position(|pair| pair[1] <= pair[0]) {
        return Err(format!(
            "its times do not increase from state {at} to state {}",
            at + 1
        ));
    }
    let interval = usual_interval_s(time_s);
    let [least, most] = PLAUSIBLE_S;
    if !usual || interval == 0.0 || (least..=most).contains(&interval) {
        return Ok(());
    }
    // The unit that makes a rate between 2 and 500 Hz of it.
    let shift = [1e3, 1e6, 1e9, 1e-3, 1e-6, 1e-9]
        .into_iter()
        .find(|shift| (0.002..0.5).contains(&(interval / shift)));
    Err(format!(
        "its states are {interval:.3e} s apart ({:.3e} Hz), which can't be: its times are probably \
         in another unit{}",
        1.0 / interval,
        match shift {
            Some(shift) if shift > 1.0 => format!(
                " ({}); divide them by {shift:.0} for {:.1} Hz",
                match shift {
                    1e3 => "milliseconds for seconds, or microseconds for milliseconds",
                    1e6 => "nanoseconds for milliseconds, or microseconds for seconds",
                    _ => "nanoseconds for seconds",
                },
                shift / interval
            ),
            Some(shift) => format!(
                " (seconds for milliseconds, or the like); multiply them by {:.0} for {:.1} Hz",
                1.0 / shift,
                shift / interval
            ),
            None => String::new(),
        }
    ))
}

/// Frames from one of a clip to the next, by the video file's rate:
/// `ceil(video_fps / fps)`.
pub(crate) fn legacy_step(video_fps: f64, shape: &ClipShape) -> usize {
    ((video_fps / shape.fps).ceil() as usize).max(1)
}

/// Every frame a clip can start at in a video of `frames` frames, by frame numbers. The official
/// loader draws the end from `randint(n, frames)`, so a video of exactly one clip's length has
/// none.
pub(crate) fn legacy_starts(frames: usize, video_fps: f64, shape: &ClipShape) -> Range<usize> {
    let span = shape.frames.saturating_mul(legacy_step(video_fps, shape));
    0..frames.saturating_sub(span)
}

/// Every frame a clip of consecutive ones can start at in a recording of `frames`.
pub(crate) fn consecutive_starts(frames: usize, shape: &ClipShape) -> Range<usize> {
    0..(frames + 1).saturating_sub(shape.frames)
}

/// Frame numbers of the clip that starts at frame `start`, by frame numbers.
pub(crate) fn legacy(start: usize, video_fps: f64, shape: &ClipShape) -> Vec<usize> {
    let step = legacy_step(video_fps, shape);
    (0..shape.frames).map(|k| start + k * step).collect()
}

#[cfg(test)]
#[path = "../tests/unit/sampling.rs"]
mod tests;
