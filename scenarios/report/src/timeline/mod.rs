//! A run or a replay on one time line, for viewers: what the camera saw, where the arm and the
//! object were, what was weighed up and decided.
//!
//! [`exporter::run`] and [`exporter::replay`] tell it to a [`Sink`]: an MCAP file with
//! Foxglove's schemas ([`mcap`]), or Rerun (`rerun`, with the feature of that name). What is told
//! is said once, in [`exporter`]; a sink only knows how its format says it.
//!
//! Time is the run's own: looking, planning and moving one after the other, whatever clock each
//! was taken by, so that a search can be watched although the arm stands still meanwhile.

mod arm;
pub mod exporter;
mod foxglove;
pub mod mcap;
#[cfg(feature = "rerun")]
mod rerun;
mod sink;

use std::path::Path;

pub use sink::{Dot, Numbers, Sink, TimelineError};

/// Whether this program was built with the feature `rerun`.
pub const HAS_RERUN: bool = cfg!(feature = "rerun");

/// Begins a recording for Rerun (`.rrd`) in the file `path`.
///
/// # Errors
/// [`TimelineError::Write`] when it can't be written; [`TimelineError::WithoutRerun`].
pub fn rerun_file(path: &Path) -> Result<Box<dyn Sink>, TimelineError> {
    #[cfg(feature = "rerun")]
    return Ok(Box::new(rerun::RerunSink::create(path)?));
    #[cfg(not(feature = "rerun"))]
    {
        let _ = path;
        Err(TimelineError::WithoutRerun)
    }
}

/// Begins to send to the Rerun viewer at `url`, such as `rerun+http://127.0.0.1:9876/proxy`.
///
/// # Errors
/// [`TimelineError::Viewer`] when there is none; [`TimelineError::WithoutRerun`].
pub fn rerun_viewer(url: &str) -> Result<Box<dyn Sink>, TimelineError> {
    #[cfg(feature = "rerun")]
    return Ok(Box::new(rerun::RerunSink::connect(url)?));
    #[cfg(not(feature = "rerun"))]
    {
        let _ = url;
        Err(TimelineError::WithoutRerun)
    }
}
