//! The training loop: steps, validation, log, checkpoints, resume.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::PredictorError;
use crate::train::learner::Learner;
use crate::train::recipe::Optimisation;
use crate::train::state;

/// Loss parts by name, in a fixed order.
pub type Parts = Vec<(&'static str, f64)>;

/// Something that can be trained step by step. What a step trains on must be a pure function of
/// its number, so that a resumed run goes on as if it had never stopped.
pub trait Task {
    /// The network.
    fn learner(&mut self) -> &mut Learner;
    /// Gradients of step `step`, counted from 0; returns the loss parts.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn gradients(&mut self, step: usize) -> Result<Parts, PredictorError>;
    /// Held-out loss parts; the first is what "best" means, lower being better.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn validate(&mut self) -> Result<Parts, PredictorError>;
}

/// How often things happen, and where.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder of the run: `log.csv`, `state.safetensors`, `best.safetensors`.
    pub folder: PathBuf,
    /// Go on from `state.safetensors` if it is there.
    pub resume: bool,
    /// Steps between lines in the log. Default 20.
    pub log_every: usize,
    /// Steps between validations. Default 200.
    pub validate_every: usize,
    /// Steps between checkpoints. Default 200.
    pub checkpoint_every: usize,
}

impl RunOptions {
    /// The defaults, in `folder`.
    pub fn new(folder: &Path) -> Self {
        RunOptions {
            folder: folder.to_path_buf(),
            resume: false,
            log_every: 20,
            validate_every: 200,
            checkpoint_every: 200,
        }
    }
}

/// What is shown while training.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub total: usize,
    /// Learning rate of this step.
    pub rate: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Seconds since this process began training.
    pub seconds: f64,
    /// Loss parts of this step.
    pub training: Parts,
    /// Held-out loss parts, when this step validated.
    pub validation: Option<Parts>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps done, over all processes of the run.
    pub steps: usize,
    /// Best held-out loss.
    pub best: f64,
    /// Whether it was interrupted; `--resume` goes on.
    pub interrupted: bool,
}

/// Trains `task` to the end of its schedule, or until `stop` is raised. Leaves the best weights
/// in `task`'s learner when it ends by itself.
///
/// # Errors
/// When the disk refuses, a loss is not finite, or a tensor operation fails.
pub fn run(
    task: &mut dyn Task,
    optimisation: &Optimisation,
    options: &RunOptions,
    stop: &AtomicBool,
    mut show: impl FnMut(&Progress),
) -> Result<Outcome, PredictorError> {
    let folder = &options.folder;
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PredictorError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let state_file = folder.join(state::STATE_FILE);
    let best_file = folder.join("best.safetensors");
    let (mut done, mut best) = (0, f64::INFINITY);
    if options.resume && state_file.exists() {
        (done, best) = state::restore(&state_file, task.learner())?;
    }
    let log_path = folder.join("log.csv");
    let mut log = open_log(&log_path, done).map_err(io(&log_path))?;
    let total = optimisation.schedule.total_steps;
    let started = Instant::now();
    while done < total && !stop.load(Ordering::Relaxed) {
        let rate = optimisation.schedule.rate(done);
        let training = task.gradients(done)?;
        if let Some((name, value)) = training.iter().find(|(_, v)| !v.is_finite()) {
            return Err(PredictorError::Model(format!(
                "the {name} loss is {value} at step {done}; lower the learning rate or clip the \
                 gradient (optimisation.schedule.reference, optimisation.clip_norm). The state \
                 before it is in {}",
                state_file.display()
            )));
        }
        let gradient_norm =
            task.learner()
                .update(rate, optimisation.weight_decay, optimisation.clip_norm)?;
        done += 1;
        let due = |every: usize| done % every.max(1) == 0 || done == total;
        let validation = if due(options.validate_every) {
            let parts = task.validate()?;
            let score = parts.first().map_or(f64::INFINITY, |(_, v)| *v);
            if score < best {
                best = score;
                state::save(&best_file, task.learner(), done, best)?;
            }
            Some(parts)
        } else {
            None
        };
        if due(options.checkpoint_every) {
            state::save(&state_file, task.learner(), done, best)?;
        }
        if due(options.log_every) || validation.is_some() {
            let progress = Progress {
                step: done,
                total,
                rate,
                gradient_norm,
                seconds: started.elapsed().as_secs_f64(),
                training,
                validation,
            };
            write_log(&mut log, &progress).map_err(io(&log_path))?;
            show(&progress);
        }
    }
    let interrupted = done < total;
    if interrupted {
        state::save(&state_file, task.learner(), done, best)?;
    } else if best_file.exists() {
        let mut kept = f64::INFINITY;
        if best.is_finite() {
            (_, kept) = state::restore(&best_file, task.learner())?;
        }
        best = best.min(kept);
    }
    Ok(Outcome {
        steps: done,
        best,
        interrupted,
    })
}

/// Appends when resuming, else starts a new log.
fn open_log(path: &Path, done: usize) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .append(done > 0)
        .truncate(done == 0)
        .open(path)
}

/// One line per part: `step,seconds,rate,gradient_norm,split,part,value`.
fn write_log(log: &mut File, p: &Progress) -> std::io::Result<()> {
    let mut line = |split: &str, parts: &Parts| -> std::io::Result<()> {
        for (name, value) in parts {
            writeln!(
                log,
                "{},{:.1},{:e},{:.4},{split},{name},{value:.6}",
                p.step, p.seconds, p.rate, p.gradient_norm
            )?;
        }
        Ok(())
    };
    line("train", &p.training)?;
    match &p.validation {
        Some(parts) => line("validation", parts),
        None => Ok(()),
    }
}
