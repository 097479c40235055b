//! Pictures as an endless GIF.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, ImageError, RgbImage};

/// Quantiser speed of the encoder, 1 (best) to 30 (fastest).
const SPEED: i32 = 10;

/// Writes the pictures, each shown for `shown_ms` and the last for `last_ms`.
///
/// # Errors
/// When the file can't be written.
pub(crate) fn write(
    path: &Path,
    pictures: Vec<RgbImage>,
    shown_ms: u32,
    last_ms: u32,
) -> Result<(), ImageError> {
    let mut encoder = GifEncoder::new_with_speed(BufWriter::new(File::create(path)?), SPEED);
    encoder.set_repeat(Repeat::Infinite)?;
    let last = pictures.len().saturating_sub(1);
    for (i, picture) in pictures.into_iter().enumerate() {
        let ms = if i == last { last_ms } else { shown_ms };
        let rgba = DynamicImage::ImageRgb8(picture).to_rgba8();
        let delay = Delay::from_numer_denom_ms(ms, 1);
        encoder.encode_frame(Frame::from_parts(rgba, 0, 0, delay))?;
    }
    Ok(())
}
