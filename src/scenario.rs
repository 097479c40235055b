//! `foresight scenario`: check scenario files, or print their JSON schema or reference.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use clap::Subcommand;
use foresight_planner::WaypointSource;
use foresight_predictor::{LevelTwo, WorldModel};
use foresight_robot::link::configuration;
use foresight_scenarios::monitor::{own_file, Fitted};
use foresight_scenarios::scenario::RobotKind;
use foresight_scenarios::schema::json_schema;

use crate::exit::in_full;
use crate::overrides::read;

/// Commands of `foresight scenario`.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Check files: every fault with line and remedy.
    Check {
        /// The scenario files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON schema of scenario files, for editors.
    Schema,
    /// Print every key of scenario files as Markdown.
    Reference,
}

/// Runs `foresight scenario`.
///
/// # Errors
/// When a file has faults.
pub(crate) fn run(command: ScenarioCommand) -> Result<()> {
    match command {
        ScenarioCommand::Schema => print!("{}", json_schema()),
        ScenarioCommand::Reference => print!("{}", foresight_scenarios::reference::markdown()),
        ScenarioCommand::Check { files } => {
            let mut faulty = 0;
            for file in &files {
                match check(file) {
                    Ok(name) => println!("{}: {name} is fine", file.display()),
                    Err(error) => {
                        faulty += 1;
                        eprintln!("{}", in_full(&error));
                    }
                }
            }
            if faulty > 0 {
                bail!("{faulty} of {} files can't be used", files.len());
            }
        }
    }
    Ok(())
}

/// The name of a scenario that can be played, as far as its files tell.
fn check(file: &Path) -> Result<String> {
    let loaded = read(file)?;
    let at = || file.display().to_string();
    let dir = loaded.model_dir()?;
    WorldModel::check(&dir).with_context(at)?;
    let scenario = &loaded.scenario;
    let planner = &scenario.planner;
    let foreseen = planner.level_two.waypoints == WaypointSource::Foreseen;
    if planner.levels > 1 && foreseen && !LevelTwo::is_in(&dir) {
        bail!(
            "{}: planner.levels = 2, and the model {} has no second level; train one with `foresight train --level 2`",
            at(),
            dir.display()
        );
    }
    if scenario.robot.kind == RobotKind::Franka {
        configuration(&loaded.franka().link).with_context(at)?;
    }
    if let Some(monitor) = &scenario.monitor {
        let own = own_file(&dir, &scenario.name);
        let fitted = monitor.file.as_ref().map_or(own, |file| loaded.path(file));
        Fitted::read(&fitted).with_context(at)?;
    }
    Ok(loaded.scenario.name)
}
