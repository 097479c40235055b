//! A run or a replay on one time line, for viewers: what the camera saw, where the arm and the
//! object were, what was weighed up and decided.
//!
//! [`tell::run`] and [`tell::replay`] tell it to a [`Sink`]: an MCAP file with
//! Foxglove's schemas ([`mcap`]).
//!
//! Time is the run's own: looking, planning and moving one after the other, whatever clock each
//! was taken by, so that a search can be watched although the arm stands still meanwhile.

mod arm;
mod container;
pub mod foxglove;
pub mod mcap;
pub mod tell;

use std::path::{Path, PathBuf};

use foresight_sim::parts::Part;
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
}

impl TimelineError {
    fn write(path: &Path, reason: impl ToString) -> Self {
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
pub trait Sink {
    /// Moves on to `time_s` from the beginning, during step `step`.
    fn at(&mut self, time_s: f64, step: u32);

    /// The shape of a rigid part; where it is comes by [`Sink::placed`] under the same name.
    ///
    /// # Errors
    /// [`TimelineError::Write`], here and below, when the file can't be written.
    fn part(&mut self, part: &Part) -> Result<(), TimelineError>;

    /// Where something is, in the base frame.
    ///
    /// # Errors
    /// See [`Sink::part`].
    fn placed(&mut self, name: &str, pose: &Isometry3<f64>) -> Result<(), TimelineError>;

    /// A picture, as a PNG file.
    ///
    /// # Errors
    /// See [`Sink::part`].
    fn picture(&mut self, name: &str, png: Vec<u8>) -> Result<(), TimelineError>;

    /// Points in space, in place of those of the same name before.
    ///
    /// # Errors
    /// See [`Sink::part`].
    fn dots(&mut self, name: &str, dots: &[Dot]) -> Result<(), TimelineError>;

    /// A way through space, in place of that of the same name before.
    ///
    /// # Errors
    /// See [`Sink::part`].
    fn way(&mut self, name: &str, points_m: &[[f64; 3]]) -> Result<(), TimelineError>;

    /// Numbers to plot.
    ///
    /// # Errors
    /// See [`Sink::part`].
    fn numbers(&mut self, name: &str, numbers: Numbers<'_>) -> Result<(), TimelineError>;

    /// A line of the log; `warning` for what went otherwise than asked.
    ///
    /// # Errors
    /// See [`Sink::part`].
    fn say(&mut self, warning: bool, text: &str) -> Result<(), TimelineError>;
}

/// Green for the best to red for the worst.
fn rank_colour(rank: f64) -> [f64; 3] {
    let worse = rank.clamp(0.0, 1.0);
    [0.15 + 0.75 * worse, 0.75 - 0.55 * worse, 0.2]
}
