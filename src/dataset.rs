//! `foresight dataset`: list, check and summarise episodes on disk.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use clap::{Args, Subcommand};
use foresight_datasets::index::{self, Depth};
use foresight_datasets::statistics::Statistics;
use foresight_datasets::Index;
use indicatif::{ProgressBar, ProgressStyle};

/// Arguments of `foresight dataset`.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    #[command(subcommand)]
    command: DatasetCommand,
}

#[derive(Debug, Subcommand)]
enum DatasetCommand {
    /// Find episodes below a folder (DROID raw layout) and write an index of them.
    Index {
        /// The dataset's root folder.
        root: PathBuf,
        /// Where to write the index; ROOT/index.json when absent.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Read every episode completely and list the unusable ones with their reasons.
    Validate {
        /// The dataset's root folder.
        root: PathBuf,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Hours, episodes, outcomes, behaviours and action statistics.
    Info {
        /// The dataset's root folder.
        root: PathBuf,
        /// One JSON object on standard output.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `foresight dataset`.
///
/// # Errors
/// When the folder cannot be read, or `validate` finds unusable episodes.
pub fn run(args: DatasetArgs) -> Result<()> {
    match args.command {
        DatasetCommand::Index { root, out } => write_index(&root, out),
        DatasetCommand::Validate { root, json } => validate(&root, json),
        DatasetCommand::Info { root, json } => info(&root, json),
    }
}

fn write_index(root: &Path, out: Option<PathBuf>) -> Result<()> {
    let index = look(root, Depth::Quick)?;
    // Paths in an index start at its own folder.
    if let Some(out) = &out {
        let folder = match out.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("."),
        };
        let same = folder
            .canonicalize()
            .with_context(|| format!("the folder of {} does not exist", out.display()))?
            == root.canonicalize()?;
        if !same {
            bail!(
                "an index lies in its dataset's root folder, so that the dataset can be moved: \
                 write it to {}",
                root.join(index::FILE_NAME).display()
            );
        }
    }
    let out = out.unwrap_or_else(|| root.join(index::FILE_NAME));
    index.write(&out)?;
    println!(
        "{}: {} episodes, {} unusable{}",
        out.display(),
        index.episodes.len(),
        index.unusable.len(),
        if index.unusable.is_empty() {
            ""
        } else {
            " (reasons: `foresight dataset validate`)"
        }
    );
    Ok(())
}

fn validate(root: &Path, json: bool) -> Result<()> {
    let index = look(root, Depth::Full)?;
    if json {
        println!(
            "{}",
            serde_json::json!({
                "episodes": index.episodes.len(),
                "unusable": index.unusable,
            })
        );
    } else {
        for entry in &index.unusable {
            println!("{}", entry.reason);
        }
        println!("{} episodes are usable", index.episodes.len());
    }
    if !index.unusable.is_empty() {
        bail!(
            "{} of {} episodes are unusable",
            index.unusable.len(),
            index.unusable.len() + index.episodes.len()
        );
    }
    Ok(())
}

fn info(root: &Path, json: bool) -> Result<()> {
    let index = look(root, Depth::Quick)?;
    let statistics = Statistics::of(&index, root)?;
    if json {
        println!("{}", serde_json::to_string(&statistics)?);
        return Ok(());
    }
    let s = &statistics;
    println!("episodes   {} ({} unusable)", s.episodes, s.unusable);
    println!("states     {} ({:.2} h)", s.steps, s.hours);
    println!("successes  {:.1}%", 100.0 * s.success_share);
    for (title, counts) in [
        ("behaviours", &s.behaviours),
        ("splits", &s.splits),
        ("cameras", &s.cameras),
    ] {
        let list: Vec<String> = counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
        println!("{title:<10} {}", list.join(", "));
    }
    println!("\nactions    mean      deviation  least     most      from least to most");
    for c in &s.actions {
        println!(
            "{:<8} {:>9.4} {:>10.4} {:>9.4} {:>9.4}   {}",
            c.name,
            c.mean,
            c.standard_deviation,
            c.min,
            c.max,
            bars(&c.histogram)
        );
    }
    Ok(())
}

fn look(root: &Path, depth: Depth) -> Result<Index> {
    if !root.is_dir() {
        bail!(
            "{} is not a folder; name the root of a dataset",
            root.display()
        );
    }
    // Hidden by itself when standard error is not a terminal.
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("reading episodes {wide_bar} {pos}/{len} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let index = Index::build(root, depth, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    Ok(index)
}

/// A histogram in a line of text; the square root keeps small bins visible.
fn bars(counts: &[usize]) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    counts
        .iter()
        .map(|n| LEVELS[((*n as f64 / most).sqrt() * 8.0).ceil() as usize])
        .collect()
}
