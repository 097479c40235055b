//! `foresight probe`: an older name, and older options, of `foresight model foresees`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, FromArgMatches};

use crate::model::foresees::{self, ForeseesArgs};

/// Arguments of `foresight probe`.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    validation: PathBuf,
    /// Scenes were posed once to see whether energies order them; recorded branches say that now.
    #[arg(long)]
    scenes: Option<u64>,
    #[arg(long)]
    json: bool,
}

/// Runs `foresight model foresees`.
///
/// # Errors
/// As there.
pub(crate) fn run(args: ProbeArgs) -> Result<()> {
    let unused = args.scenes.map_or("", |_| "; --scenes means nothing there");
    tracing::warn!("`probe` is `foresight model foresees` now, which measures more{unused}");
    let [data, validation] = ["--data", "--validation"].map(OsString::from);
    let mut words = vec!["foresees".into(), args.model.into(), data, args.data.into()];
    words.extend([validation, args.validation.into()]);
    words.extend(args.json.then(|| "--json".into()));
    let command = ForeseesArgs::augment_args(clap::Command::new("foresees"));
    foresees::run(&ForeseesArgs::from_arg_matches(
        &command.get_matches_from(words),
    )?)
}
