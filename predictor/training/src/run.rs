//! The training loop: steps, validation, log, checkpoints, resume.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::log::Log;
pub use crate::log::{Parts, Progress};
use crate::optimisation::Optimisation;
use crate::state::{self, Position};
use crate::train_state::TrainState;
use crate::workers::{Alone, Workers};
use foresight_predictor::error::PredictorError;

/// Name of the file with the best weights so far in a run's folder.
pub const BEST_FILE: &str = "best.safetensors";

/// Something that can be trained step by step. What a step trains on must be a pure function of
/// its number, so that a resumed run goes on as if it had never stopped.
pub trait TrainingTask {
    /// The network.
    fn state(&mut self) -> &mut TrainState;
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
    /// Seconds spent waiting for data so far.
    fn waited_s(&self) -> f64 {
        0.0
    }
}

/// How often things happen, and where.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder of the run: log, TensorBoard's files, `state.safetensors`, `best.safetensors`.
    pub folder: PathBuf,
    /// Go on from `state.safetensors` if it is there.
    pub resume: bool,
    /// Steps between lines in the log. Default 20.
    pub log_every: usize,
    /// Steps between validations. Default 200.
    pub validate_every: usize,
    /// Steps between checkpoints. Default 200.
    pub checkpoint_every: usize,
    /// Whether the starting weights are validated too, and kept if nothing is better: for
    /// weights that are already good. Default false.
    pub validate_first: bool,
    /// The processes that train together. Default: one.
    pub workers: Rc<dyn Workers>,
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
            validate_first: false,
            workers: Rc::new(Alone),
        }
    }
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
/// in the state of `task` when it ends by itself (in worker 0, where there are several).
///
/// # Errors
/// When the folder has a run that it isn't asked to go on with, the disk refuses, a loss is not finite, or a
/// tensor operation fails.
pub fn run(
    task: &mut dyn TrainingTask,
    optimisation: &Optimisation,
    options: &RunOptions,
    stop: &AtomicBool,
    show: impl FnMut(&Progress),
) -> Result<Outcome, PredictorError> {
    let folder = &options.folder;
    let begun = state::begun(folder, options.resume)?;
    std::fs::create_dir_all(folder).map_err(|source| PredictorError::Io {
        path: folder.clone(),
        source,
    })?;
    let state_file = folder.join(state::STATE_FILE);
    let mut at = Position {
        step: 0,
        best: f64::INFINITY,
    };
    if begun {
        at = state::restore(&state_file, task.state())?;
    }
    let leads = options.workers.rank() == 0;
    let mut running = Running {
        optimisation,
        options,
        log: leads.then(|| Log::open(folder, at.step)).transpose()?,
        state_file,
        best_file: folder.join(BEST_FILE),
        started: Instant::now(),
        first: at.step,
        at,
        show,
    };
    if at.step == 0 && options.validate_first {
        running.validate_start(task)?;
    }
    let total = optimisation.schedule.total_steps;
    while running.at.step < total && !options.workers.any(stop.load(Ordering::Relaxed))? {
        running.step(task)?;
    }
    running.finish(task)
}

/// A run in progress.
struct Running<'a, F> {
    optimisation: &'a Optimisation,
    options: &'a RunOptions,
    /// Worker 0 keeps it.
    log: Option<Log>,
    state_file: PathBuf,
    best_file: PathBuf,
    started: Instant,
    /// The step this process began at.
    first: usize,
    at: Position,
    show: F,
}

