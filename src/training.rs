//! What training commands share: arguments, progress, Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

use anyhow::Result;
use clap::Args;
use foresight_training::optimisation::Optimisation;
use foresight_training::origin::{plain, RecipeOrigin};
use foresight_training::run::{run, Outcome, Parts, Progress, RunOptions, TrainingTask};
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::Serialize;

/// Raised by Ctrl-C: whatever trains saves and stops. A command can train several things.
static STOP: OnceLock<AtomicBool> = OnceLock::new();

/// Options of every training run.
#[derive(Debug, Args)]
pub(crate) struct TrainingArgs {
    /// Recipe (TOML).
    pub recipe: PathBuf,
    /// Episodes to train on: recordings of ours, a DROID-raw root, an index (from `foresight dataset
    /// index`), a list of episode folders, or a LeRobot v3 folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Episodes to validate on; a part of --data when absent.
    #[arg(long)]
    pub validation: Option<PathBuf>,
    /// One value of the recipe, over the file's; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of this run: state, log and the resulting model in `model/`.
    #[arg(long)]
    pub out: PathBuf,
    /// Go on where an earlier run in this folder stopped.
    #[arg(long)]
    pub resume: bool,
    /// Steps between checkpoints and validations; 200 when absent, or what a recipe of `train` says.
    #[arg(long)]
    pub every: Option<usize>,
    /// One JSON object on standard output at the end.
    #[arg(long)]
    pub json: bool,
}

impl TrainingArgs {
    /// Where and how often things happen.
    ///
    /// # Errors
    /// When the folder has a run that it isn't asked to go on with, or another one than of `recipe` and `inputs`
    /// (by the names of their options).
    pub(crate) fn options<R: Clone + Serialize + DeserializeOwned>(
        &self,
        recipe: &R,
        inputs: &[(&str, Option<&Path>)],
    ) -> Result<RunOptions> {
        let data = [
            ("data", Some(&*self.data)),
            ("validation", self.validation.as_deref()),
        ];
        enter(recipe, &[&data, inputs].concat(), &self.out, self.resume)?;
        let mut options = RunOptions::new(&self.out);
        options.resume = self.resume;
        if let Some(every) = self.every {
            options.checkpoint_every = every;
            options.validate_every = every;
        }
        Ok(options)
    }

    /// Says what became of it: `what` was trained, its held-out `measure`, the folder it was written to.
    pub(crate) fn tell(&self, [what, measure]: [&str; 2], outcome: &Outcome, folder: &Path) {
        let Outcome {
            steps,
            best,
            interrupted,
        } = outcome;
        if self.json {
            println!(
                "{}",
                serde_json::json!({
                    "model": folder, "steps": steps, "best": best, "interrupted": interrupted,
                })
            );
        } else {
            println!(
                "{what} after {steps} steps, held-out {measure} {best:.4}: {}",
                folder.display()
            );
        }
    }
}

/// Enters the folder of a recipe's run.
///
/// # Errors
/// When it has a run that isn't to be gone on with, or another one.
pub(crate) fn enter<R: Clone + Serialize + DeserializeOwned>(
    recipe: &R,
    inputs: &[(&str, Option<&Path>)],
    folder: &Path,
    resume: bool,
) -> Result<bool> {
    let given = inputs.iter();
    let given = given.filter_map(|(name, path)| Some(((*name).to_owned(), plain((*path)?))));
    RecipeOrigin {
        program_version: env!("CARGO_PKG_VERSION").into(),
        inputs: given.collect(),
        recipe: recipe.clone(),
    }
    .enter(folder, resume)
}

/// Runs a task with a progress bar (plain lines when not a terminal); Ctrl-C saves and stops.
///
/// # Errors
/// When training fails; the last checkpoint stays.
pub(crate) fn train(
    task: &mut dyn TrainingTask,
    optimisation: &Optimisation,
    options: &RunOptions,
) -> Result<Outcome> {
    let stop = STOP.get_or_init(|| {
        if let Err(error) = ctrlc::set_handler(|| {
            if let Some(stop) = STOP.get() {
                stop.store(true, Ordering::Relaxed);
            }
        }) {
            tracing::warn!("Ctrl-C will not save a checkpoint: {error}");
        }
        AtomicBool::new(false)
    });
    let bar = ProgressBar::new(optimisation.schedule.total_steps as u64).with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} steps, {eta} left  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let outcome = run(task, optimisation, options, stop, |progress| {
        bar.set_position(progress.step as u64);
        bar.set_message(describe(&progress.training));
        if progress.validation.is_some() || bar.is_hidden() {
            let line = summary(progress);
            if bar.is_hidden() {
                eprintln!("{line}");
            } else {
                bar.println(line);
            }
        }
    })?;
    bar.finish_and_clear();
    if outcome.interrupted {
        eprintln!(
            "stopped after {} steps and saved; the same command with --resume goes on",
            outcome.steps
        );
    }
    Ok(outcome)
}

fn describe(parts: &Parts) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    parts.join("  ")
}

fn summary(p: &Progress) -> String {
    let mut line = format!("step {}/{}  {:.0} s", p.step, p.total, p.seconds);
    if !p.training.is_empty() {
        line += &format!(
            "  rate {:.1e}  |g| {:.2}  {:.1} samples/s  {:.0} % waiting for data  {:.0} s left  {}",
            p.rate,
            p.gradient_norm,
            p.samples_per_s,
            100.0 * p.data_wait_share,
            p.remaining_s,
            describe(&p.training)
        );
    }
    if let Some(validation) = &p.validation {
        line.push_str("  | held out: ");
        line.push_str(&describe(validation));
    }
    line
}
