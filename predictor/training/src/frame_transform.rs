//! What part of a frame an encoder sees.

use anyhow::{bail, Result};
use foresight_datasets::FrameStack;
use foresight_predictor::transform::{normalised_pixels, CropBox, ImageTransform};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Keeps crops apart from what else the seed decides.
const CROP: u64 = 0x6372_6f70;

/// How frames become an encoder's input.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameTransform {
    /// As they are: they must have this size, `[H, W]` px.
    AsRecorded([usize; 2]),
    /// A part of them, resampled.
    Crop(ImageTransform),
}

impl FrameTransform {
    /// Height and width of the result, px.
    pub fn size(&self) -> [usize; 2] {
        match self {
            FrameTransform::AsRecorded(size) => *size,
            FrameTransform::Crop(transform) => transform.size(),
        }
    }

    /// Whether a frame always gives the same pixels.
    pub fn is_fixed(&self) -> bool {
        match self {
            FrameTransform::AsRecorded(_) => true,
            FrameTransform::Crop(transform) => transform.is_fixed(),
        }
    }

    /// Everything the pixels depend on beside the frame, as text.
    pub fn key(&self) -> String {
        match self {
            FrameTransform::AsRecorded(_) => format!("{self:?}"),
            FrameTransform::Crop(transform) => format!("{transform:?}"),
        }
    }

    /// Frames `[T, H, W, 3]` as normalised pixels `[T, 3, H, W]` of [`FrameTransform::size`].
    /// `draw` is a seed and a number that decide a random crop, the same for all frames; the
    /// central one without.
    ///
    /// # Errors
    /// When frames that are taken as they are have another size, or are empty.
    pub fn pixels(&self, frames: &FrameStack, draw: Option<[u64; 2]>) -> Result<Vec<f32>> {
        let (height, width) = (frames.height() as usize, frames.width() as usize);
        let transform = match self {
            FrameTransform::Crop(transform) => transform,
            FrameTransform::AsRecorded([h, w]) if [height, width] == [*h, *w] => {
                return Ok(normalised_pixels(frames.data(), [height, width]));
            }
            FrameTransform::AsRecorded([h, w]) => bail!(
                "the recorded frames are {width}×{height} px but the encoder takes {w}×{h}: record \
                 with --image-px {w}, or say with [crop] which part of them is seen"
            ),
        };
        let crop: CropBox = match draw {
            Some([seed, draw]) if !transform.is_fixed() => {
                let mut rng = ChaCha8Rng::seed_from_u64(seed ^ CROP);
                rng.set_stream(draw);
                transform.random_box(height, width, &mut rng)
            }
            _ => transform.crop_box(height, width),
        };
        let mut pixels = Vec::new();
        for i in 0..frames.len() {
            pixels.extend(transform.apply_box(frames.frame(i), height, width, crop)?);
        }
        Ok(pixels)
    }
}
