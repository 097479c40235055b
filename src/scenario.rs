//! `foresight scenario`: check scenario files, or print their JSON schema or reference.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::{Args, Subcommand};
use foresight_scenarios::schema::json_schema;

use crate::overrides::read;

/// Arguments of `foresight scenario`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    #[command(subcommand)]
    command: ScenarioCommand,
}

#[derive(Debug, Subcommand)]
enum ScenarioCommand {
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
pub(crate) fn run(args: ScenarioArgs) -> Result<()> {
    match args.command {
        ScenarioCommand::Schema => print!("{}", json_schema()),
        ScenarioCommand::Reference => print!("{}", foresight_scenarios::reference::markdown()),
        ScenarioCommand::Check { files } => {
            let mut faulty = 0;
            for file in &files {
                let checked = read(file).and_then(|loaded| loaded.model_dir().map(|_| loaded));
                match checked {
                    Ok(loaded) => println!("{}: {} is fine", file.display(), loaded.scenario.name),
                    Err(error) => {
                        faulty += 1;
                        eprintln!("{error}");
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