impl<F: FnMut(&Progress)> Running<'_, F> {
    fn step(&mut self, task: &mut dyn TrainingTask) -> Result<(), PredictorError> {
        let rate = self.optimisation.schedule.rate(self.at.step);
        let training = task.gradients(self.at.step)?;
        let training = self.exchange(task, training)?;
        if let Some((name, value)) = training.iter().find(|(_, v)| !v.is_finite()) {
            return Err(PredictorError::Model(format!(
                "the {name} loss is {value} at step {}; lower the learning rate or clip the \
                 gradient (optimisation.schedule.reference, optimisation.clip_norm). The last \
                 checkpoint is {}",
                self.at.step,
                self.state_file.display()
            )));
        }
        let decay = self.optimisation.weight_decay_at(self.at.step);
        let clip = self.optimisation.clip_norm;
        let gradient_norm = task.state().update(rate, decay, clip)?;
        self.at.step += 1;
        if self.log.is_none() {
            return Ok(());
        }
        let validation = if self.due(self.options.validate_every) {
            Some(self.validate(task)?)
        } else {
            None
        };
        if self.due(self.options.log_every) || validation.is_some() {
            self.report(task, rate, gradient_norm, training, validation)?;
        }
        // After the log: what it says beyond the last checkpoint is dropped and said again, what
        // it doesn't say up to there would be lost.
        if self.due(self.options.checkpoint_every) {
            state::save(&self.state_file, task.state(), self.at)?;
        }
        Ok(())
    }

    /// Means over all workers in place of this worker's gradients and losses.
    fn exchange(&self, task: &mut dyn TrainingTask, parts: Parts) -> Result<Parts, PredictorError> {
        let workers = &self.options.workers;
        if workers.size() == 1 {
            return Ok(parts);
        }
        workers.average(&mut task.state().gradients()?)?;
        let mut values: Vec<f64> = parts.iter().map(|(_, v)| *v).collect();
        workers.average_parts(&mut values)?;
        let names = parts.iter().map(|(name, _)| *name);
        Ok(names.zip(values).collect())
    }

    fn due(&self, every: usize) -> bool {
        let total = self.optimisation.schedule.total_steps;
        self.at.step.is_multiple_of(every.max(1)) || self.at.step == total
    }

    /// Held-out losses; weights better than all before are kept.
    fn validate(&mut self, task: &mut dyn TrainingTask) -> Result<Parts, PredictorError> {
        let parts = task.validate()?;
        let score = parts.first().map_or(f64::INFINITY, |(_, v)| *v);
        if score < self.at.best {
            self.at.best = score;
            state::save_parameters(&self.best_file, task.state(), self.at)?;
        }
        Ok(parts)
    }

    fn validate_start(&mut self, task: &mut dyn TrainingTask) -> Result<(), PredictorError> {
        if self.log.is_none() {
            return Ok(());
        }
        let parts = self.validate(task)?;
        let rate = self.optimisation.schedule.rate(0);
        self.report(task, rate, 0.0, Parts::new(), Some(parts))
    }

    fn report(
        &mut self,
        task: &dyn TrainingTask,
        rate: f64,
        gradient_norm: f64,
        training: Parts,
        validation: Option<Parts>,
    ) -> Result<(), PredictorError> {
        let total = self.optimisation.schedule.total_steps;
        let seconds = self.started.elapsed().as_secs_f64();
        let steps = (self.at.step - self.first) as f64;
        let samples = self.optimisation.batch_size;
        let progress = Progress {
            step: self.at.step,
            total,
            rate,
            gradient_norm,
            seconds,
            samples_per_s: steps * samples as f64 / seconds.max(1e-9),
            data_wait_share: task.waited_s() / seconds.max(1e-9),
            remaining_s: seconds / steps.max(1.0) * (total - self.at.step) as f64,
            training,
            validation,
        };
        if let Some(log) = &mut self.log {
            log.write(&progress)?;
        }
        (self.show)(&progress);
        Ok(())
    }

    fn finish(mut self, task: &mut dyn TrainingTask) -> Result<Outcome, PredictorError> {
        let interrupted = self.at.step < self.optimisation.schedule.total_steps;
        if self.log.is_some() {
            if interrupted {
                state::save(&self.state_file, task.state(), self.at)?;
            } else if self.best_file.exists() && self.at.best.is_finite() {
                let kept = state::restore_parameters(&self.best_file, task.state())?;
                self.at.best = self.at.best.min(kept.best);
            }
        }
        Ok(Outcome {
            steps: self.at.step,
            best: self.at.best,
            interrupted,
        })
    }
}
