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

use crate::error::{DatasetError, Result};
use crate::mp4_header::VideoHeader;

mod encoder;

pub use encoder::{VideoCodec, VideoEncoder};

/// Whether `ffmpeg` can be run.
///
/// # Errors
/// [`DatasetError::Decoder`] saying how to install it.
pub fn available() -> Result<()> {
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
/// Frames shown no farther apart count as shown at the same time, s.
const SAME_S: f64 = 5e-4;

/// The frames with these numbers, counted from 0 in the order they are shown, ascending. Numbers
/// past the end give no frame. Decoding stops behind the last one, and starts at the key frame
/// before the first one where the file's header says when each is shown; if what is shown then
/// isn't what the header says, everything is decoded from the beginning.
///
/// # Errors
/// [`DatasetError::Decoder`] when `ffmpeg` is missing (with how to install it),
/// [`DatasetError::Corrupt`] when it can't decode the file.
pub fn frames_at(video: &Path, numbers: &[usize]) -> Result<Vec<RgbImage>> {
    let header = VideoHeader::read(video).ok();
    let track = header.as_ref().map_or(0, |h| h.track);
    let mut frames = Vec::with_capacity(numbers.len());
    for group in runs(numbers).chunks(RUNS) {
        let sought = match &header {
            Some(header) => seeking(video, group, header)?,
            None => None,
        };
        let shown = match sought {
            Some(shown) => shown,
            None => picked(
                video,
                track,
                &[],
                &format!("select={}", selection("n", group)),
                group,
            )?,
        };
        frames.extend(shown.into_iter().map(|shown| shown.image));
    }
    Ok(frames)
}

/// As [`frames_at`], where numbers past the end are an error.
pub(crate) fn all_frames_at(video: &Path, numbers: &[usize]) -> Result<Vec<RgbImage>> {
    let images = frames_at(video, numbers)?;
    if images.len() == numbers.len() {
        return Ok(images);
    }
    let reason = format!(
        "{} of the {} frames asked for can be decoded (numbers up to {}); it was cut short or is \
         damaged",
        images.len(),
        numbers.len(),
        numbers.last().copied().unwrap_or(0)
    );
    Err(DatasetError::corrupt(video, reason))
}

/// Frames from the key frame before the first one on; `None` where that isn't worth it, or shows
/// other frames than the header lists.
fn seeking(video: &Path, runs: &[[usize; 2]], header: &VideoHeader) -> Result<Option<Vec<Shown>>> {
    let times_s = &header.times_s;
    let first = runs.first().map_or(0, |[first, _]| *first);
    let wanted: Vec<f64> = runs
        .iter()
        .flat_map(|[first, last]| times_s.get(*first..times_s.len().min(last + 1)))
        .flatten()
        .copied()
        .collect();
    let Some(begin_s) = wanted.first() else {
        return Ok(None);
    };
    let keys = &header.key_times_s;
    let key = keys.partition_point(|t| *t <= *begin_s).checked_sub(1);
    let Some(key_s) = key.map(|at| keys[at]) else {
        return Ok(None);
    };
    if first < WORTH_SEEKING || times_s.partition_point(|t| *t < key_s) == 0 {
        return Ok(None);
    }
    // Frames shown at the same time can't be told apart by it.
    let alike = |a: usize, b: usize| times_s.get(b).is_some_and(|t| t - times_s[a] < SAME_S);
    let ends = |[first, last]: &[usize; 2]| {
        let within = *last < times_s.len();
        (*first > 0 && *first < times_s.len() && alike(first - 1, *first))
            || (within && alike(*last, last + 1))
    };
    if runs.iter().any(ends) {
        return Ok(None);
    }
    // Between two frames' times; there is no frame in between whose time could be hit.
    let gap = |a: usize, b: usize| Some(0.5 * (times_s.get(b)? - times_s.get(a)?));
    let bounds: Vec<[f64; 2]> = runs
        .iter()
        .filter(|[first, _]| *first < times_s.len())
        .map(|[first, last]| {
            let last = (*last).min(times_s.len() - 1);
            let before = first.checked_sub(1).and_then(|b| gap(b, *first));
            let after = gap(last, last + 1);
            let before = times_s[*first] - before.unwrap_or(1.0);
            [before, times_s[last] + after.unwrap_or(1.0)]
        })
        .collect();
    let seek = format!("{key_s:.6}");
    let before = [
        "-noaccurate_seek",
        "-copyts",
        "-seek_timestamp",
        "1",
        "-ss",
        &seek,
    ];
    let filter = format!("select={}", selection("t", &bounds));
    let shown = picked(video, header.track, &before, &filter, runs)?;
    let near = |(shown, wanted): (&Shown, &f64)| (shown.time_s - wanted).abs() < 0.5 * SAME_S;
    let same = shown.len() == wanted.len() && shown.iter().zip(&wanted).all(near);
    Ok(same.then_some(shown))
}

/// A decoded frame.
struct Shown {
    image: RgbImage,
    /// When it is shown, s.
    time_s: f64,
}

/// The frames of these runs, as `filter` selects them, as raw RGB; their sizes and times are what
/// `showinfo` reports.
fn picked(
    video: &Path,
    track: usize,
    before: &[&str],
    filter: &str,
    runs: &[[usize; 2]],
) -> Result<Vec<Shown>> {
    let count: usize = runs.iter().map(|[first, last]| last - first + 1).sum();
    let (select, count) = (format!("{filter},showinfo"), count.to_string());
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
    let output = ffmpeg(video, track, before, &options)?;
    let reported = reported(&output.stderr);
    let mut pairs = reported.windows(2);
    if let Some([(before, _), (after, at_s)]) = pairs.find(|pair| pair[0].0 != pair[1].0) {
        return Err(resized(video, *before, *after, *at_s));
    }
    let mut rest = output.stdout.as_slice();
    let mut frames = Vec::new();
    for ([width, height], time_s) in reported {
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

/// Sizes, px, and times, s, of the frames that `showinfo` reported. Its times in seconds have six
/// digits, so they are counted from its ticks.
fn reported(words: &[u8]) -> Vec<([u32; 2], f64)> {
    let field = |line: &str, name: &str| -> Option<String> {
        let (_, after) = line.split_once(name)?;
        Some(after.split_whitespace().next()?.to_owned())
    };
    let words = String::from_utf8_lossy(words);
    let lines = || words.lines().filter(|l| l.contains("Parsed_showinfo"));
    let tick_s = lines().find_map(|line| {
        let base = field(line, "config in time_base:")?;
        let (over, under) = base.trim_end_matches(',').split_once('/')?;
        Some(over.parse::<f64>().ok()? / under.parse::<f64>().ok()?)
    });
    lines()
        .filter_map(|line| {
            let size = field(line, " s:")?;
            let (width, height) = size.split_once('x')?;
            let size = [width.parse().ok()?, height.parse().ok()?];
            let ticks: Option<f64> = field(line, " pts:").and_then(|t| t.parse().ok());
            Some((size, ticks.zip(tick_s).map_or(f64::NAN, |(t, s)| t * s)))
        })
        .collect()
}

/// Decodes a video completely and says when each frame is shown, s: for containers whose header isn't
/// read here.
///
/// # Errors
/// As [`frames_at`], and when the file doesn't say it.
pub fn times_s(video: &Path) -> Result<Vec<f64>> {
    let options = [
        "-vf",
        "showinfo",
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ];
    let output = ffmpeg(video, 0, &[], &options)?;
    let times_s: Vec<f64> = reported(&output.stderr)
        .into_iter()
        .map(|(_, t)| t)
        .collect();
    if times_s.is_empty() || times_s.iter().any(|t| !t.is_finite()) {
        return Err(DatasetError::corrupt(
            video,
            "ffmpeg doesn't say when its frames are shown; write it as MP4",
        ));
    }
    Ok(times_s)
}

/// Decodes a video completely and counts its frames.
///
/// # Errors
/// As [`frames_at`]; also when a frame can only be decoded with errors.
pub fn count_frames(video: &Path) -> Result<usize> {
    let header = VideoHeader::read(video).ok();
    counted(video, header.map_or(0, |h| h.track))
}

fn counted(video: &Path, track: usize) -> Result<usize> {
    // Numbered anew: uneven times are no fault, and what is written to nowhere complains of them.
    let options = [
        "-vf",
        "setpts=N/TB",
        "-fps_mode",
        "passthrough",
        "-progress",
        "pipe:1",
        "-f",
        "null",
        "-",
    ];
    // So that another size of the pictures is named, not fitted to.
    let output = ffmpeg(video, track, &["-reinit_filter", "0"], &options)?;
    let words = String::from_utf8_lossy(&output.stderr);
    if let Some((before, after, at_s)) = words.lines().find_map(another_size) {
        return Err(resized(video, before, after, at_s));
    }
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

/// The pictures' sizes before and now, and since when, s, where a line tells of another size.
fn another_size(line: &str) -> Option<([u32; 2], [u32; 2], f64)> {
    let (before, after) = line
        .split_once("filter context - w:")?
        .1
        .split_once("incoming frame - w:")?;
    let size = |words: &str| -> Option<[u32; 2]> {
        let mut words = words.split_whitespace();
        let width = words.next()?.parse().ok()?;
        Some([width, words.nth(1)?.parse().ok()?])
    };
    let (before, now) = (size(before)?, size(after)?);
    let at_s = after.split_once("pts_time:")?.1.trim().parse().ok()?;
    (before != now).then_some((before, now, at_s))
}

/// What is wrong with a film of pictures of two sizes.
fn resized(video: &Path, before: [u32; 2], after: [u32; 2], at_s: f64) -> DatasetError {
    let ([a, b], [c, d]) = (before, after);
    DatasetError::corrupt(
        video,
        format!(
            "its pictures change from {a}×{b} to {c}×{d} px at {at_s:.2} s; write it anew in one \
             size: `ffmpeg -i OLD.mp4 -vf scale={a}:{b} NEW.mp4`"
        ),
    )
}

/// Decodes a video completely and compares it with its header.
///
/// # Errors
/// As [`count_frames`]; also when the header lists another number of frames.
pub fn check(video: &Path) -> Result<VideoHeader> {
    let header = VideoHeader::read(video)?;
    let decoded = counted(video, header.track)?;
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

/// Which of a video's several tracks is shown, in words; `None` where there is only one.
pub(crate) fn of_several(name: &str, header: &VideoHeader) -> Option<String> {
    (header.tracks > 1).then(|| {
        format!(
            "the video of camera {name} has {} video tracks: the one numbered {} of {}×{} px is \
             used, as ffmpeg's best-stream rule chooses",
            header.tracks, header.track, header.width, header.height
        )
    })
}

/// Runs `ffmpeg` on a file, with options before and behind its name.
fn ffmpeg(video: &Path, track: usize, before: &[&str], behind: &[&str]) -> Result<Output> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-nostats", "-v", "level+info"])
        // Many files are decoded at once; threads for each only wait for each other.
        .args(["-threads", "1", "-filter_threads", "1"])
        .args(before)
        .arg("-i")
        .arg(named(video))
        .args(["-map", &format!("0:v:{track}")])
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

/// The first error `ffmpeg` reported; what it says of times is none of the pictures'.
fn first_fault(words: &[u8]) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    let of_times = |line: &str| {
        let line = line.to_lowercase();
        ["dts", " pts", "timestamp"]
            .iter()
            .any(|w| line.contains(w))
    };
    let mut lines = words.lines().filter(|line| !of_times(line));
    lines.find_map(|line| {
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

/// FFmpeg's expression for runs of frames, by what they are called there: `n` or `t`.
fn selection<T: std::fmt::Display>(by: &str, runs: &[[T; 2]]) -> String {
    let terms: Vec<String> = runs
        .iter()
        .map(|[first, last]| format!("between({by}\\,{first}\\,{last})"))
        .collect();
    terms.join("+")
}

#[cfg(test)]
#[path = "../tests/unit/video.rs"]
mod tests;
