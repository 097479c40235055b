//! `foresight monitor`: fit what watches runs, and try it on recorded ones.

use std::path::PathBuf;

use anyhow::{anyhow, bail, Result};
use clap::{Args, Subcommand, ValueEnum};
use foresight_runs::monitoring::{fit_to, try_on, try_success, MonitorTest, WatchedRun};
use foresight_scenarios::controllers::LoadedModel;
use foresight_scenarios::evaluate::Counted;
use foresight_scenarios::monitor::{goal_file, own_file, Expectation, Fitted};
use foresight_scenarios::ModelSource;

/// Commands of `foresight monitor`.
#[derive(Debug, Subcommand)]
pub(crate) enum MonitorCommand {
    /// Fit a monitor to successful runs of one scenario.
    Fit(FitArgs),
    /// Count what a monitor would have noticed in recorded runs, by fault.
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// Run folders, or folders of run folders such as `eval --out` leaves.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// File that gets the monitor, or a model folder that keeps it where scenarios find it; the
    /// model's own folder when absent.
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Share of clean episodes that may raise an alarm.
    #[arg(long, default_value_t = 0.05)]
    false_alarms: f64,
    /// What reached latents are held against; all but the first are baselines.
    #[arg(long, value_enum, default_value = "action")]
    expect: ExpectName,
    /// Also take runs that nobody judged, as on a real arm, for successful.
    #[arg(long)]
    trust: bool,
    /// Model folder instead of the runs' own.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Run folders, or folders of run folders, with and without faults.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The monitor's file; several make a table.
    #[arg(long, required_unless_present = "goal", num_args = 1..)]
    file: Vec<PathBuf>,
    /// A file of `fit --expect goal`: what latent success says by it, against what the simulator
    /// knows.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    goal: Option<PathBuf>,
    /// Model folder instead of the runs' own.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// One JSON object on standard output for each file, one a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExpectName {
    /// What the predictor expects of the action.
    Action,
    /// What it expects of standing still.
    NoAction,
    /// The distance to the goal alone.
    GoalDistance,
    /// The goal image at the end: what `[success.latent]` judges by, beside the monitor's file.
    Goal,
}

/// Runs `foresight monitor`.
///
/// # Errors
/// When runs, model or file can't be used.
pub(crate) fn run(command: MonitorCommand) -> Result<()> {
    match command {
        MonitorCommand::Fit(args) => fit(args),
        MonitorCommand::Test(args) => test(&args),
    }
}

fn fit(args: FitArgs) -> Result<()> {
    if !(args.false_alarms > 0.0 && args.false_alarms < 1.0) {
        bail!(
            "--false-alarms is {}; give a share above 0 and below 1, such as 0.05",
            args.false_alarms
        );
    }
    let runs = WatchedRun::read_all(&args.runs)?;
    let loaded = model_of(&runs, args.model)?;
    let expectation = match args.expect {
        ExpectName::Action => Expectation::Action,
        ExpectName::NoAction => Expectation::NoAction,
        ExpectName::GoalDistance => Expectation::GoalDistance,
        ExpectName::Goal => Expectation::Goal,
    };
    let fitted = fit_to(&runs, &loaded, expectation, args.false_alarms, args.trust)?;
    let out = args.out.unwrap_or_else(|| loaded.dir.clone());
    let own = own_file(&out, &fitted.scenario);
    let file = match expectation {
        _ if !out.is_dir() => out,
        Expectation::Goal => goal_file(&own),
        _ => own,
    };
    fitted.write(&file)?;
    let [scales, threshold] = fitted.runs;
    println!(
        "{}: scales of {scales} runs, threshold {:.2} of {threshold} others at {:.0} % false alarms",
        file.display(),
        fitted.threshold,
        100.0 * fitted.false_alarms
    );
    Ok(())
}

fn test(args: &TestArgs) -> Result<()> {
    let runs = WatchedRun::read_all(&args.runs)?;
    let loaded = model_of(&runs, args.model.clone())?;
    if let Some(goal) = &args.goal {
        let test = try_success(&runs, &loaded, &Fitted::read(goal)?)?;
        if args.json {
            println!("{}", serde_json::to_string(&test)?);
        } else {
            let ([ay, an], [fy, fn_]) = (test.achieved, test.failed);
            println!("| | said achieved | said failed |\n|---|---|---|");
            println!("| achieved | {ay} | {an} |\n| failed | {fy} | {fn_} |\n");
            println!("agreement {}", test.agreement);
        }
        return Ok(());
    }
    let mut tests = Vec::new();
    for file in &args.file {
        tests.push(try_on(&runs, &loaded, &Fitted::read(file)?)?);
    }
    if args.json {
        for test in &tests {
            println!("{}", serde_json::to_string(test)?);
        }
        return Ok(());
    }
    print!("{}", table(&tests));
    Ok(())
}

/// The model that planned the runs.
fn model_of(runs: &[WatchedRun], given: Option<PathBuf>) -> Result<LoadedModel> {
    let first = runs.first().ok_or_else(|| anyhow!("no runs"))?.scenario();
    let dir = match given {
        Some(dir) => dir,
        None => first.model_dir()?,
    };
    let model = &first.scenario.model;
    match ModelSource::model_on(&dir, model.device, model.precision)? {
        ModelSource::Latent(loaded) => Ok(*loaded),
        _ => bail!("{} predicts nothing", dir.display()),
    }
}

/// A Markdown table, a column for each monitor.
fn table(tests: &[MonitorTest]) -> String {
    let names = tests.iter().map(|t| match t.expectation {
        Expectation::Action => "monitor",
        Expectation::NoAction => "without actions",
        Expectation::GoalDistance => "distance to the goal",
        Expectation::Goal => "goal image at the end",
    });
    let mut text = format!("| | {} |\n|---|", names.collect::<Vec<_>>().join(" | "));
    text += &"---|".repeat(tests.len());
    let mut row = |name: &str, cell: &dyn Fn(&MonitorTest) -> Option<Counted>| {
        let cells = tests
            .iter()
            .map(|t| cell(t).map_or_else(String::new, |c| c.to_string()));
        text += &format!("\n| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    };
    let kinds = tests.iter().flat_map(|t| t.recall.keys()).copied();
    for kind in kinds.collect::<std::collections::BTreeSet<_>>() {
        row(&kind.name().replace('_', " "), &|t| {
            t.recall.get(&kind).copied()
        });
    }
    row("all faults", &|t| Some(t.recall_in_all));
    row("alarm before the fault", &|t| Some(t.alarms_before_faults));
    row("false alarms, clean episodes", &|t| Some(t.false_alarms));
    text + "\n"
}
