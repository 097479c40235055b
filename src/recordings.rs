//! `--mcap`: a run or a replay as a recording for viewers.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresight_scenarios::timeline::mcap::McapFile;
use foresight_scenarios::timeline::{Sink, TimelineError};

/// Recordings to write.
#[derive(Debug, Clone, Args)]
pub struct Recordings {
    /// Write a recording for Foxglove, Lichtblick and other viewers of MCAP: camera, goals, the
    /// arm's links, targets, sampled actions, energies, log, on one time line.
    #[arg(long, value_name = "FILE")]
    mcap: Option<PathBuf>,
}

impl Recordings {
    /// Has `tell` tell its story to the recording asked for.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, tell: impl Fn(&mut dyn Sink) -> Result<(), TimelineError>) -> Result<()> {
        if let Some(path) = &self.mcap {
            let mut file = McapFile::create(path)?;
            tell(&mut file)?;
            file.finish()?;
            eprintln!("recorded {}", path.display());
        }
        Ok(())
    }
}
