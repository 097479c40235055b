//! `foresight eval`: many unseen scenes, counted honestly; or recorded episodes.

mod offline;
mod physics;

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context, Result};
use clap::Args;
use foresight_report::evaluate_into;
use foresight_scenarios::evaluate::EvaluatedEpisode;
use foresight_scenarios::faults::{FaultKind, Faults};
use foresight_scenarios::{evaluate, Evaluation, EvaluationOptions, Variation};
use indicatif::{ProgressBar, ProgressStyle};

use crate::overrides::Overrides;

/// Arguments of `foresight eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Scenario files; several make a table.
    #[arg(required_unless_present = "offline", conflicts_with = "offline")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    offline: offline::OfflineArgs,
    /// Number of episodes of each scenario and variation.
    #[arg(long, default_value_t = 20)]
    episodes: u64,
    /// Seed of the first episode; the others follow. Below 1000000: those scenes are never
    /// recorded for training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Episodes played at the same time; all cores when absent. Changes nothing but the time.
    #[arg(long)]
    jobs: Option<usize>,
    /// Change the scenes in a named way; several, separated by commas, make a table: plain, boxes,
    /// cups, wide_start, unseen_colours, smaller_objects, larger_objects, camera_5deg,
    /// camera_10deg, displaced_2cm, displaced_4cm, same_arm_goal.
    #[arg(long, value_delimiter = ',', default_value = "plain", value_parser = Variation::parse)]
    variation: Vec<Variation>,
    /// Let one thing go wrong in every episode, at a time drawn from its seed; several kinds,
    /// separated by commas, take turns: knocked_away, slip, missed_grasp, removed, swapped,
    /// second_object, camera_3deg, camera_10deg, lens_covered, gripper_blocked, light_switched.
    #[arg(long, value_delimiter = ',', value_parser = FaultKind::parse)]
    faults: Vec<FaultKind>,
    /// Instead of playing: of a possible and an impossible continuation of one scene, which
    /// surprises the model more? --episodes pairs of every kind.
    #[arg(long, conflicts_with_all = ["offline", "faults", "variation", "jobs"])]
    physics: bool,
    /// Folder that gets a page over all episodes (`index.html`) and every episode's run folder
    /// with its report; with several scenarios or variations a folder for each. None when absent.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// One JSON object on standard output for each scenario and variation, one a line.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight eval`.
///
/// # Errors
/// When a scenario or the model can't be used. A low success rate is no error.
pub(crate) fn run(args: EvalArgs) -> Result<()> {
    if args.offline.offline {
        let Overrides { model, set, .. } = &args.overrides;
        return offline::run(&args.offline, model.as_deref(), &set.set, args.json);
    }
    let jobs = match args.jobs {
        Some(0) => bail!("--jobs must be at least 1"),
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    // Every file is read, and every folder there, before hours are spent on the first.
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)
            .with_context(|| format!("--out {} has to be a folder", out.display()))?;
    }
    let mut loaded = Vec::new();
    for file in &args.scenarios {
        let (mut scenario, source) = args.overrides.load(file)?;
        if !args.faults.is_empty() {
            let kinds = args.faults.clone();
            scenario.scenario.faults = Some(Faults { kinds });
        }
        loaded.push((scenario, source));
    }
    if args.physics {
        for (scenario, source) in &loaded {
            let out = args.out.as_deref().map(|out| match loaded.len() {
                1 => out.to_owned(),
                _ => out.join(&scenario.scenario.name),
            });
            let seeds = [args.seed, args.episodes];
            physics::run(scenario, source, seeds, out.as_deref(), args.json)?;
        }
        return Ok(());
    }
    let several = loaded.len() * args.variation.len() > 1;
    let mut evaluations = Vec::new();
    for (scenario, source) in &loaded {
        for variation in &args.variation {
            let options = EvaluationOptions {
                episodes: args.episodes,
                seed: args.seed,
                jobs,
                variation: *variation,
            };
            eprintln!(
                "{} ({}), {} episodes, {}",
                scenario.scenario.name,
                variation.name(),
                args.episodes,
                source.describe()
            );
            let name = format!("{}-{}", scenario.scenario.name, variation.name());
            let out = args
                .out
                .as_ref()
                .map(|out| if several { out.join(name) } else { out.clone() });
            let evaluation = play(scenario, source, &options, out.as_deref())?;
            if args.json {
                println!("{}", serde_json::to_string(&evaluation)?);
            }
            evaluations.push(evaluation);
        }
    }
    match (args.json, evaluations.as_slice()) {
        (true, _) => {}
        (false, [one]) => print!("{}", summary(one)?),
        (false, many) => print!("{}", table(many)?),
    }
    Ok(())
}

fn play(
    scenario: &foresight_scenarios::LoadedScenario,
    source: &foresight_scenarios::ModelSource,
    options: &EvaluationOptions,
    out: Option<&Path>,
) -> Result<Evaluation> {
    // Hidden by itself when standard error is not a terminal.
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left  {msg}");
    let bar = ProgressBar::new(options.episodes)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let done = |episode: &EvaluatedEpisode| {
        bar.inc(1);
        let achieved = episode.verdict.success == Some(true);
        let mark = if achieved { "achieved" } else { "failed" };
        let line = format!("seed {}: {mark}, {}", episode.seed, episode.verdict.reason);
        if bar.is_hidden() {
            eprintln!("{line}");
        } else {
            bar.set_message(line);
        }
    };
    let evaluation = match out {
        Some(out) => evaluate_into(out, scenario, source, options, done)?,
        None => evaluate(scenario, source, options, done)?,
    };
    bar.finish_and_clear();
    if let Some(out) = out {
        let page = out.join(foresight_report::evaluation::FILE_NAME);
        eprintln!("see {}", page.display());
    }
    Ok(evaluation)
}

fn summary(e: &Evaluation) -> Result<String> {
    let [low, high] = e.ci95;
    let mut text = format!(
        "{} ({}): {} of {} achieved, {:.1}% (95% interval {:.1}% to {:.1}%)\n\
         {:.2} s of planning an action, {} refused targets\n",
        e.scenario,
        e.variation.name(),
        e.successes,
        e.episodes,
        100.0 * e.rate,
        100.0 * low,
        100.0 * high,
        e.seconds_per_action,
        e.refused_targets,
    );
    for (name, count) in failures(e)? {
        text += &format!("  {count:>4} × {name}\n");
    }
    Ok(text)
}

/// A Markdown table, one row a scenario and variation.
fn table(evaluations: &[Evaluation]) -> Result<String> {
    let mut text = String::from(
        "| scenario | variation | achieved | 95 % interval | seeds | s an action | failures |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for e in evaluations {
        let [low, high] = e.ci95;
        let failures: Vec<String> = failures(e)?
            .into_iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        text += &format!(
            "| `{}` | {} | {}/{} | {:.0}–{:.0} % | {}–{} | {:.2} | {} |\n",
            e.scenario,
            e.variation.name().replace('_', " "),
            e.successes,
            e.episodes,
            100.0 * low,
            100.0 * high,
            e.seed,
            e.seed + e.episodes - 1,
            e.seconds_per_action,
            failures.join(", "),
        );
    }
    Ok(text)
}

/// Failures by name and number.
fn failures(e: &Evaluation) -> Result<Vec<(String, u64)>> {
    let mut named = Vec::new();
    for (kind, count) in &e.failures {
        let value = serde_json::to_value(kind)?;
        let name = value
            .as_str()
            .ok_or_else(|| anyhow!("a failure kind without a name: {value}"))?;
        named.push((name.replace('_', " "), *count));
    }
    Ok(named)
}
