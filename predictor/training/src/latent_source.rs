//! From recordings to latents of a model folder's encoder.

use std::path::Path;
use std::sync::Arc;

use anyhow::{anyhow, Context, Result};
use foresight_datasets::{ClipOptions, ClipSampler, Subset};
use foresight_predictor::checkpoint::{self, Checkpoint, Part};
use foresight_predictor::{ComputeDevice, ModelConfig, PredictorConfig};

use crate::frame_transform::FrameTransform;
use crate::frozen_encoder::FrozenEncoder;
use crate::latent_cache::{LatentCache, LatentStorage};
use crate::latent_clips::LatentClips;

/// An encoder with what it sees of frames, and a cache of what it made of them.
pub(crate) struct LatentSource {
    encoder: Arc<FrozenEncoder>,
    transform: FrameTransform,
    cache: Option<Arc<LatentCache>>,
}

impl LatentSource {
    /// The encoder of a model folder; `cache` says where its latents are kept and in which
    /// numbers.
    ///
    /// # Errors
    /// When the cache can't be opened.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        config: &ModelConfig,
        transform: FrameTransform,
        device: ComputeDevice,
        cache: Option<(&Path, LatentStorage)>,
    ) -> Result<Self> {
        let cache = match cache.filter(|_| transform.is_fixed()) {
            None => None,
            Some((root, storage)) => {
                let sha = checkpoint::part_sha256(checkpoint, Part::Encoder)?;
                let cache = LatentCache::open(root, &config.encoder, &sha, &transform, storage)?;
                Some(Arc::new(cache))
            }
        };
        let encoder = FrozenEncoder::lazy(checkpoint.clone(), config.encoder.clone(), device);
        Ok(LatentSource {
            encoder: Arc::new(encoder),
            transform,
            cache,
        })
    }

    /// Clips of some episodes of the dataset at `path`, as `network` sees them.
    ///
    /// # Errors
    /// When an episode can't be used and isn't to be left out.
    pub(crate) fn clips(
        &self,
        episodes: Subset,
        path: &Path,
        options: ClipOptions,
        network: PredictorConfig,
    ) -> Result<LatentClips> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let dataset = path.display().to_string();
        let source = ClipSampler::new(Box::new(episodes), options)
            .with_context(|| format!("in {dataset}"))?;
        let (encoder, transform) = (Arc::clone(&self.encoder), self.transform.clone());
        let cache = self.cache.clone();
        let clips = LatentClips::new(source, &dataset, encoder, transform, network, cache);
        Ok(clips)
    }
}

/// A model folder and what it says of itself.
///
/// # Errors
/// When it is no model folder.
pub(crate) fn open_folder(folder: &Path) -> Result<(Checkpoint, ModelConfig)> {
    let checkpoint = Checkpoint::open(folder)
        .with_context(|| format!("opening the model {}", folder.display()))?;
    let config = checkpoint.config().cloned().ok_or_else(|| {
        anyhow!(
            "{} is a checkpoint, but no model folder of ours; make one with `foresight model \
             convert`",
            folder.display()
        )
    })?;
    Ok((checkpoint, config))
}
