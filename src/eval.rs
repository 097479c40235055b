//! `foresight eval`: many unseen scenes, counted honestly.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_scenarios::{evaluate, Evaluation, EvaluationOptions};
use indicatif::{ProgressBar, ProgressStyle};

use crate::worlds::Overrides;

/// Arguments of `foresight eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// Number of episodes.
    #[arg(long, default_value_t = 20)]
    episodes: u64,
    /// Seed of the first episode; the others follow. Below 1000000: those scenes are never
    /// recorded for training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Episodes played at the same time; all cores when absent. Changes nothing but the time.
    #[arg(long)]
    jobs: Option<usize>,
    #[command(flatten)]
    overrides: Overrides,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight eval`.
///
/// # Errors
/// When scenario or model can't be used. A low success rate is no error.
pub fn run(args: EvalArgs) -> Result<()> {
    let (loaded, source) = args.overrides.load(&args.scenario)?;
    let jobs = match args.jobs {
        Some(0) => bail!("--jobs must be at least 1"),
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let options = EvaluationOptions {
        episodes: args.episodes,
        seed: args.seed,
        jobs,
    };
    eprintln!(
        "{}, {} episodes, {}",
        loaded.scenario.name,
        args.episodes,
        source.describe()
    );
    // Hidden by itself when standard error is not a terminal.
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left  {msg}");
    let bar = ProgressBar::new(args.episodes)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let evaluation = evaluate(&loaded, &source, &options, |episode| {
        bar.inc(1);
        let achieved = episode.verdict.success == Some(true);
        let mark = if achieved { "achieved" } else { "failed" };
        let line = format!("seed {}: {mark}, {}", episode.seed, episode.verdict.reason);
        if bar.is_hidden() {
            eprintln!("{line}");
        } else {
            bar.set_message(line);
        }
    })?;
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print!("{}", table(&evaluation));
    }
    Ok(())
}

fn table(e: &Evaluation) -> String {
    let [low, high] = e.ci95;
    let mut text = format!(
        "{}: {} of {} achieved, {:.1}% (95% interval {:.1}% to {:.1}%)\n\
         {:.2} s of planning an action, {} refused targets\n",
        e.scenario,
        e.successes,
        e.episodes,
        100.0 * e.rate,
        100.0 * low,
        100.0 * high,
        e.seconds_per_action,
        e.refused_targets,
    );
    for (kind, count) in &e.failures {
        let name = serde_json::to_value(kind).ok();
        let name = name.as_ref().and_then(|n| n.as_str()).unwrap_or("?");
        text += &format!("  {count:>4} × {}\n", name.replace('_', " "));
    }
    text
}
