//! Recorded episodes as latents of a frozen encoder: what `train` and `clone` learn from.

use std::path::Path;

use anyhow::{bail, Context, Result};
use foresight_datasets::{EpisodeSet, LoadOptions, Split};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::transform::normalised_pixels;
use foresight_predictor::{backend, EncoderConfig};

/// Frames encoded at a time.
const FRAMES_AT_ONCE: usize = 512;

/// Episodes and the normalised latents of their frames.
pub struct LatentSet {
    /// The episodes.
    pub set: EpisodeSet,
    /// Tokens of a frame, `N`.
    pub tokens: usize,
    /// Width of a token, `D`.
    pub width: usize,
    /// `[steps, N·D]`.
    latents: Vec<f32>,
}

impl LatentSet {
    /// Loads the episodes of one split and encodes their frames.
    ///
    /// # Errors
    /// When recordings can't be used or have frames of another size than the encoder's.
    pub fn load(
        path: &Path,
        split: Split,
        config: &EncoderConfig,
        encoder: &Parameters,
    ) -> Result<Self> {
        let options = LoadOptions {
            split: Some(split),
            ..LoadOptions::default()
        };
        let set = EpisodeSet::load(path, &options)
            .with_context(|| format!("loading {}", path.display()))?;
        let [height, width] = config.img_size;
        if (set.height() as usize, set.width() as usize) != (height, width) {
            bail!(
                "the frames in {} are {}×{} px but the encoder takes {width}×{height}; record \
                 with --image-px {width}",
                path.display(),
                set.width(),
                set.height()
            );
        }
        let mut latents = Vec::new();
        let mut from = 0;
        while from < set.steps() {
            let to = (from + FRAMES_AT_ONCE).min(set.steps());
            let pixels = normalised_pixels(set.frames_of(from..to), config.img_size);
            let size = config.img_size;
            latents.extend(backend::encode(config, encoder, &pixels, size));
            from = to;
        }
        Ok(LatentSet {
            set,
            tokens: config.tokens_per_frame(),
            width: config.embed_dim,
            latents,
        })
    }

    /// The latent of one step, `[N·D]`.
    pub fn of(&self, step: usize) -> &[f32] {
        let size = self.tokens * self.width;
        &self.latents[step * size..(step + 1) * size]
    }
}
