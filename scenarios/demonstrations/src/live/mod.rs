//! Recordings of a real arm, or of anything that publishes what franka-node and franka-cam do,
//! whoever drives it.
//!
//! Nothing is passed over while an episode runs: pictures go to disk as they come, states stay in
//! memory, and only when the episode has ended are they put together and encoded. Rows are the
//! pictures of the first camera, each with the pose measured at its capture, interpolated between
//! two states, with the target the node followed then, and with every other camera's nearest
//! picture; each camera's own capture times are kept. An episode is in the dataset whole or not at all.

mod rows;
mod spool;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use foresight_datasets::convert::{
    append_to_droid, append_to_lerobot, check_appendable, ConvertOptions,
};
use foresight_datasets::video::VideoCodec;
use foresight_datasets::view::Role;
use foresight_datasets::{layout, LooseEpisodes, Metadata};
use foresight_robot::capture::{Capture, Captured};
use foresight_robot::{ArmError, LinkConfig};

use crate::error::RecordError;
pub use rows::LiveSummary;
use spool::Spool;

/// How long after its end an episode's last messages may be on their way.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// A camera that is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveCamera {
    /// Its name in `franka/cam/<name>/frame`.
    pub name: String,
    /// `left`, `right` or `wrist`; any number of others are known by their names.
    pub role: Option<Role>,
    /// Where it stands: x y z m, extrinsic xyz Euler rad, base frame.
    pub extrinsics: Option<[f64; 6]>,
}

/// What recordings become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveFormat {
    /// A LeRobot v3 dataset, to which every episode is added.
    LeRobot,
    /// DROID's raw layout, a folder for every episode.
    Droid,
}

/// What is recorded, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePlan {
    /// How to reach the node and the cameras.
    pub link: LinkConfig,
    /// The arm's name in `franka/<arm>/…`.
    pub arm: String,
    /// Cameras, the one whose pictures are the rows first.
    pub cameras: Vec<LiveCamera>,
    /// The dataset's folder.
    pub out: PathBuf,
    /// Its format.
    pub format: LiveFormat,
    /// Frames a second of a LeRobot dataset; as they come in the first episode when absent.
    pub fps: Option<u32>,
    /// How videos are compressed.
    pub codec: VideoCodec,
    /// DROID's top folder.
    pub lab: String,
}

/// What an episode is called and what it was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LiveLabel {
    /// Its name; one that is taken gets a number behind it.
    pub name: String,
    /// Day of recording, `YYYY-MM-DD`.
    pub date: String,
    /// What was attempted.
    pub task: String,
    /// Whether it was achieved; `None` where nobody says.
    pub success: Option<bool>,
}

/// Records one episode after the other.
pub struct LiveRecorder {
    plan: LivePlan,
    capture: Capture,
    running: Option<(Spool, Instant)>,
}

impl LiveRecorder {
    /// Connects; nothing is recorded yet. Recordings that were killed leave nothing behind.
    ///
    /// # Errors
    /// [`RecordError::Plan`] without a camera; [`RecordError::Arm`] when the link can't be opened.
    pub fn connect(plan: LivePlan) -> Result<Self, RecordError> {
        if plan.cameras.is_empty() {
            return Err(RecordError::Plan("name a camera to record".into()));
        }
        if plan.format == LiveFormat::LeRobot {
            check_appendable(&plan.out)?;
        }
        let names: Vec<String> = plan.cameras.iter().map(|c| c.name.clone()).collect();
        let capture = Capture::connect(&plan.link, &plan.arm, &names)?;
        let _ = std::fs::remove_dir_all(spool_folder(&plan.out));
        Ok(LiveRecorder {
            plan,
            capture,
            running: None,
        })
    }

