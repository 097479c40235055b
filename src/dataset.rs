//! `foresight dataset`: list, check, summarise and convert episodes on disk.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use clap::Subcommand;
use foresight_datasets::alignment::FRAME_TOLERANCE;
use foresight_datasets::doubts::Doubts;
use foresight_datasets::index::{self, UnusableEntry};
use foresight_datasets::inspect::{Depth, Inspection};
use foresight_datasets::lerobot::store::{is_lerobot, LeRobotStore};
use foresight_datasets::{EpisodeStore, Index, IndexEntry, View};
use indicatif::{ProgressBar, ProgressStyle};

mod convert;
mod deep;
mod info;

/// Commands of `foresight dataset`.
#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// Find episodes and write an index of them: length, cameras, rates, success.
    Index {
        /// A dataset's root folder (DROID raw layout), or a list of episode folders as the
        /// official code has it (CSV: a line each, the folder first, then a space).
        root: PathBuf,
        /// Where to write the index; ROOT/index.json when absent, or beside the list.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Frames a video may have more or fewer than its trajectory has states.
        #[arg(long, value_name = "N", default_value_t = FRAME_TOLERANCE)]
        frame_tolerance: usize,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Read every episode completely, videos included, and list the unusable ones with their
    /// reasons.
    Validate {
        /// A dataset's root folder, a list of episode folders, or a LeRobot dataset.
        root: PathBuf,
        /// Look at headers and sizes only, without decoding videos.
        #[arg(long, conflicts_with = "deep")]
        quick: bool,
        #[command(flatten)]
        deep: deep::DeepArgs,
        /// Frames a video may have more or fewer than its trajectory has states.
        #[arg(long, value_name = "N", default_value_t = FRAME_TOLERANCE)]
        frame_tolerance: usize,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Hours, episodes, outcomes, behaviours and action statistics.
    Info(info::InfoArgs),
    /// Into another format: DROID raw, our recordings or runs into LeRobot v3; our recordings,
    /// LeRobot v3 or runs into DROID raw with videos.
    Convert(convert::ConvertArgs),
    /// Several datasets, of any formats, into one; outcomes and tasks are kept.
    Merge(convert::MergeArgs),
}

/// Runs `foresight dataset`.
///
/// # Errors
/// When the folder cannot be read, or `validate` finds unusable episodes.
pub(crate) fn run(command: DatasetCommand) -> Result<()> {
    match command {
        DatasetCommand::Index {
            root,
            out,
            frame_tolerance,
            json,
        } => {
            let inspection = Inspection {
                depth: Depth::Quick,
                frame_tolerance,
            };
            write_index(&root, out, inspection, json)
        }
        DatasetCommand::Validate {
            root,
            quick,
            deep,
            frame_tolerance,
            json,
        } => {
            let inspection = Inspection {
                depth: if quick { Depth::Quick } else { Depth::Full },
                frame_tolerance,
            };
            validate(&root, inspection, &deep, json)
        }
        DatasetCommand::Info(args) => info::run(&args),
        DatasetCommand::Convert(args) => convert::run(&args),
        DatasetCommand::Merge(args) => convert::merge(&args),
    }
}

fn write_index(
    root: &Path,
    out: Option<PathBuf>,
    inspection: Inspection,
    json: bool,
) -> Result<()> {
    if is_lerobot(root) {
        bail!(
            "{} is a LeRobot dataset, which has its index in meta/: name its folder wherever an \
             index is asked for",
            root.display()
        );
    }
    let index = look(root, inspection)?;
    let (folder, name) = match root.is_dir() {
        true => (root, index::FILE_NAME.into()),
        false => (folder_of(root), root.with_extension("index.json")),
    };
    // Paths in an index start at its own folder.
    if let Some(out) = &out {
        let beside = folder_of(out)
            .canonicalize()
            .with_context(|| format!("the folder of {} does not exist", out.display()))?;
        if beside != folder.canonicalize()? {
            bail!(
                "an index lies in its dataset's root folder, so that the dataset can be moved: \
                 write it to {}",
                folder.join(index::FILE_NAME).display()
            );
        }
    }
    let out = out.unwrap_or_else(|| match root.is_dir() {
        true => root.join(&name),
        false => name,
    });
    index.write(&out)?;
    let faults: usize = index.episodes.iter().map(|e| e.faults.len()).sum();
    let mismatches = length_mismatches(&index.episodes);
    if json {
        println!(
            "{}",
            serde_json::json!({
                "index": out,
                "episodes": index.episodes.len(),
                "unusable": index.unusable,
                "unusable_cameras": faults,
                "uneven_cameras": mismatches,
            })
        );
        return Ok(());
    }
    let mut line = format!("{}: {} episodes", out.display(), index.episodes.len());
    if !index.unusable.is_empty() || faults > 0 {
        line += &format!(
            ", {} unusable, {faults} unusable cameras of others (reasons: `foresight dataset \
             validate`)",
            index.unusable.len()
        );
    }
    for (path, what) in &mismatches {
        println!("{path}: {what}");
    }
    println!("{line}");
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Cameras of usable episodes that have more or fewer frames than there are states.
fn length_mismatches(episodes: &[IndexEntry]) -> Vec<(&str, String)> {
    let of = |e: &IndexEntry| e.length_mismatches().into_iter();
    let all = episodes.iter().map(|e| (e.path.as_str(), of(e)));
    all.flat_map(|(path, all)| all.map(move |what| (path, what)))
        .collect()
}

fn validate(root: &Path, inspection: Inspection, deep: &deep::DeepArgs, json: bool) -> Result<()> {
    let store: Box<dyn EpisodeStore> = if is_lerobot(root) {
        let mut store = LeRobotStore::open_tolerant(root, inspection.frame_tolerance)?;
        if inspection.depth == Depth::Full {
            let bar = bar("reading episodes");
            store.validate(|done, all| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            });
            bar.finish_and_clear();
        }
        Box::new(store)
    } else {
        foresight_datasets::of_index(look(root, inspection)?, root)
    };
    let (episodes, unusable) = (store.episodes(), store.unusable());
    let named = |e: &'_ IndexEntry, what: &[String]| -> Vec<(String, String)> {
        let pair = |what: &String| (e.path.clone(), what.clone());
        what.iter().map(pair).collect()
    };
    let faults: Vec<_> = episodes.iter().flat_map(|e| named(e, &e.faults)).collect();
    let notes: Vec<_> = episodes.iter().flat_map(|e| named(e, &e.notes)).collect();
    let mismatches = length_mismatches(episodes);
    let mut doubts = Doubts::of(store.as_ref(), usize::MAX).words();
    let without = |e: &IndexEntry| Some((e.path.clone(), e.camera(&View::default()).err()?));
    let without: Vec<_> = episodes.iter().filter_map(without).collect();
    if let Some((path, reason)) = without.first() {
        doubts.push(format!(
            "{} of {} episodes lack the left camera, which finetune looks through unless told \
             otherwise; {path}: {reason}",
            without.len(),
            episodes.len()
        ));
    }
    let depths = match deep.deep && !episodes.is_empty() {
        true => Some(deep.look(store.as_ref())?),
        false => None,
    };
    if json {
        let entry = |(path, reason): &(String, String)| UnusableEntry {
            path: path.clone(),
            reason: reason.clone(),
        };
        println!(
            "{}",
            serde_json::json!({
                "episodes": episodes.len(),
                "unusable": unusable.iter().map(entry).collect::<Vec<_>>(),
                "unusable_cameras": faults,
                "uneven_cameras": mismatches,
                "notes": notes,
                "doubts": doubts,
                "deep": depths,
            })
        );
    } else {
        for (path, reason) in unusable {
            println!("{path}: {reason}");
        }
        for (path, fault) in &faults {
            println!("{path}: a camera can't be used: {fault}");
        }
        for (path, what) in &mismatches {
            println!("{path}: {what}");
        }
        for (path, what) in &notes {
            println!("{path}: {what}");
        }
        for doubt in &doubts {
            println!("doubtful: {doubt}");
        }
        if let Some(depths) = &depths {
            print!("{depths}");
        }
        println!("{} episodes are usable", episodes.len());
    }
    if !unusable.is_empty() || !faults.is_empty() {
        bail!(
            "{} of {} episodes are unusable, and {} cameras of others",
            unusable.len(),
            unusable.len() + episodes.len(),
            faults.len()
        );
    }
    depths.map_or(Ok(()), |depths| depths.judge())
}

/// Looks at every episode of a root or a list.
fn look(root: &Path, inspection: Inspection) -> Result<Index> {
    if !root.exists() {
        bail!(
            "{} does not exist; name the root of a dataset or a list of episode folders",
            root.display()
        );
    }
    let bar = bar("reading episodes");
    let done = |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let index = match root.is_dir() {
        true => Index::build(root, inspection, done),
        false => Index::of_list(root, inspection, done),
    }?;
    bar.finish_and_clear();
    Ok(index)
}

/// A progress bar; hidden by itself when standard error is not a terminal.
fn bar(what: &str) -> ProgressBar {
    ProgressBar::new(0).with_style(
        ProgressStyle::with_template(&format!("{what} {{wide_bar}} {{pos}}/{{len}} {{eta}}"))
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}
