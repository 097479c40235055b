//! Frames of DROID's videos, decoded by the `ffmpeg` program.
//!
//! DROID's videos are MPEG-4 Part 2 as OpenCV writes it, or H.264; FFmpeg decodes all of them,
//! and nothing in Rust does. It is run as a program, not linked, so that nobody needs it who has
//! no videos.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use image::RgbImage;

use crate::error::DatasetError;

/// Frames are asked for in groups of this many: a longer filter expression gets slow.
const GROUP: usize = 200;

/// The frames with these numbers, counted from 0 in the order they are shown, ascending. Numbers
/// past the end give no frame.
///
/// # Errors
/// [`DatasetError::Episode`] when `ffmpeg` is missing (with how to install it) or can't decode
/// the file.
pub fn frames_at(video: &Path, numbers: &[usize]) -> Result<Vec<RgbImage>, DatasetError> {
    let mut frames = Vec::with_capacity(numbers.len());
    for group in numbers.chunks(GROUP) {
        frames.extend(group_at(video, group)?);
    }
    Ok(frames)
}

fn group_at(video: &Path, numbers: &[usize]) -> Result<Vec<RgbImage>, DatasetError> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(video)
        .args([
            "-an",
            "-vf",
            &selection(numbers),
            "-fps_mode",
            "passthrough",
        ])
        .args(["-f", "image2pipe", "-c:v", "ppm", "-"])
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| {
        let reason = if error.kind() == ErrorKind::NotFound {
            "its videos can't be decoded: the program ffmpeg is not installed (Debian and Ubuntu: \
             apt-get install ffmpeg; macOS: brew install ffmpeg)"
                .to_owned()
        } else {
            format!("the program ffmpeg can't be run: {error}")
        };
        DatasetError::episode(video, reason)
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let first = words.lines().next().unwrap_or("no reason given");
        return Err(DatasetError::episode(
            video,
            format!("ffmpeg can't decode it: {first}"),
        ));
    }
    split_ppm(&output.stdout)
        .ok_or_else(|| DatasetError::episode(video, "ffmpeg returned an incomplete picture"))
}

/// FFmpeg's filter for these frames: runs of neighbours as `between`, others one by one.
fn selection(numbers: &[usize]) -> String {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for &n in numbers {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == n => *last = n,
            _ => runs.push([n, n]),
        }
    }
    let terms: Vec<String> = runs
        .iter()
        .map(|[first, last]| format!("between(n\\,{first}\\,{last})"))
        .collect();
    format!("select={}", terms.join("+"))
}

/// Pictures of a stream of binary PPM files (`P6`, 8 bits), one after the other.
fn split_ppm(mut bytes: &[u8]) -> Option<Vec<RgbImage>> {
    let mut images = Vec::new();
    while !bytes.is_empty() {
        let mut fields = [0_u32; 3];
        bytes = bytes.strip_prefix(b"P6")?;
        for field in &mut fields {
            let start = bytes.iter().position(|b| !b.is_ascii_whitespace())?;
            let digits = bytes[start..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            let text = std::str::from_utf8(&bytes[start..start + digits]).ok()?;
            *field = text.parse().ok()?;
            bytes = &bytes[start + digits..];
        }
        let [width, height, depth] = fields;
        if depth != 255 {
            return None;
        }
        bytes = bytes.get(1..)?;
        let size = (width as usize)
            .checked_mul(height as usize)?
            .checked_mul(3)?;
        images.push(RgbImage::from_raw(
            width,
            height,
            bytes.get(..size)?.to_vec(),
        )?);
        bytes = &bytes[size..];
    }
    Some(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_join_neighbours() {
        assert_eq!(
            selection(&[0, 1, 2, 7, 9]),
            "select=between(n\\,0\\,2)+between(n\\,7\\,7)+between(n\\,9\\,9)"
        );
    }

    #[test]
    fn streams_of_pictures_are_split() {
        let one = b"P6\n2 1\n255\nabcdef".to_vec();
        let two = [one.clone(), b"P6 1 1 255\nxyz".to_vec()].concat();
        let images = split_ppm(&two).expect("two pictures");
        assert_eq!(
            (images.len(), images[1].as_raw().as_slice()),
            (2, &b"xyz"[..])
        );
        for cut in 1..one.len() {
            assert!(split_ppm(&one[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn a_file_that_is_no_video_is_an_error_with_a_reason() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"not a video").expect("written");
        let error = frames_at(file.path(), &[0]).expect_err("no video");
        assert!(error.to_string().contains("ffmpeg"), "{error}");
    }
}