    /// Waits until the arm and every camera are heard of.
    ///
    /// # Errors
    /// Naming which of them is silent.
    pub fn wait_for_all(&self, timeout: Duration) -> Result<(), RecordError> {
        let deadline = Instant::now() + timeout;
        let mut heard = vec![false; self.plan.cameras.len() + 1];
        self.capture.begin();
        while heard.contains(&false) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.capture.received().recv_timeout(left) {
                Ok(Captured::State(_)) => heard[0] = true,
                Ok(Captured::Frame(frame)) => heard[frame.camera + 1] = true,
                Ok(Captured::Gripper(_)) => {}
                Err(_) => break,
            }
        }
        self.capture.end();
        let waited = timeout.as_secs_f64() * 1e3;
        match heard.iter().position(|heard| !heard) {
            None => Ok(()),
            Some(0) => Err(RecordError::Arm(ArmError::StaleState {
                arm: self.plan.arm.clone(),
                age_ms: waited,
            })),
            Some(number) => Err(RecordError::Plan(format!(
                "no picture of camera {} within {waited:.0} ms; is franka-cam running, and is the \
                 camera's name right?",
                self.plan.cameras[number - 1].name
            ))),
        }
    }

    /// Begins an episode; one that runs is forgotten.
    ///
    /// # Errors
    /// [`RecordError::Dataset`] when the disk refuses.
    pub fn start(&mut self) -> Result<(), RecordError> {
        self.discard();
        let folder = spool_folder(&self.plan.out);
        let spool = Spool::create(&folder, self.plan.cameras.len())?;
        self.capture.begin();
        self.running = Some((spool, Instant::now()));
        Ok(())
    }

    /// Since when an episode runs.
    pub fn running(&self) -> Option<Instant> {
        self.running.as_ref().map(|(_, since)| *since)
    }

    /// Keeps what has arrived, and waits for more until `deadline`.
    ///
    /// # Errors
    /// [`RecordError::Dataset`] when the disk refuses; the episode is then forgotten.
    pub fn take_until(&mut self, deadline: Instant) -> Result<(), RecordError> {
        let Some((spool, _)) = &mut self.running else {
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
            return Ok(());
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.capture.received().recv_timeout(left) {
                Ok(message) => {
                    if let Err(error) = spool.push(message) {
                        self.discard();
                        return Err(error);
                    }
                }
                Err(_) => return Ok(()),
            }
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Forgets the running episode.
    pub fn discard(&mut self) {
        self.capture.end();
        self.running = None;
    }

    /// Ends the running episode and adds it to the dataset.
    ///
    /// # Errors
    /// [`RecordError`] when it lacks something, or the disk refuses; the dataset is then as it was.
    pub fn finish(&mut self, label: LiveLabel) -> Result<LiveSummary, RecordError> {
        self.take_until(Instant::now() + UNDER_WAY)?;
        self.capture.end();
        let Some((mut spool, _)) = self.running.take() else {
            return Err(RecordError::Plan("no episode runs".into()));
        };
        while let Ok(message) = self.capture.received().try_recv() {
            spool.push(message)?;
        }
        spool.flush()?;
        self.write(&spool, label)
    }

    fn write(&self, spool: &Spool, label: LiveLabel) -> Result<LiveSummary, RecordError> {
        let LivePlan { lab, arm, out, .. } = &self.plan;
        let below = format!("{}/{}", layout::outcome_folder(label.success), label.date);
        let taken = |name: &str| out.join(lab).join(&below).join(name).exists();
        let numbered = (2..).map(|n| format!("{}-{n}", label.name));
        let mut names = std::iter::once(label.name.clone()).chain(numbered);
        let name = names.find(|name| !taken(name)).unwrap_or_default();
        let metadata = Metadata {
            uuid: format!("{lab}+foresight+{name}"),
            lab: lab.clone(),
            date: label.date,
            timestamp: name.clone(),
            robot_serial: arm.clone(),
            success: label.success,
            current_task: label.task,
            ..Metadata::default()
        };
        let path = format!("{lab}/{below}/{name}");
        let (episode, summary) = rows::episode(spool, &self.plan.cameras, path, metadata)?;
        let mut episodes = LooseEpisodes::default();
        episodes.push(episode);
        let options = ConvertOptions {
            fps: self.plan.fps,
            codec: self.plan.codec,
            ..ConvertOptions::default()
        };
        match self.plan.format {
            LiveFormat::LeRobot => append_to_lerobot(&episodes, out, &options),
            LiveFormat::Droid => append_to_droid(&episodes, out, &options),
        }?;
        Ok(summary)
    }
}

/// Where the running episode of a dataset lies.
fn spool_folder(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{}{name}-running", layout::PARTIAL_PREFIX))
}
