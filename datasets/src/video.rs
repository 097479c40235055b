//! Frames of DROID's videos, decoded by the `ffmpeg` program.
//!
//! DROID's videos are MPEG-4 Part 2 as OpenCV writes it, or H.264; FFmpeg decodes all of them,
//! and nothing in Rust does. It is run as a program, not linked, so that nobody needs it who has
//! no videos.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::RgbImage;

use crate::error::DatasetError;

/// Whether `ffmpeg` can be run.
///
/// # Errors
/// [`DatasetError::Decoder`] saying how to install it.
pub fn available() -> Result<(), DatasetError> {
    Command::new("ffmpeg")
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map(|_| ())
        .map_err(unavailable)
}

/// Runs of neighbouring frames asked for at once: a longer filter expression gets slow.
const RUNS: usize = 200;

/// The frames with these numbers, counted from 0 in the order they are shown, ascending. Numbers
/// past the end give no frame. Decoding stops behind the last one.
///
/// # Errors
/// [`DatasetError::Decoder`] when `ffmpeg` is missing (with how to install it),
/// [`DatasetError::Corrupt`] when it can't decode the file.
pub fn frames_at(video: &Path, numbers: &[usize]) -> Result<Vec<RgbImage>, DatasetError> {
    let mut frames = Vec::with_capacity(numbers.len());
    for group in runs(numbers).chunks(RUNS) {
        let count: usize = group.iter().map(|[first, last]| last - first + 1).sum();
        let output = ffmpeg(
            video,
            &[
                "-map",
                "0:v:0",
                "-vf",
                &selection(group),
                "-fps_mode",
                "passthrough",
                "-frames:v",
                &count.to_string(),
                "-f",
                "image2pipe",
                "-c:v",
                "ppm",
                "-",
            ],
        )?;
        frames.extend(split_ppm(&output.stdout).ok_or_else(|| {
            DatasetError::corrupt(video, "ffmpeg returned an incomplete picture")
        })?);
    }
    Ok(frames)
}

/// Decodes a video completely and counts its frames.
///
/// # Errors
/// As [`frames_at`]; also when a frame can only be decoded with errors.
pub fn count_frames(video: &Path) -> Result<usize, DatasetError> {
    let output = ffmpeg(
        video,
        &[
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-progress",
            "pipe:1",
            "-f",
            "null",
            "-",
        ],
    )?;
    if let Some(fault) = first_line(&output.stderr) {
        return Err(DatasetError::corrupt(
            video,
            format!("it is damaged: {fault}"),
        ));
    }
    let words = String::from_utf8_lossy(&output.stdout);
    let last = words
        .lines()
        .filter_map(|l| l.strip_prefix("frame="))
        .next_back();
    last.and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| DatasetError::corrupt(video, "ffmpeg found no frame in it"))
}

/// Runs `ffmpeg` on a file.
fn ffmpeg(video: &Path, arguments: &[&str]) -> Result<Output, DatasetError> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(video)
        .arg("-an")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(unavailable)?;
    if !output.status.success() {
        let reason = first_line(&output.stderr).unwrap_or_else(|| "no reason given".to_owned());
        return Err(DatasetError::corrupt(
            video,
            format!("ffmpeg can't decode it: {reason}"),
        ));
    }
    Ok(output)
}

/// Why `ffmpeg` could not be started, and what to do.
pub(crate) fn unavailable(error: std::io::Error) -> DatasetError {
    DatasetError::Decoder(if error.kind() == ErrorKind::NotFound {
        "videos can't be decoded: the program ffmpeg is not installed (Debian and Ubuntu: \
         apt-get install ffmpeg; macOS: brew install ffmpeg; Windows: winget install ffmpeg)"
            .to_owned()
    } else {
        format!("videos can't be decoded: the program ffmpeg can't be run: {error}")
    })
}

fn first_line(words: &[u8]) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    words.lines().next().map(str::to_owned)
}

/// Ascending numbers as runs of neighbours, first and last.
fn runs(numbers: &[usize]) -> Vec<[usize; 2]> {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for &n in numbers {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == n => *last = n,
            _ => runs.push([n, n]),
        }
    }
    runs
}

/// FFmpeg's filter for these runs of frames.
fn selection(runs: &[[usize; 2]]) -> String {
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
            selection(&runs(&[0, 1, 2, 7, 9])),
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
    fn a_missing_program_is_explained() {
        let error = unavailable(std::io::Error::from(ErrorKind::NotFound));
        assert!(matches!(error, DatasetError::Decoder(_)));
        assert!(error.to_string().contains("apt-get install ffmpeg"));
    }

    #[test]
    fn a_file_that_is_no_video_is_an_error_with_a_reason() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"not a video").expect("written");
        let error = frames_at(file.path(), &[0]).expect_err("no video");
        assert!(error.to_string().contains("ffmpeg"), "{error}");
    }
}
