//! The model a run starts from.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::estimate::StepShape;
use crate::latent_cache::LatentCache;
use crate::{Learner, PredictorTrainer, TrainingDevice};
use anyhow::{anyhow, Context, Result};
use candle_core::DType;
use foresight_datasets::EpisodeClips;
use foresight_predictor::checkpoint::{self, Checkpoint, Part};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::{layout, ModelConfig, PredictorConfig};

use super::card::{self, Summary};
use super::clips::{Encoder, LatentClips};
use super::episodes::Episodes;
use super::settings::{Dtype, Settings};

/// A model folder with a predictor.
pub struct Base {
    checkpoint: Checkpoint,
    config: ModelConfig,
    /// Its predictor's architecture.
    pub predictor: PredictorConfig,
}

impl Base {
    /// Opens a model folder.
    ///
    /// # Errors
    /// When it is no model folder, or has no predictor.
    pub fn open(folder: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)
            .with_context(|| format!("opening the model {}", folder.display()))?;
        let config = checkpoint.config().cloned().ok_or_else(|| {
            anyhow!(
                "{} is a checkpoint, but no model folder of ours; make one with `foresight model \
                 convert`",
                folder.display()
            )
        })?;
        let predictor = config.predictor.clone().ok_or_else(|| {
            anyhow!(
                "{} has an encoder but no action-conditioned predictor; `foresight train` makes \
                 one from scratch",
                folder.display()
            )
        })?;
        Ok(Base {
            checkpoint,
            config,
            predictor,
        })
    }

    /// Parameters of the predictor that these settings freeze.
    fn frozen(&self, settings: &Settings) -> Result<BTreeSet<String>> {
        let frozen = settings.trainable.frozen(&self.predictor);
        frozen.map_err(anyhow::Error::msg)
    }

    /// Numbers of the predictor's parameters: those trained, and all.
    ///
    /// # Errors
    /// When the settings name parts it doesn't have.
    pub fn counts(&self, settings: &Settings) -> Result<[usize; 2]> {
        let frozen = self.frozen(settings)?;
        let entries = layout::predictor(&self.predictor);
        let size = |shape: &[usize]| shape.iter().product::<usize>();
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
            device,
        }
    }

    /// The predictor as something that learns, with [`Base::counts`].
    ///
    /// # Errors
    /// When its weights can't be read.
    pub fn learner(&self, settings: &Settings) -> Result<(Learner, [usize; 2])> {
        let entries = layout::predictor(&self.predictor);
        let tensors = self.checkpoint.tensors(Part::AcPredictor, &entries)?;
        let parameters = Parameters::from_tensors(entries, &tensors)?;
        drop(tensors);
        let learner = Learner::new(parameters)
            .with_frozen(self.frozen(settings)?)?
            .with_recomputation(settings.memory.recompute);
        Ok((learner, self.counts(settings)?))
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
        let transform = settings.transform(self.config.encoder.img_size);
        let cache = if settings.cache.enabled && transform.is_fixed() {
            let sha = checkpoint::part_sha256(&self.checkpoint, Part::Encoder)?;
            let (encoder, storage) = (&self.config.encoder, settings.cache.storage);
            let cache = LatentCache::open(cache_root, encoder, &sha, &transform, storage)?;
            Some(Arc::new(cache))
        } else {
            None
        };
        let encoder = Arc::new(Encoder::lazy(
            self.checkpoint.clone(),
            self.config.encoder.clone(),
            settings.compute.device,
        ));
        let clips = |subset, dataset: String| -> Result<LatentClips> {
            let source = EpisodeClips::new(Box::new(subset), settings.clip_options())
                .with_context(|| format!("in {dataset}"))?;
            Ok(LatentClips::new(
                source,
                &dataset,
                Arc::clone(&encoder),
                transform.clone(),
                self.predictor.clone(),
                cache.clone(),
            ))
        };
        let dataset = |path: &Path| {
            let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            path.display().to_string()
        };
        let held_out_name = dataset(&episodes.held_out_root);
        Ok((
            clips(episodes.training, dataset(data))?,
            clips(episodes.held_out, held_out_name)?,
        ))
    }

    /// The resulting model's description.
    pub fn config(&self, settings: &Settings) -> ModelConfig {
        let mut config = self.config.clone();
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
        summary: &Summary,
        dtype: Dtype,
        folder: &Path,
    ) -> Result<()> {
        let dtype = match dtype {
            Dtype::F32 => DType::F32,
            Dtype::Bf16 => DType::BF16,
            Dtype::F16 => DType::F16,
        };
        let parameters = trainer.learner().parameters()?;
        checkpoint::save_tuned(&self.checkpoint, summary.config, &parameters, dtype, folder)?;
        let card = folder.join(card::FILE);
        std::fs::write(&card, summary.card()).with_context(|| format!("writing {}", card.display()))
    }
}
