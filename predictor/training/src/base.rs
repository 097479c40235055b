//! The model a predictor's training starts from.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context, Result};
use foresight_datasets::ClipOptions;
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Checkpoint, Part};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{layout, ModelConfig, PredictorConfig};

use crate::adapters::{self, Adapters};
use crate::card::{self, RunSummary};
use crate::episodes::Episodes;
use crate::estimate::StepShape;
use crate::init::start_at_persistence;
use crate::latent_clips::LatentClips;
use crate::latent_source::{open_folder, LatentSource};
use crate::level_two;
use crate::settings::{NewPredictor, Settings};
use crate::{PredictorTrainer, TrainState, TrainingDevice};

/// A model folder, and the predictor that learns behind its encoder.
pub struct Base {
    folder: PathBuf,
    checkpoint: Checkpoint,
    config: ModelConfig,
    /// The predictor's architecture.
    pub predictor: PredictorConfig,
    /// What a predictor that begins with random weights is; absent where the folder's learns on.
    new: Option<NewPredictor>,
}

impl Base {
    /// Opens the model folder of an encoder behind which a predictor begins with random weights,
    /// or, where the settings describe none, of a predictor that is fine-tuned.
    ///
    /// # Errors
    /// When it is no model folder, or has no predictor where one is needed, or one that is
    /// described can't be.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self> {
        let (checkpoint, mut config) = open_folder(folder)?;
        if settings.is_level_two() && config.predictor.is_none() {
            bail!(
                "{} has no action-conditioned predictor, which is the first level; train it before \
                 the second",
                folder.display()
            );
        }
        let new = settings.predictor.clone();
        if let Some(new) = &new {
            config.predictor = Some(new.config(&config.encoder, settings.data.frames));
            config.action_space = new.action_space.clone();
            let checked = config.validate().map_err(anyhow::Error::msg);
            checked.context("in the recipe's table predictor")?;
        }
        // Who is shown a longer past than it could see so far sees it from now on.
        let shown = NonZeroUsize::new(settings.data.frames.saturating_sub(1));
        if let Some(seen) = config
            .predictor
            .as_mut()
            .and_then(|p| p.context_steps.as_mut())
        {
            *seen = shown.map_or(*seen, |shown| shown.max(*seen));
        }
        let predictor = config.predictor.clone().ok_or_else(|| {
            anyhow!(
                "{} has an encoder but no action-conditioned predictor; `foresight train` makes \
                 one from scratch",
                folder.display()
            )
        })?;
        Ok(Base {
            folder: folder.to_owned(),
            checkpoint,
            config,
            predictor,
            new,
        })
    }

    /// Parameters of the predictor that these settings freeze.
    fn frozen(&self, settings: &Settings) -> Result<BTreeSet<String>> {
        let frozen = settings.trainable.frozen(&self.predictor);
        frozen.map_err(anyhow::Error::msg)
    }

    /// So many of the last blocks get adapters.
    fn adapted_blocks(&self, settings: &Settings) -> usize {
        settings
            .trainable
            .last_blocks
            .unwrap_or(self.predictor.depth)
    }

    /// Numbers of the predictor's parameters: those trained, and all.
    ///
    /// # Errors
    /// When the settings name parts it doesn't have.
    pub fn counts(&self, settings: &Settings) -> Result<[usize; 2]> {
        let frozen = self.frozen(settings)?;
        let entries = layout::predictor(&self.predictor);
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        if let Some(config) = &settings.adapters {
            let adapters = config.entries(&self.predictor, self.adapted_blocks(settings));
            return Ok([
                adapters.iter().map(|(_, shape)| size(shape)).sum(),
                entries.iter().map(|(_, shape)| size(shape)).sum(),
            ]);
        }
        let trained = entries.iter().filter(|(name, _)| !frozen.contains(name));
        Ok([
            trained.map(|(_, shape)| size(shape)).sum(),
            entries.iter().map(|(_, shape)| size(shape)).sum(),
        ])
    }

    /// A process's micro-batch.
    pub fn step_shape<'a>(
        &'a self,
        settings: &'a Settings,
        workers: usize,
        trained: usize,
        device: Option<&'a TrainingDevice>,
    ) -> StepShape<'a> {
        let share = settings.optimisation.batch_size / workers;
        StepShape {
            config: &self.predictor,
            loss: &settings.loss,
            clips: settings.memory.micro_batch.min(share),
            frames: settings.data.frames,
            recompute: settings.memory.recompute,
            trained,
            adapters: settings.adapters.is_some(),
            device,
        }
    }

    /// The predictor as something that learns, with [`Base::counts`].
    ///
    /// # Errors
    /// When its weights can't be read.
    pub fn state(&self, settings: &Settings) -> Result<(TrainState, [usize; 2])> {
        let parameters = self.parameters(settings)?;
        let state = TrainState::new(parameters).with_recomputation(settings.memory.recompute);
        let state = match &settings.adapters {
            None => state.with_frozen(self.frozen(settings)?)?,
            Some(config) => {
                let entries = config.entries(&self.predictor, self.adapted_blocks(settings));
                let seed = settings.optimisation.seed;
                state.with_adapters(Adapters::new(config, entries, seed))?
            }
        };
        Ok((state, self.counts(settings)?))
    }

    /// The predictor's weights at the start.
    fn parameters(&self, settings: &Settings) -> Result<Parameters> {
        let entries = layout::predictor(&self.predictor);
        let Some(new) = &self.new else {
            if settings.is_level_two() {
                return level_two::start(&self.folder, &self.checkpoint, &self.predictor);
            }
            let tensors = self.checkpoint.tensors(Part::AcPredictor, &entries)?;
            return Ok(Parameters::from_tensors(entries, &tensors)?);
        };
        let (mut parameters, seed) = (Parameters::zeros(entries), settings.optimisation.seed);
        initialise(&mut parameters, Part::AcPredictor, seed);
        if new.start_at_persistence && !start_at_persistence(&mut parameters) {
            bail!(
                "start_at_persistence needs predictor_embed_dim = {}, the encoder's width",
                self.config.encoder.latent_dim()
            );
        }
        Ok(parameters)
    }

    /// Clips to train and to validate on.
    ///
    /// # Errors
    /// When an episode can't be used and isn't to be skipped, or the cache can't be opened.
    pub fn clips(
        &self,
        settings: &Settings,
        episodes: Episodes,
        data: &Path,
        cache_root: &Path,
    ) -> Result<(LatentClips, LatentClips)> {
        let source = LatentSource::new(
            &self.checkpoint,
            &self.config,
            settings.transform(&self.config.encoder)?,
            settings.compute.device,
            settings
                .cache
                .enabled
                .then_some((cache_root, settings.cache.storage)),
        )?;
        let clips = |subset, path: &Path, options: ClipOptions| {
            source.clips(subset, path, options, self.predictor.clone())
        };
        let training = clips(episodes.training, data, settings.clip_options())?;
        let (root, options) = (&episodes.held_out_root, settings.held_out_options());
        Ok((training, clips(episodes.held_out, root, options)?))
    }

    /// The resulting model's description.
    pub fn config(&self, settings: &Settings) -> ModelConfig {
        let mut config = self.config.clone();
        if self.new.is_some() {
            if let Some(name) = &settings.output.name {
                config.name.clone_from(name);
            }
            return config;
        }
        config.name = match &settings.output.name {
            Some(name) => name.clone(),
            None => format!("{}-tuned", self.config.name),
        };
        config.action_space.fps = settings.data.fps;
        config
    }

    /// Writes the resulting model folder, card included.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(
        &self,
        trainer: &PredictorTrainer,
        summary: &RunSummary,
        settings: &Settings,
        folder: &Path,
    ) -> Result<()> {
        let dtype = settings.output.dtype.dtype();
        let parameters = trainer.state().parameters()?;
        if let Some(macro_actions) = summary.macro_actions {
            let (of, network) = (&self.folder, &self.predictor);
            return level_two::save(of, network, macro_actions, &parameters, summary, folder);
        }
        if let (Some(adapters), Some(beside)) = (trainer.state().adapters(), folder.parent()) {
            let tensors = adapters.values()?.to_tensors()?.into_iter().collect();
            let file = beside.join(adapters::FILE);
            candle_core::safetensors::save(&tensors, &file)
                .with_context(|| format!("writing {}", file.display()))?;
        }
        if self.new.is_some() {
            let entries = layout::encoder(&self.config.encoder);
            let encoder = self.checkpoint.tensors(Part::Encoder, &entries)?;
            let predictor = parameters.to_tensors()?;
            checkpoint::save(folder, summary.config, &encoder, Some(&predictor), dtype)?;
            return Ok(());
        }
        checkpoint::save_tuned(&self.checkpoint, summary.config, &parameters, dtype, folder)?;
        let card = folder.join(card::FILE);
        std::fs::write(&card, summary.card()).with_context(|| format!("writing {}", card.display()))
    }
}
