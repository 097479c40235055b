//! `foresight report`: writes a run's report anew, recognising what it imagined in recorded
//! episodes; and recordings of it for viewers.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresight_predictor::{ComputeDevice, LevelTwo, Precision, WorldModel};
use foresight_report::run_page;
use foresight_report::timeline::exporter;
use foresight_runs::analysis::{analyse, AnalysisOptions};
use foresight_runs::nearest_neighbour::NearestNeighbours;
use foresight_runs::read::RunData;
use foresight_scenarios::{EpisodeSpec, LoadedScenario, RunError};

use crate::export_options::ExportOptions;

/// Arguments of `foresight report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
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
    exports: ExportOptions,
}

/// Runs `foresight report`.
///
/// # Errors
/// When the run, the model or the episodes can't be read.
pub(crate) fn run(args: ReportArgs) -> Result<()> {
    args.exports.check()?;
    if args.gallery.is_some() || args.model.is_some() {
        let loaded = LoadedScenario::read(&args.run.join("scenario.resolved.toml"))?;
        let dir = match &args.model {
            Some(dir) => dir.clone(),
            None => loaded.model_dir()?,
        };
        let model = WorldModel::load(&dir).map_err(|e| RunError::model(&dir, e))?;
        let second = match loaded.scenario.planner.levels {
            2.. => {
                let (device, precision) = (ComputeDevice::Cpu, Precision::F32);
                let second = LevelTwo::load(&dir, &model, device, precision);
                Some(second.map_err(|e| RunError::model(&dir, e))?)
            }
            _ => None,
        };
        let data = RunData::read(&args.run).map_err(anyhow::Error::msg)?;
        let gallery = match &args.gallery {
            Some(root) => Some(NearestNeighbours::recorded(&model, root)?),
            None => None,
        };
        let depth = AnalysisOptions {
            gallery: gallery.as_ref(),
            planes: true,
            weighting: loaded.scenario.goal_weighting(),
            extrinsics: EpisodeSpec::new(&loaded, loaded.scenario.seed).extrinsics_for(&model)?,
            room: loaded.scenario.workspace_bounds(),
            level_two: second.as_ref(),
        };
        analyse(&args.run, &data, &model, depth)?;
    }
    run_page::write(&args.run)?;
    args.exports.write(|sink| exporter::run(&args.run, sink))?;
    args.exports.show(|sink| exporter::run(&args.run, sink))?;
    println!("see {}", args.run.join(run_page::FILE_NAME).display());
    Ok(())
}
