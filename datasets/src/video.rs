//! Frames of videos, decoded and encoded by the `ffmpeg` program.
//!
//! DROID's videos are MPEG-4 Part 2 as OpenCV writes it, or H.264, LeRobot's are AV1; FFmpeg
//! reads all of them, and nothing in Rust does. It is run as a program, not linked, so that
//! nobody needs it who has no videos.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::RgbImage;

use crate::error::DatasetError;
use crate::mp4_header::VideoHeader;

mod encoder;

pub use encoder::{VideoCodec, VideoEncoder};

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
/// Frames decoded in vain before the first wanted one, above which it is jumped to by time.
const WORTH_SEEKING: usize = 24;

/// The frames with these numbers, counted from 0 in the order they are shown, ascending. Numbers
/// past the end give no frame. Decoding stops behind the last one, and starts near the first one
/// where the file's frames are evenly spaced; that the frames are then the ones asked for is
/// checked by their times.
///
/// # Errors
/// [`DatasetError::Decoder`] when `ffmpeg` is missing (with how to install it),
/// [`DatasetError::Corrupt`] when it can't decode the file.
pub fn frames_at(video: &Path, numbers: &[usize]) -> Result<Vec<RgbImage>, DatasetError> {
    let first = numbers.first().copied().unwrap_or(0);
    let header = VideoHeader::read(video).ok();
    if let Some(header) = header.filter(|h| h.even && first >= WORTH_SEEKING) {
        return seeking(video, numbers, header.fps);
    }
    let mut frames = Vec::with_capacity(numbers.len());
    for group in runs(numbers).chunks(RUNS) {
        frames.extend(
            picked(video, &[], group)?
                .into_iter()
                .map(|shown| shown.image),
        );
    }
    Ok(frames)
}

/// As [`frames_at`], from the key frame before the first one on.
fn seeking(video: &Path, numbers: &[usize], fps: f64) -> Result<Vec<RgbImage>, DatasetError> {
    let mut frames = Vec::with_capacity(numbers.len());
    for group in runs(numbers).chunks(RUNS) {
        let from = group.first().map_or(0, |[first, _]| *first);
        // Half a frame early, so that rounding can't lose the frame itself.
        let from_s = (from as f64 - 0.5) / fps;
        let after: Vec<[usize; 2]> = group.iter().map(|[a, b]| [a - from, b - from]).collect();
        let before = ["-ss", &format!("{from_s:.6}")];
        let wanted = group.iter().flat_map(|[a, b]| *a..=*b);
        for (shown, number) in picked(video, &before, &after)?.into_iter().zip(wanted) {
            let off_s = shown.time_s - (number as f64 / fps - from_s);
            if off_s.abs() > 0.3 / fps {
                return Err(DatasetError::corrupt(
                    video,
                    format!(
                        "frame {number} is not where its header says (off by {off_s:.3} s); write \
                         it anew with `ffmpeg -i OLD.mp4 -c:v libx264 -crf 12 NEW.mp4`"
                    ),
                ));
            }
            frames.push(shown.image);
        }
    }
    Ok(frames)
}

/// A decoded frame.
struct Shown {
    image: RgbImage,
    /// When it is shown, s.
    time_s: f64,
}

/// The frames of these runs, as raw RGB; their sizes and times are what `showinfo` reports.
fn picked(video: &Path, before: &[&str], runs: &[[usize; 2]]) -> Result<Vec<Shown>, DatasetError> {
    let count: usize = runs.iter().map(|[first, last]| last - first + 1).sum();
    let (select, count) = (format!("{},showinfo", selection(runs)), count.to_string());
    let options = [
        "-vf",
        &select,
        "-fps_mode",
        "passthrough",
        "-frames:v",
        &count,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ];
    let output = ffmpeg(video, before, &options.map(str::to_owned))?;
    let mut rest = output.stdout.as_slice();
    let mut frames = Vec::new();
    for ([width, height], time_s) in reported(&output.stderr) {
        if rest.is_empty() {
            break;
        }
        let bytes = width as usize * height as usize * 3;
        let pixels = rest.split_at_checked(bytes);
        let image = pixels.and_then(|(pixels, after)| {
            rest = after;
            RgbImage::from_raw(width, height, pixels.to_vec())
        });
        let incomplete = || DatasetError::corrupt(video, "ffmpeg returned an incomplete picture");
        let image = image.ok_or_else(incomplete)?;
        frames.push(Shown { image, time_s });
    }
    if rest.is_empty() {
        Ok(frames)
    } else {
        Err(DatasetError::corrupt(
            video,
            "ffmpeg returned more than it reported",
        ))
    }
}

