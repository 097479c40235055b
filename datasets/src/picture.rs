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
        return Err(wrong(format!("{}; {}", git_lfs::PROBLEM, git_lfs::REMEDY)));
    }
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    decode(path, &bytes)
}

/// A picture from a file's bytes; `name` is what errors call it.
///
/// # Errors
/// [`PictureError`] when it is no PNG or JPEG.
pub fn decode(name: &Path, bytes: &[u8]) -> Result<RgbImage, PictureError> {
    turned(bytes).map_err(|e| PictureError {
        path: name.to_owned(),
        reason: format!("{e}; give a PNG or JPEG"),
    })
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
mod tests {
    use super::*;

    /// A picture of two pixels, red and blue, said to be seen turned by a quarter.
    fn turned_jpeg() -> Vec<u8> {
        let mut picture = RgbImage::new(16, 8);
        for (x, _, pixel) in picture.enumerate_pixels_mut() {
            pixel.0 = if x < 8 { [250, 0, 0] } else { [0, 0, 250] };
        }
        let mut jpeg = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut jpeg, image::ImageFormat::Jpeg)
            .unwrap();
        let jpeg = jpeg.into_inner();
        // APP1 with a TIFF directory of one entry: orientation 6, the top is the file's left.
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".to_vec();
        exif.extend([0; 4]);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn a_photograph_is_turned_as_its_camera_was_held_and_told_from_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.png");
        std::fs::write(&path, turned_jpeg()).unwrap();
        let picture = open(&path).unwrap();
        assert_eq!(picture.dimensions(), (8, 16));
        let (top, bottom) = (picture.get_pixel(4, 2).0, picture.get_pixel(4, 13).0);
        assert!(top[0] > 200 && bottom[2] > 200, "{top:?} {bottom:?}");
        let nowhere = open(&folder.path().join("none.png"))
            .unwrap_err()
            .to_string();
        assert!(nowhere.contains("none.png"), "{nowhere}");
    }
}
