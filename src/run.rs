//! `foresight run`: a scenario moves an arm.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresight_predictor::goal_head::sentence::Part;
use foresight_report::timeline::exporter;
use foresight_report::{run as play, RunOptions};
use foresight_runs::record::RunResult;
use foresight_scenarios::controllers::sentences::heard;
use foresight_scenarios::dry_run::{dry_run, DryRun};
use foresight_scenarios::episode::{Answer, EpisodeStep, Observer};
use foresight_scenarios::monitor::{Alarm, Watched};
use foresight_scenarios::{EpisodeSpec, ModelSource};

use crate::export_options::ExportOptions;
use crate::overrides::Overrides;
use crate::progress_view::ProgressView;
use crate::stream::Stream;

/// Arguments of `foresight run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// Seed of the simulated scene and of the search; the scenario's when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder that gets the run folder.
    #[arg(long, default_value = "runs")]
    out: PathBuf,
    /// Simulate in virtual time, as fast as it goes and without zenoh, instead of in real time.
    #[arg(long)]
    virtual_time: bool,
    /// Look once and plan towards each sub-goal, and show what the safety envelope would send;
    /// nothing moves and no lease is taken.
    #[arg(long, conflicts_with = "virtual_time")]
    dry_run: bool,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    exports: ExportOptions,
    /// One JSON object on standard output at the end.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight run`; `false` when the task was not achieved.
///
/// # Errors
/// When scenario, model, arm or disk fail.
pub(crate) fn run(args: RunArgs) -> Result<bool> {
    args.exports.check()?;
    let (loaded, source) = args.overrides.load(&args.scenario)?;
    let seed = args.seed.unwrap_or(loaded.scenario.seed);
    if args.dry_run {
        let frame = args
            .out
            .join(format!("dry-run-{}.png", loaded.scenario.name));
        let dry = dry_run(&loaded, &source, seed, frame)?;
        show(&dry, args.json)?;
        return Ok(true);
    }
    let options = RunOptions {
        seed,
        out: args.out,
        virtual_time: args.virtual_time,
    };
    eprintln!(
        "{} (seed {seed}), {}",
        loaded.scenario.name,
        source.describe()
    );
    tell_sentences(&EpisodeSpec::new(&loaded, seed), &source)?;
    let mut observers = Observers {
        stream: args.exports.stream(&EpisodeSpec::new(&loaded, seed))?,
        progress: ProgressView::new(&loaded),
    };
    let result = play(&loaded, &source, &options, &mut observers)?;
    observers.progress.finish();
    if let Some(stream) = observers.stream {
        stream.finish(&result)?;
    }
    args.exports
        .write(|sink| exporter::run(&result.run_dir, sink))?;
    if args.json {
        println!("{}", serde_json::to_string(&result)?);
    } else {
        println!("{}", sentence(&result));
    }
    Ok(result.success != Some(false))
}

/// Says what was understood of the sentences that are goals.
///
/// # Errors
/// When one of them wasn't.
fn tell_sentences(spec: &EpisodeSpec, source: &ModelSource) -> Result<()> {
    let Some(head) = source.eyes().and_then(|eyes| eyes.head.as_deref()) else {
        return Ok(());
    };
    let goals = 0..spec.loaded.scenario.subgoal.len();
    let mut sentences: Vec<String> = goals.filter_map(|goal| spec.sentence(goal)).collect();
    sentences.dedup();
    for sentence in sentences {
        let understood = heard(head, &sentence)?;
        let name = |part: Option<Part>| part.map_or("nothing by name".into(), |p| p.name());
        let (object, target) = (name(understood.object), name(understood.target));
        eprintln!("understood {sentence:?}: object {object}, place {target}");
    }
    Ok(())
}

/// Whoever follows a run.
struct Observers {
    progress: ProgressView,
    stream: Option<Stream>,
}

impl Observer for Observers {
    fn deciding(&mut self, goal: usize, goal_step: u32) -> ControlFlow<()> {
        self.progress.deciding(goal, goal_step)
    }

    fn step(&mut self, step: &EpisodeStep<'_>) {
        self.progress.step(step);
        if let Some(stream) = &mut self.stream {
            stream.step(step);
        }
    }

    fn watched(&mut self, watched: &Watched) {
        if let Some(stream) = &mut self.stream {
            stream.watched(watched);
        }
    }

    fn alarmed(&mut self, alarm: &Alarm) {
        self.progress.alarmed(alarm);
    }

    fn answer(&mut self, alarm: &Alarm) -> Option<Answer> {
        self.progress.answer(alarm)
    }
}

fn show(dry: &DryRun, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(dry)?);
        return Ok(());
    }
    let [x, y, z, ..] = dry.pose;
    println!(
        "hand at [{x:.3}, {y:.3}, {z:.3}] m; looked at {}",
        dry.frame.display()
    );
    for step in &dry.steps {
        let [dx, dy, dz, .., grip] = step.sent.unwrap_or_default().map(|v| v * 100.0);
        let energy = step.energy.map_or("-".into(), |e| format!("{e:.4}"));
        println!(
            "{}: distance {:.4}, energy {energy}, planned in {:.2} s; would move [{dx:.1}, {dy:.1}, {dz:.1}] cm, gripper {:+.2}",
            step.subgoal, step.distance, step.plan_seconds, grip / 100.0
        );
        for remark in &step.remarks {
            println!("  {remark}");
        }
    }
    println!("nothing was moved");
    Ok(())
}

fn sentence(result: &RunResult) -> String {
    let verdict = match result.success {
        Some(true) => "success",
        Some(false) => "not achieved",
        None => "done",
    };
    format!(
        "{verdict}: {}\n{} steps, {:.2} s of planning an action, {} refused targets; see {}",
        result.reason,
        result.steps,
        result.seconds_per_action,
        result.refused_targets,
        result.run_dir.join("report.html").display()
    )
}
