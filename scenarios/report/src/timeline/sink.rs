//! What a time line is written to, whatever the format.

use std::path::{Path, PathBuf};

use foresight_sim::parts::VisualMesh;
use nalgebra::Isometry3;

/// Why a time line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    /// The run folder can't be used.
    #[error("{0}")]
    Run(String),
    /// The file can't be written.
    #[error("can't write {}: {reason}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Built without Rerun.
    #[error("this program was built without Rerun; build it with `cargo build --release --features rerun` (Rust 1.92 or newer)")]
    WithoutRerun,
    /// The viewer can't be told.
    #[error("can't send to the Rerun viewer at {url}: {reason}; start one with `rerun`, and give an address such as rerun+http://127.0.0.1:9876/proxy")]
    Viewer {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
}

impl TimelineError {
    pub(super) fn write(path: &Path, reason: impl ToString) -> Self {
        TimelineError::Write {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// One of several points in space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// Where, base frame, m.
    pub at_m: [f64; 3],
    /// How good it is among those beside it: 0 the best, 1 the worst.
    pub rank: f64,
}

/// Named numbers of one moment.
pub type Numbers<'a> = &'a [(&'static str, f64)];

/// Where a course of events is written to, in order of time.
///
/// # Errors
/// Every method: [`TimelineError::Write`] when the file can't be written, [`TimelineError::Viewer`] when
/// the viewer is gone.
pub trait Sink: Send {
    /// Moves on to `time_s` from the beginning, during step `step`.
    fn at(&mut self, time_s: f64, step: u32);

    /// The shape of a rigid part; where it is comes by [`Sink::placed`] under the same name.
    fn part(&mut self, part: &VisualMesh) -> Result<(), TimelineError>;

    /// Where something is, in the base frame.
    fn placed(&mut self, name: &str, pose: &Isometry3<f64>) -> Result<(), TimelineError>;

    /// A picture, as a PNG file.
    fn picture(&mut self, name: &str, png: Vec<u8>) -> Result<(), TimelineError>;

    /// Points in space, in place of those of the same name before.
    fn dots(&mut self, name: &str, dots: &[Dot]) -> Result<(), TimelineError>;

    /// A way through space, in place of that of the same name before.
    fn way(&mut self, name: &str, points_m: &[[f64; 3]]) -> Result<(), TimelineError>;

    /// Numbers to plot.
    fn numbers(&mut self, name: &str, numbers: Numbers<'_>) -> Result<(), TimelineError>;

    /// A line of the log; `warning` for what went otherwise than asked.
    fn say(&mut self, warning: bool, text: &str) -> Result<(), TimelineError>;

    /// Writes the end; without it a recording is not complete.
    fn finish(self: Box<Self>) -> Result<(), TimelineError>;
}

/// The colour a screen is given for a linear one (sRGB, IEC 61966-2-1).
pub(super) fn screen_colour(linear: &[f32; 3]) -> [f32; 3] {
    linear.map(|v| {
        if v <= 0.003_130_8 {
            12.92 * v
        } else {
            1.055 * v.powf(1.0 / 2.4) - 0.055
        }
    })
}

/// Green for the best to red for the worst.
pub(super) fn rank_colour(rank: f64) -> [f64; 3] {
    let worse = rank.clamp(0.0, 1.0);
    [0.15 + 0.75 * worse, 0.75 - 0.55 * worse, 0.2]
}
