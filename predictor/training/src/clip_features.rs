//! Features of films from a frozen encoder, clip by clip.

use std::path::Path;

use anyhow::{Context, Result};
use foresight_datasets::{Film, FilmClip, FilmSampling};
use foresight_predictor::transform::ImageTransform;
use foresight_predictor::{ClipEncoder, ClipEncoderOptions};
use image::RgbImage;

/// A frozen encoder and how films are cut for it.
#[derive(Debug)]
pub struct ClipFeatures {
    encoder: ClipEncoder,
    transform: ImageTransform,
    sampling: FilmSampling,
    /// Tokens over time, rows and columns of a clip.
    grid: [usize; 3],
}

impl ClipFeatures {
    /// The encoder of a model folder or checkpoint, for clips as `sampling` cuts them.
    ///
    /// # Errors
    /// When the model can't be used, or its encoder takes no clips of that length.
    pub fn load(model: &Path, options: ClipEncoderOptions, sampling: FilmSampling) -> Result<Self> {
        sampling.check()?;
        let encoder = ClipEncoder::load(model, options)?;
        let features = ClipFeatures::new(encoder, sampling);
        features.with_context(|| format!("with the model {}", model.display()))
    }

    /// As [`ClipFeatures::load`], of an encoder in memory.
    ///
    /// # Errors
    /// As there.
    pub fn new(encoder: ClipEncoder, sampling: FilmSampling) -> Result<Self> {
        sampling.check()?;
        Ok(ClipFeatures {
            grid: encoder.grid(sampling.frames)?,
            transform: ImageTransform::new(encoder.config().picture_size())
                .side_by_side(encoder.config().views()),
            encoder,
            sampling,
        })
    }

    /// The encoder.
    pub fn encoder(&self) -> &ClipEncoder {
        &self.encoder
    }

    /// How films are cut.
    pub fn sampling(&self) -> &FilmSampling {
        &self.sampling
    }

    /// Tokens over time, rows and columns of a film's clips; an image's differ from a video's.
    ///
    /// # Errors
    /// When the encoder takes no images.
    pub fn grid(&self, film: &Film) -> Result<[usize; 3]> {
        Ok(match film.is_image() {
            true => self.encoder.grid(1)?,
            false => self.grid,
        })
    }

    /// Width of a token.
    pub fn width(&self) -> usize {
        self.encoder.config().latent_dim()
    }

    /// A clip's tokens `[N, L]`, as the encoder gives them.
    ///
    /// # Errors
    /// When frames can't be decoded, or a device fails.
    pub fn tokens(&self, film: &Film, clip: &FilmClip) -> Result<Vec<f32>> {
        let images = film.read(&clip.numbers)?;
        let named = || film.path().display().to_string();
        let pixels = self.pixels(&images).with_context(named)?;
        Ok(self.encoder.encode(&pixels, images.len())?)
    }

    /// The mean of a clip's tokens, `[L]`.
    ///
    /// # Errors
    /// As [`ClipFeatures::tokens`].
    pub fn pooled(&self, film: &Film, clip: &FilmClip) -> Result<Vec<f32>> {
        let tokens = self.tokens(film, clip)?;
        let width = self.width();
        let mut sums = vec![0f64; width];
        for token in tokens.chunks_exact(width) {
            let values = sums.iter_mut().zip(token);
            values.for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let count = (tokens.len() / width).max(1) as f64;
        Ok(sums.iter().map(|sum| (sum / count) as f32).collect())
    }

    /// Frames as a normalised clip `[3, T, H, W]`: the largest centred part of the model's shape.
    fn pixels(&self, images: &[RgbImage]) -> Result<Vec<f32>> {
        let [height, width] = self.transform.size();
        let plane = height * width;
        let mut clip = vec![0f32; 3 * images.len() * plane];
        for (at, image) in images.iter().enumerate() {
            let (w, h) = image.dimensions();
            let frame = self
                .transform
                .apply(image.as_raw(), h as usize, w as usize)?;
            for (channel, values) in frame.chunks_exact(plane).enumerate() {
                let to = (channel * images.len() + at) * plane;
                clip[to..to + plane].copy_from_slice(values);
            }
        }
        Ok(clip)
    }
}
