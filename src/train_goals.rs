//! `foresight train-goals`: a goal head, which makes sentences a model's goals.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_predictor::goal_head;
use foresight_training::goal_head::{GoalHeadOptions, GoalHeadTask};
use foresight_training::run::RunOptions;

use crate::training::{enter, train};

/// Arguments of `foresight train-goals`.
#[derive(Debug, Args)]
pub(crate) struct TrainGoalsArgs {
    /// Demonstrations with a sentence each: recordings of ours, a DROID-raw root, an index, or a LeRobot
    /// v3 folder with instructions.
    data: PathBuf,
    /// Model folder whose encoder looks; the head is written there.
    #[arg(long)]
    model: PathBuf,
    /// Demonstrations to validate on; a part of DATA when absent.
    #[arg(long)]
    validation: Option<PathBuf>,
    /// Folder of this run: state and log.
    #[arg(long, default_value = "runs/train-goals")]
    out: PathBuf,
    /// Steps.
    #[arg(long, default_value_t = GoalHeadOptions::default().steps)]
    steps: usize,
    /// Moments a step.
    #[arg(long, default_value_t = GoalHeadOptions::default().batch)]
    batch: usize,
    /// Learning rate.
    #[arg(long, default_value_t = GoalHeadOptions::default().rate)]
    rate: f64,
    /// Seed of the weights and of the order of moments.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go on where an earlier run in this folder stopped.
    #[arg(long)]
    resume: bool,
    /// One JSON object on standard output at the end.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight train-goals`.
///
/// # Errors
/// When model or data can't be used, or training fails.
pub(crate) fn run(args: TrainGoalsArgs) -> Result<()> {
    let options = GoalHeadOptions {
        steps: args.steps,
        batch: args.batch,
        seed: args.seed,
        rate: args.rate,
    };
    let optimisation = options.optimisation();
    let checked = optimisation.check(1).map_err(anyhow::Error::msg);
    checked.context("by --steps, --batch and --rate")?;
    let (model, validation) = (&args.model, args.validation.as_deref());
    let inputs = [
        ("model", Some(&**model)),
        ("data", Some(&*args.data)),
        ("validation", validation),
    ];
    let there = model.join(goal_head::DESCRIPTION);
    if there.exists() && !args.resume {
        let there = there.display();
        bail!("{there} is there already: move it away, or train for a copy of the model folder");
    }
    let began = Instant::now();
    let mut task = GoalHeadTask::new(&options, model, &args.data, validation)
        .with_context(|| format!("with {}", args.data.display()))?;
    enter(&options, &inputs, &args.out, args.resume)?;
    eprintln!("{}", task.describe());
    let mut run = RunOptions::new(&args.out);
    run.resume = args.resume;
    let outcome = train(&mut task, &optimisation, &run)?;
    let training = task.save(&args.model, &outcome, began.elapsed().as_secs_f64())?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "model": args.model, "steps": outcome.steps, "best": outcome.best,
                "interrupted": outcome.interrupted, "training": training,
            })
        );
        return Ok(());
    }
    let [goal, standing] = training.goal_l1;
    println!(
        "goal head after {} steps, held out: L1 of the goal {goal:.3} (of what is seen {standing:.3}), \
         hand {:.1} cm an axis from where it was; in {}",
        outcome.steps,
        100.0 * training.place_m,
        args.model.display()
    );
    Ok(())
}
