//! How commands that need no model reach an arm: by a scenario, or by endpoint and name.

use std::path::{Path, PathBuf};

use anyhow::{bail, Result};
use clap::Args;
use foresight_robot::{certificates, ZenohArmConfig};
use foresight_scenarios::scenario::RobotKind;
use foresight_scenarios::LoadedScenario;

/// How to reach an arm.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// A scenario with robot.kind = "franka": its endpoints, names and certificates are used.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Endpoint of franka-node, and of franka-cam when it is another process.
    #[arg(long, value_name = "ENDPOINT")]
    connect: Vec<String>,
    /// The arm's name in franka/ARM/….
    #[arg(long)]
    arm: Option<String>,
    /// The camera's name in franka/cam/CAMERA/….
    #[arg(long)]
    camera: Option<String>,
    /// Folder made by `foresight robot certificates`, for tls/ endpoints.
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// Whose certificate of that folder is shown.
    #[arg(long, default_value = "viewer", requires = "certificates")]
    role: String,
}

/// Where nodes are when nothing is said: this host, franka-node's port.
const DEFAULT_ENDPOINT: &str = "tcp/127.0.0.1:7447";

impl Connection {
    /// The link, and the scenario if there is one.
    ///
    /// # Errors
    /// When the scenario is wrong or drives no real arm.
    pub(crate) fn resolve(&self) -> Result<(ZenohArmConfig, Option<LoadedScenario>)> {
        let loaded = self.scenario.as_deref().map(read).transpose()?;
        let mut config = loaded
            .as_ref()
            .map_or_else(ZenohArmConfig::default, LoadedScenario::franka);
        if !self.connect.is_empty() {
            config.link.connect.clone_from(&self.connect);
        }
        if config.link.connect.is_empty() && config.link.zenoh_config.is_none() {
            config.link.connect = vec![DEFAULT_ENDPOINT.into()];
        }
        if let Some(arm) = &self.arm {
            config.arm.clone_from(arm);
        }
        if let Some(camera) = &self.camera {
            config.camera.clone_from(camera);
            config.other_cameras.clear();
        }
        if let Some(folder) = &self.certificates {
            config.link.tls = Some(certificates::of_role(folder, &self.role));
        }
        Ok((config, loaded))
    }
}

fn read(file: &Path) -> Result<LoadedScenario> {
    let loaded = crate::overrides::read(file)?;
    if loaded.scenario.robot.kind != RobotKind::Franka {
        bail!(
            "{} drives the built-in simulator; give a scenario with robot.kind = \"franka\", or --connect",
            file.display()
        );
    }
    Ok(loaded)
}
