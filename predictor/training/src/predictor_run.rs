//! A predictor's run from its settings to its model folder: fine-tuning, and training from random
//! weights.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Result;
use foresight_datasets::EpisodeStore;
use foresight_predictor::checkpoint::{self, WEIGHTS_FILE};
use foresight_predictor::level_two::MacroActions;

use crate::base::Base;
use crate::card::{self, RunSummary};
use crate::feed::{readers, Share};
use crate::memory::{self, Estimate};
use crate::origin::{plain, Inputs, Origin};
use crate::predictor_task::PredictorTask;
use crate::run::{Outcome, Parts, RunOptions, TrainingTask};
use crate::settings::Settings;
use crate::workers::Workers;
use crate::{episodes, level_two, log, surprise, PredictorTrainer, TrainingDevice};

/// Files a run reads and writes.
#[derive(Debug, Clone)]
pub struct Files {
    /// Folder of the model it starts from, or of the encoder.
    pub model: PathBuf,
    /// Episodes to learn from.
    pub data: PathBuf,
    /// Episodes to validate on; a part of the others when absent.
    pub validation: Option<PathBuf>,
    /// Folder of the run.
    pub out: PathBuf,
    /// Folder of the latent cache; `latents` in the run's when absent.
    pub cache: Option<PathBuf>,
    /// Whether it goes on where an earlier run in its folder stopped.
    pub resume: bool,
}

/// A run, ready to begin.
pub struct PredictorRun {
    base: Base,
    settings: Settings,
    files: Files,
    origin: Origin,
    task: PredictorTask,
    options: RunOptions,
    /// Parameters trained, and all.
    trained: [usize; 2],
    left_out: usize,
    length_mismatches: usize,
    /// Of a second level: which macro-actions it learns from.
    macro_actions: Option<MacroActions>,
}

impl PredictorRun {
    /// Reads what the run needs and enters its folder. Faults of the inputs come first.
    ///
    /// # Errors
    /// When model or data can't be used, or the folder has another run.
    pub fn prepare(
        base: Base,
        settings: Settings,
        files: Files,
        device: Option<&TrainingDevice>,
        workers: &Rc<dyn Workers>,
    ) -> Result<Self> {
        let episodes = episodes::open(&files.data, files.validation.as_deref(), &settings.data)?;
        let origin = Origin {
            program_version: env!("CARGO_PKG_VERSION").into(),
            inputs: Inputs {
                model: plain(&files.model),
                model_sha256: checkpoint::sha256(&files.model.join(WEIGHTS_FILE))?,
                data: plain(&files.data),
                episodes: episodes.training.episodes().len(),
                validation: episodes.held_out_by.clone(),
                validation_episodes: episodes.held_out.episodes().len(),
            },
            settings: settings.clone(),
        };
        if workers.rank() == 0 {
            origin.enter(&files.out, files.resume)?;
        }
        let cache = files
            .cache
            .clone()
            .unwrap_or_else(|| files.out.join("latents"));
        let (mut training, held_out) = base.clips(&settings, episodes, &files.data, &cache)?;
        let both = [&training, &held_out];
        let left_out = both
            .iter()
            .map(|c| episodes::name_left_out(c.source()))
            .sum();
        let length_mismatches = both
            .iter()
            .map(|c| episodes::name_length_mismatches(c.source()))
            .sum();
        let macro_actions = match settings.is_level_two() {
            true => Some(level_two::macro_actions(&training)?),
            false => None,
        };
        let (state, trained) = base.state(&settings)?;
        let shape = base.step_shape(&settings, workers.size(), trained[0], device);
        let share = Share {
            batch_size: settings.optimisation.batch_size,
            rank: workers.rank(),
            size: workers.size(),
            micro_batch: shape.clips,
        };
        let begins = [files.resume, workers.rank() == 0];
        let directions = surprise::directions(&settings, &training, &files.out, begins)?;
        if let Some(directions) = &directions {
            surprise::emphasise(&settings, &mut training, directions)?;
        }
        let trainer = PredictorTrainer::with_state(base.predictor.clone(), state, settings.loss)
            .on(device.cloned())
            .along(directions);
        let clips = settings.run.validation_clips;
        let readers = readers(settings.data.workers)?;
        let task = PredictorTask::new(trainer, training, held_out, clips, share, &readers);
        let mut options = RunOptions::new(&files.out);
        options.resume = files.resume;
        options.log_every = settings.run.log_every;
        options.validate_every = settings.run.validate_every;
        options.checkpoint_every = settings.run.checkpoint_every;
        // Weights that are good already are kept if nothing is better.
        options.validate_first = settings.predictor.is_none();
        options.workers = Rc::clone(workers);
        Ok(PredictorRun {
            base,
            settings,
            files,
            origin,
            task,
            options,
            trained,
            left_out,
            length_mismatches,
            macro_actions,
        })
    }

    /// What it will take.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn estimate(&self, device: Option<&TrainingDevice>) -> Result<Estimate> {
        let workers = self.options.workers.size();
        let shape = self
            .base
            .step_shape(&self.settings, workers, self.trained[0], device);
        memory::estimate(&shape, &self.settings, workers)
    }

    /// What the training loop needs.
    pub fn parts(&mut self) -> (&mut PredictorTask, &Settings, &RunOptions) {
        (&mut self.task, &self.settings, &self.options)
    }

    /// Writes the resulting model folder, a fine-tuned model's card included.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(mut self, outcome: &Outcome) -> Result<Finished> {
        let folder = self.files.out.join("model");
        let after = named(&self.task.validate()?);
        let clips_left_out = self.task.skipped();
        let trainer = self.task.into_trainer();
        let summary = RunSummary {
            config: &self.base.config(&self.settings),
            origin: &self.origin,
            before: log::validation_at(&self.files.out, 0),
            after,
            steps: outcome.steps,
            workers: self.options.workers.size(),
            trained: self.trained,
            left_out: [self.left_out, clips_left_out],
            length_mismatches: self.length_mismatches,
            macro_actions: self.macro_actions,
            base_card: std::fs::read_to_string(self.files.model.join(card::FILE)).ok(),
        };
        self.base
            .save(&trainer, &summary, &self.settings, &folder)?;
        Ok(Finished {
            folder,
            before: summary.before,
            after: summary.after,
        })
    }
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The model folder.
    pub folder: PathBuf,
    /// Held-out loss parts of the starting weights, if they are known.
    pub before: Vec<(String, f64)>,
    /// Held-out loss parts of the weights in the folder.
    pub after: Vec<(String, f64)>,
}

impl Finished {
    /// One of the final loss parts.
    pub fn after(&self, part: &str) -> f64 {
        let found = self.after.iter().find(|(name, _)| name == part);
        found.map_or(f64::NAN, |(_, value)| *value)
    }
}

fn named(parts: &Parts) -> Vec<(String, f64)> {
    let owned = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
    parts.iter().map(owned).collect()
}
