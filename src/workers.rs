//! Planning on other machines too: what commands that plan have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use foresight_predictor::checkpoint::{self, WEIGHTS_FILE};
use foresight_predictor::compact;
use foresight_predictor::WorldModel;
use foresight_robot::certificates;
use foresight_robot::link::LinkConfig;
use foresight_scenarios::controllers::LoadedModel;
use foresight_workers::Team;

/// Which machines plan along.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkersArgs {
    /// Share candidates out among this machine and workers (`foresight serve`) at these endpoints, such as
    /// tcp/192.168.1.7:7450; instead of the scenario's model.workers.connect.
    #[arg(long, value_name = "ENDPOINT", value_delimiter = ',')]
    workers: Vec<String>,
    /// Folder made by `foresight robot certificates`, for workers at tls/ endpoints; the planner's is shown.
    #[arg(long, value_name = "DIR")]
    workers_certificates: Option<PathBuf>,
}

impl WorkersArgs {
    /// The link of these flags over a scenario's; `None` where neither names one.
    pub(crate) fn over(&self, scenario: Option<LinkConfig>) -> Option<LinkConfig> {
        if scenario.is_none() && self.workers.is_empty() {
            return None;
        }
        let mut link = scenario.unwrap_or_default();
        if !self.workers.is_empty() {
            link.connect.clone_from(&self.workers);
        }
        if let Some(folder) = &self.workers_certificates {
            link.tls = Some(certificates::of_role(folder, "planner"));
        }
        Some(link)
    }
}

/// The model of `folder` with its rollouts shared out among this machine and the workers of `link`.
///
/// # Errors
/// When no worker answers, or one that does has another model.
pub(crate) fn shared(model: WorldModel, folder: &Path, link: &LinkConfig) -> Result<WorldModel> {
    let sha256 = weights_sha256(folder)?;
    let team = Arc::new(Team::find(link, &model.config().name, &sha256)?);
    for worker in team.workers() {
        tracing::info!(
            "worker {}: {}, {:.0} candidates a second",
            worker.name,
            worker.computes,
            worker.samples_per_s
        );
    }
    Ok(team.share(model)?)
}

/// As [`shared`], in place.
///
/// # Errors
/// As there.
pub(crate) fn share(own: &mut LoadedModel, link: &LinkConfig) -> Result<()> {
    own.model = shared(own.model.clone(), &own.dir, link)?;
    Ok(())
}

/// SHA-256 of a model folder's weights.
///
/// # Errors
/// When they can't be read.
pub(crate) fn weights_sha256(folder: &Path) -> Result<String> {
    let weights = match compact::is_compact(folder) {
        true => compact::WEIGHTS,
        false => WEIGHTS_FILE,
    };
    Ok(checkpoint::sha256(&folder.join(weights))?)
}