/// Sizes, px, and times, s, of the frames that `showinfo` reported.
fn reported(words: &[u8]) -> Vec<([u32; 2], f64)> {
    let field = |line: &str, name: &str| -> Option<String> {
        let (_, after) = line.split_once(name)?;
        Some(after.split_whitespace().next()?.to_owned())
    };
    String::from_utf8_lossy(words)
        .lines()
        .filter(|line| line.contains("Parsed_showinfo"))
        .filter_map(|line| {
            let size = field(line, " s:")?;
            let (width, height) = size.split_once('x')?;
            let size = [width.parse().ok()?, height.parse().ok()?];
            Some((size, field(line, "pts_time:")?.parse().ok()?))
        })
        .collect()
}

/// Decodes a video completely and counts its frames.
///
/// # Errors
/// As [`frames_at`]; also when a frame can only be decoded with errors.
pub fn count_frames(video: &Path) -> Result<usize, DatasetError> {
    let options = [
        "-fps_mode",
        "passthrough",
        "-progress",
        "pipe:1",
        "-f",
        "null",
        "-",
    ];
    let output = ffmpeg(video, &[], &options.map(str::to_owned))?;
    if let Some(fault) = first_fault(&output.stderr) {
        return Err(DatasetError::corrupt(
            video,
            format!("it is damaged: {fault}"),
        ));
    }
    let words = String::from_utf8_lossy(&output.stdout);
    let mut counts = words.lines().filter_map(|l| l.strip_prefix("frame="));
    counts
        .next_back()
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| DatasetError::corrupt(video, "ffmpeg found no frame in it"))
}

/// Decodes a video completely and compares it with its header.
///
/// # Errors
/// As [`count_frames`]; also when the header lists another number of frames.
pub fn check(video: &Path) -> Result<VideoHeader, DatasetError> {
    let header = VideoHeader::read(video)?;
    let decoded = count_frames(video)?;
    if decoded != header.frames {
        return Err(DatasetError::corrupt(
            video,
            format!(
                "its header lists {} frames, but {decoded} can be decoded; it was cut short or is \
                 damaged",
                header.frames
            ),
        ));
    }
    Ok(header)
}

/// Runs `ffmpeg` on a file, with options before and behind its name.
fn ffmpeg(video: &Path, before: &[&str], behind: &[String]) -> Result<Output, DatasetError> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-nostats", "-v", "level+info"])
        // Many files are decoded at once; threads for each only wait for each other.
        .args(["-threads", "1", "-filter_threads", "1"])
        .args(before)
        .arg("-i")
        .arg(named(video))
        .args(["-map", "0:v:0"])
        .args(behind)
        .stdin(Stdio::null())
        .output()
        .map_err(unavailable)?;
    if !output.status.success() {
        let reason = first_fault(&output.stderr).unwrap_or_else(|| "no reason given".to_owned());
        return Err(DatasetError::corrupt(
            video,
            format!("ffmpeg can't decode it: {reason}"),
        ));
    }
    Ok(output)
}

/// A file's name as `ffmpeg` takes it: without the prefix a colon, which DROID's folders have in
/// their times, can make it a protocol.
fn named(file: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(file);
    name
}

/// Why `ffmpeg` could not be started, and what to do.
pub(crate) fn unavailable(error: std::io::Error) -> DatasetError {
    DatasetError::Decoder(if error.kind() == ErrorKind::NotFound {
        "videos can't be read or written: the program ffmpeg is not installed (Debian and \
         Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg; Windows: winget install \
         ffmpeg)"
            .to_owned()
    } else {
        format!("videos can't be read or written: the program ffmpeg can't be run: {error}")
    })
}

/// The first error `ffmpeg` reported.
fn first_fault(words: &[u8]) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    words.lines().find_map(|line| {
        ["[error]", "[fatal]"]
            .into_iter()
            .find_map(|level| line.split_once(level))
            .map(|(_, reason)| reason.trim().to_owned())
    })
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
        if available().is_ok() {
            let words = error.to_string();
            assert!(
                words.contains("Invalid data") || words.contains("moov"),
                "{words}"
            );
        }
    }
}
