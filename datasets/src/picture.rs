//! Pictures that people name: photographs, goals, screenshots.
//!
//! What a file holds is told from its content, not from its name, and a photograph is turned the way its
//! camera was held (EXIF's orientation), as every viewer shows it.

use std::path::{Path, PathBuf};

use foresight_planner::git_lfs;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

/// Why a picture can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", .path.display())]
pub struct PictureError {
    /// The file.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

/// A picture file as RGB.
///
/// # Errors
/// [`PictureError`] when it can't be read, or is no PNG or JPEG.
pub fn open(path: &Path) -> Result<RgbImage, PictureError> {
    let wrong = |reason: String| PictureError {
        path: path.to_owned(),
        reason,
    };
    if git_lfs::is_pointer(path) {
        return Err(wrong(git_lfs::fault()));
    }
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    decode(path, &bytes)
}

/// A picture from a file's bytes; `name` is what errors call it.
///
/// # Errors
/// [`PictureError`] when it is no PNG or JPEG.
pub fn decode(name: &Path, bytes: &[u8]) -> Result<RgbImage, PictureError> {
    let wrong = |reason: String| PictureError {
        path: name.to_owned(),
        reason,
    };
    // The decoder fills what is missing with grey. A thumbnail before the last scan has its own end.
    let scan = bytes.windows(2).rposition(|m| m == [0xff, 0xda]);
    let ends = |from: usize| bytes[from..].windows(2).any(|m| m == [0xff, 0xd9]);
    if bytes.starts_with(&[0xff, 0xd8]) && scan.is_some_and(|from| !ends(from)) {
        return Err(wrong("the JPEG was cut short; copy it again".into()));
    }
    turned(bytes).map_err(|e| wrong(format!("{e}; give a PNG or JPEG")))
}

fn turned(bytes: &[u8]) -> image::ImageResult<RgbImage> {
    let reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

#[cfg(test)]
#[path = "../tests/unit/picture.rs"]
mod tests;
