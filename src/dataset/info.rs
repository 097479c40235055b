//! `foresight dataset info`: a dataset in numbers and small histograms.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_datasets::statistics::Statistics;

/// Arguments of `foresight dataset info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// A dataset's root folder or index, a list of episode folders, or a LeRobot dataset.
    root: PathBuf,
    /// Steps a second the actions are measured over; every recorded step when absent.
    #[arg(long, value_name = "HZ")]
    fps: Option<f64>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight dataset info`.
///
/// # Errors
/// When the dataset can't be read.
pub(super) fn run(args: &InfoArgs) -> Result<()> {
    if args.fps.is_some_and(|fps| !(fps.is_finite() && fps > 0.0)) {
        bail!("--fps must be a number above 0");
    }
    let store = foresight_datasets::open(&args.root)?;
    let statistics = Statistics::of(store.as_ref(), args.fps)?;
    if args.json {
        println!("{}", serde_json::to_string(&statistics)?);
        return Ok(());
    }
    let s = &statistics;
    println!("episodes   {} ({} unusable)", s.episodes, s.unusable);
    println!("states     {} ({:.2} h)", s.steps, s.hours);
    let share = s
        .success_share
        .map(|share| format!("{:.1}%", 100.0 * share));
    let share = share.unwrap_or_else(|| "unknown".to_owned());
    match s.unknown_outcomes {
        some if some > 0 && some < s.episodes => {
            println!("successes  {share} ({some} of the episodes don't say)");
        }
        _ => println!("successes  {share}"),
    }
    for (title, counts) in [
        ("behaviours", &s.behaviours),
        ("splits", &s.splits),
        ("cameras", &s.cameras),
        ("rates", &s.rates),
    ] {
        let list: Vec<String> = counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
        println!("{title:<10} {}", shortened(&list));
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
    for doubt in &s.doubts {
        println!("\ndoubtful: {doubt}");
    }
    Ok(())
}

/// The first few of a list, and how many more there are.
fn shortened(list: &[String]) -> String {
    const SHOWN: usize = 12;
    match list.len() > SHOWN {
        true => format!(
            "{} and {} more",
            list[..SHOWN].join(", "),
            list.len() - SHOWN
        ),
        false => list.join(", "),
    }
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
