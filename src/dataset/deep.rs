//! `foresight dataset validate --deep`: whether pictures, states and extrinsics belong together, and
//! whether the actions are what a model plans with.

use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::{Args, ValueEnum};
use foresight_datasets::deep::{self, ActionCoverage, CameraFindings, DeepOptions};
use foresight_datasets::EpisodeStore;
use foresight_predictor::checkpoint::Checkpoint;
use foresight_predictor::config::ActionSpace;
use serde::Serialize;

/// Arguments of the deep look.
#[derive(Debug, Args)]
pub(crate) struct DeepArgs {
    /// Also look at what the pictures show: whether they lag behind the states, whether the hand is
    /// where the recorded extrinsics put it, and how the actions fill a model's box. A picture of
    /// each camera is written.
    #[arg(long)]
    pub(super) deep: bool,
    /// With --deep: the cameras' angle of view from top to bottom, degrees; found out by trying when
    /// absent, known of recordings of ours.
    #[arg(long, value_name = "DEGREES", requires = "deep")]
    fov: Option<f64>,
    /// With --deep: whose poses are recorded: the fingertips' (recordings of ours) or the flange's
    /// (DROID).
    #[arg(long, value_enum, default_value = "tcp", requires = "deep")]
    frame: Frame,
    /// With --deep: the model whose box of actions counts; the paper's when absent.
    #[arg(long, value_name = "DIR", requires = "deep")]
    model: Option<PathBuf>,
    /// With --deep: folder of the pictures.
    #[arg(long, value_name = "DIR", default_value = "deep", requires = "deep")]
    pictures: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Frame {
    Tcp,
    Flange,
}

/// What a deep look found.
#[derive(Debug, Serialize)]
pub(super) struct Depths {
    cameras: Vec<CameraFindings>,
    actions: ActionCoverage,
    #[serde(rename = "box")]
    space: ActionSpace,
    pictures: PathBuf,
}

impl DeepArgs {
    /// Looks, and writes the pictures.
    ///
    /// # Errors
    /// When nothing can be read, or the folder can't be written to.
    pub(super) fn look(&self, store: &dyn EpisodeStore) -> Result<Depths> {
        if self.fov.is_some_and(|fov| !(fov > 1.0 && fov < 170.0)) {
            bail!("--fov must be between 1 and 170 degrees");
        }
        let space = match &self.model {
            None => ActionSpace::default(),
            Some(folder) => {
                let checkpoint = Checkpoint::open(folder)?;
                let config = checkpoint.config();
                let config =
                    config.with_context(|| format!("{} has no config.json", folder.display()))?;
                config.action_space.clone()
            }
        };
        let options = DeepOptions {
            fov_rad: self.fov.map(f64::to_radians),
            of_flange: self.frame == Frame::Flange,
        };
        let cameras = deep::look(store, options)?;
        for camera in &cameras {
            let Some(picture) = &camera.picture else {
                continue;
            };
            let plain = |c: char| {
                if c.is_alphanumeric() || "-.".contains(c) {
                    c
                } else {
                    '_'
                }
            };
            let name: String = camera.camera.chars().map(plain).collect();
            let file = self.pictures.join(format!("{name}.png"));
            std::fs::create_dir_all(&self.pictures)
                .with_context(|| format!("creating {}", self.pictures.display()))?;
            picture
                .save(&file)
                .with_context(|| format!("writing {}", file.display()))?;
        }
        let [metres, radians] = [space.max_translation_m, space.max_rotation_rad];
        Ok(Depths {
            actions: deep::coverage(store, space.fps, metres, radians)?,
            cameras,
            space,
            pictures: self.pictures.clone(),
        })
    }
}

impl Depths {
    /// Whether all is well with the cameras.
    ///
    /// # Errors
    /// How many cameras' pictures or extrinsics are wrong.
    pub(super) fn judge(&self) -> Result<()> {
        let wrong = self.cameras.iter().filter(|c| !c.faults.is_empty()).count();
        if wrong > 0 {
            bail!("of {wrong} cameras pictures, states and extrinsics don't belong together");
        }
        Ok(())
    }
}

impl fmt::Display for Depths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for camera in &self.cameras {
            write!(
                f,
                "camera {}, {} episodes: ",
                camera.camera, camera.episodes
            )?;
            if let Some(lag) = camera.lag_frames {
                write!(
                    f,
                    "lag {lag} frames (correlation {:.2})",
                    camera.lag_correlation[0]
                )?;
            } else {
                write!(f, "lag unknown")?;
            }
            if let (Some(score), Some((fov, known))) = (camera.score, camera.fov_deg) {
                let how = if known { "" } else { ", assumed" };
                write!(
                    f,
                    "; hand fits the extrinsics by {score:.2} (view of {fov:.0}°{how})"
                )?;
            }
            if let Some([off, roll]) = camera.off_deg {
                write!(f, ", best {off:.1}° away and turned by {roll:.1}°")?;
            }
            writeln!(f)?;
            for fault in &camera.faults {
                writeln!(f, "camera {}: wrong: {fault}", camera.camera)?;
            }
            for note in &camera.notes {
                writeln!(f, "camera {}: {note}", camera.camera)?;
            }
        }
        if self.cameras.iter().any(|camera| camera.picture.is_some()) {
            writeln!(f, "see {}", self.pictures.display())?;
        }
        let ActionCoverage {
            steps,
            outside,
            p95,
            fps,
        } = &self.actions;
        let [x, y, z, rx, ry, rz] = p95;
        writeln!(
            f,
            "actions: {steps} steps at {fps} Hz, 95 % below {x:.3} {y:.3} {z:.3} m and {rx:.3} {ry:.3} {rz:.3} \
             rad; outside the model's box of {} m and {} rad: {:.1} % in translation, {:.1} % in rotation",
            self.space.max_translation_m,
            self.space.max_rotation_rad,
            100.0 * outside[0],
            100.0 * outside[1],
        )
    }
}
