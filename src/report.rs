//! `foresight report`: writes a run's report anew, recognising what it imagined in recorded
//! episodes; and recordings of it for viewers.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_predictor::WorldModel;
use foresight_scenarios::folder::write_hindsight;
use foresight_scenarios::gallery::Gallery;
use foresight_scenarios::hindsight::{look_back, Depth};
use foresight_scenarios::report::{self, read::RunData};
use foresight_scenarios::timeline::tell;
use foresight_scenarios::{LoadedScenario, RunError};
use image::RgbImage;

use crate::recordings::Recordings;

/// Arguments of `foresight report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run folder.
    run: PathBuf,
    /// Recorded episodes whose frames stand for what the model imagined, instead of pictures of
    /// the simulated scene.
    #[arg(long, value_name = "DATASET")]
    gallery: Option<PathBuf>,
    /// Model that looks back, instead of the one that planned.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    recordings: Recordings,
}

/// Runs `foresight report`.
///
/// # Errors
/// When the run, the model or the episodes can't be read.
pub fn run(args: ReportArgs) -> Result<()> {
    args.recordings.check()?;
    if args.gallery.is_some() || args.model.is_some() {
        let loaded = LoadedScenario::read(&args.run.join("scenario.resolved.toml"))?;
        let dir = match &args.model {
            Some(dir) => dir.clone(),
            None => loaded.model_dir()?,
        };
        let model = WorldModel::load(&dir).map_err(|e| RunError::model(&dir, e))?;
        let data = RunData::read(&args.run).map_err(anyhow::Error::msg)?;
        let frames: Vec<RgbImage> = data.frames.iter().flatten().cloned().collect();
        if frames.len() < data.frames.len() {
            bail!("{} lacks frames", args.run.display());
        }
        let goals = RunData::model_goals(&args.run);
        let gallery = match &args.gallery {
            Some(root) => Some(Gallery::recorded(&model, root)?),
            None => None,
        };
        let depth = Depth {
            gallery: gallery.as_ref(),
            planes: true,
            weighting: loaded.scenario.goal_weighting(),
            room: loaded.scenario.workspace_bounds(),
        };
        let (hindsight, recognised) = look_back(&model, &data.steps, &frames, &goals, depth)?;
        write_hindsight(&args.run, &hindsight, &recognised)?;
    }
    report::write(&args.run)?;
    args.recordings.write(|sink| tell::run(&args.run, sink))?;
    args.recordings.show(|sink| tell::run(&args.run, sink))?;
    println!("see {}", args.run.join(report::FILE_NAME).display());
    Ok(())
}
