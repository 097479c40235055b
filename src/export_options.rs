//! `--mcap`, `--rerun`: a run or a replay as a recording for viewers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{bail, Result};
use clap::Args;
use foresight_report::timeline::mcap::McapFile;
use foresight_report::timeline::{self, Sink, TimelineError};
use foresight_scenarios::EpisodeSpec;

use crate::stream::Stream;

/// Where a viewer listens unless it was told otherwise.
const VIEWER: &str = "rerun+http://127.0.0.1:9876/proxy";
/// What an MCAP recording begins with.
const MCAP: &[u8] = b"\x89MCAP";

/// Recordings for viewers to write or show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportOptions {
    /// Write a recording for Foxglove, Lichtblick and other viewers of MCAP: camera, goals, the
    /// arm's links, targets, sampled actions, energies, log, on one time line.
    #[arg(long, value_name = "FILE")]
    mcap: Option<PathBuf>,
    /// Write the same for Rerun (.rrd). Needs a program built with `--features rerun`.
    #[arg(long, value_name = "FILE")]
    rerun: Option<PathBuf>,
    /// Show the same in a Rerun viewer that is open (`rerun`), while it happens; needs the same
    /// feature.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = VIEWER)]
    rerun_connect: Option<String>,
}

impl ExportOptions {
    /// Makes sure, before anything is played, that what is asked for can be had.
    ///
    /// # Errors
    /// When this program was built without Rerun, a file's folder isn't there, or something else
    /// would be overwritten.
    pub(crate) fn check(&self) -> Result<()> {
        if (self.rerun.is_some() || self.rerun_connect.is_some()) && !timeline::HAS_RERUN {
            return Err(TimelineError::WithoutRerun.into());
        }
        for (option, file) in [("--mcap", &self.mcap), ("--rerun", &self.rerun)] {
            let folder = file.as_deref().and_then(Path::parent);
            if let Some(folder) = folder.filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
                bail!("{option}: there is no folder {}; make it", folder.display());
            }
            if let Some(folder) = file.as_deref().filter(|f| f.is_dir()) {
                bail!(
                    "{option}: {} is a folder; name a file in it",
                    folder.display()
                );
            }
        }
        let mut head = Vec::new();
        let there = self.mcap.as_deref().filter(|file| file.is_file());
        if let Some(file) = there.and_then(|file| File::open(file).ok()) {
            file.take(MCAP.len() as u64).read_to_end(&mut head)?;
        }
        if !head.is_empty() && head != MCAP {
            bail!("--mcap: the file is there and no MCAP recording; give another name");
        }
        Ok(())
    }

    /// The viewer that is to follow a run, if one is asked for.
    ///
    /// # Errors
    /// When there is none, or the scenario's goal images can't be read.
    pub(crate) fn stream(&self, instance: &EpisodeSpec) -> Result<Option<Stream>> {
        let Some(url) = &self.rerun_connect else {
            return Ok(None);
        };
        Stream::new(instance, timeline::rerun_viewer(url)?).map(Some)
    }

    /// Has `tell` tell its story to the files asked for.
    ///
    /// # Errors
    /// When one can't be written.
    pub(crate) fn write(
        &self,
        tell: impl Fn(&mut dyn Sink) -> Result<(), TimelineError>,
    ) -> Result<()> {
        let mut files: Vec<(&Path, Box<dyn Sink>)> = Vec::new();
        if let Some(path) = &self.mcap {
            files.push((path, Box::new(McapFile::create(path)?)));
        }
        if let Some(path) = &self.rerun {
            files.push((path, timeline::rerun_file(path)?));
        }
        for (path, mut file) in files {
            tell(file.as_mut())?;
            file.finish()?;
            eprintln!("recorded {}", path.display());
        }
        Ok(())
    }

    /// Has `tell` tell its story to the viewer asked for.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn show(
        &self,
        tell: impl Fn(&mut dyn Sink) -> Result<(), TimelineError>,
    ) -> Result<()> {
        if let Some(url) = &self.rerun_connect {
            let mut viewer = timeline::rerun_viewer(url)?;
            tell(viewer.as_mut())?;
            viewer.finish()?;
            eprintln!("shown at {url}");
        }
        Ok(())
    }
}
