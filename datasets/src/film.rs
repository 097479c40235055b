//! Pictures in order, wherever they come from, and clips of them.
//!
//! [`Film::open`] takes a video of any container that FFmpeg reads, one image, a folder of images,
//! or an episode's folder with stored frames or a video.

use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::layout;
use crate::mp4_header::VideoHeader;
use crate::picture;
use crate::trajectory::Trajectory;
use crate::video;

/// What an image's name ends with.
const IMAGES: [&str; 3] = ["png", "jpg", "jpeg"];

/// Pictures in the order they are shown.
#[derive(Debug)]
pub struct Film {
    path: PathBuf,
    source: Source,
    /// When each is shown, s behind the first; `None` where nothing says it.
    times_s: Option<Vec<f64>>,
    frames: usize,
}

#[derive(Debug)]
enum Source {
    Image,
    Images(Vec<PathBuf>),
    Stored(FrameStack),
    Video(PathBuf),
}

/// How clips are cut out of films.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilmSampling {
    /// Frames of a clip.
    pub frames: usize,
    /// Rate of a clip's frames, Hz; without one, one clip spans the whole film, its frames evenly
    /// spread.
    pub rate_hz: Option<f64>,
    /// Frames, at that rate, from one clip's beginning to the next one's.
    pub stride: usize,
}

/// A clip: which of a film's frames, and from when on.
#[derive(Debug, Clone, PartialEq)]
pub struct FilmClip {
    /// Numbers of the frames, ascending; the last is repeated where a film is shorter than a clip.
    pub numbers: Vec<usize>,
    /// When the first is shown, s behind the film's first; NaN where nothing says it.
    pub start_s: f64,
}

impl FilmSampling {
    /// Whether clips can be cut like this.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] naming what must change.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(DatasetError::Mismatch(what.to_owned()));
        if !(1..=MOST_FRAMES).contains(&self.frames) || self.stride == 0 {
            return wrong("clips have 1 to 4096 frames, and a stride of at least one");
        }
        match self.rate_hz {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                wrong("the frame rate must be a number above 0 Hz")
            }
            _ => Ok(()),
        }
    }
}

impl Film {
    /// Opens a film; of an episode the first camera in name order, and stored frames before videos.
    ///
    /// # Errors
    /// Naming the file that is missing, no film, or empty.
    pub fn open(path: &Path) -> Result<Self> {
        let kind = std::fs::metadata(path).map_err(|e| DatasetError::io("open", path, e))?;
        let (source, times_s) = if kind.is_dir() {
            of_folder(path)?
        } else if is_image(path) {
            (Source::Image, None)
        } else {
            (Source::Video(path.to_path_buf()), Some(shown_s(path)?))
        };
        let frames = match (&source, &times_s) {
            (Source::Image, _) => 1,
            (Source::Images(files), _) => files.len(),
            (Source::Stored(stack), _) => stack.len(),
            (Source::Video(_), times) => times.as_ref().map_or(0, Vec::len),
        };
        if frames == 0 {
            return Err(DatasetError::corrupt(path, "it has no frames"));
        }
        Ok(Film {
            path: path.to_path_buf(),
            source,
            times_s: times_s.filter(|times| times.len() == frames),
            frames,
        })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is one image rather than a film of any length.
    pub fn is_image(&self) -> bool {
        matches!(self.source, Source::Image)
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The clips that `sampling` cuts: at least one, and none that begins in the film and ends behind
    /// it but for a film shorter than a clip. An image is a clip of one frame; images of a folder count
    /// as taken at the rate that is asked for.
    pub fn clips(&self, sampling: &FilmSampling) -> Vec<FilmClip> {
        if self.is_image() {
            return vec![FilmClip {
                numbers: vec![0],
                start_s: f64::NAN,
            }];
        }
        let time_s = |at: usize| self.times_s.as_ref().map_or(f64::NAN, |times| times[at]);
        let Some(rate_hz) = sampling.rate_hz else {
            let at = |i: usize| {
                ((i as f64 + 0.5) / sampling.frames as f64 * self.frames as f64) as usize
            };
            let numbers: Vec<usize> = (0..sampling.frames)
                .map(|i| at(i).min(self.frames - 1))
                .collect();
            let start_s = time_s(numbers[0]);
            return vec![FilmClip { numbers, start_s }];
        };
        let sampled = self.sampled(rate_hz);
        let last_start = sampled.len().saturating_sub(sampling.frames);
        let starts = (0..=last_start).step_by(sampling.stride);
        starts
            .map(|start| {
                let at = |i: usize| sampled[(start + i).min(sampled.len() - 1)];
                FilmClip {
                    numbers: (0..sampling.frames).map(at).collect(),
                    start_s: time_s(sampled[start]),
                }
            })
            .collect()
    }

    /// Numbers of the frames shown nearest to every tick of a rate.
    fn sampled(&self, rate_hz: f64) -> Vec<usize> {
        let Some(times_s) = &self.times_s else {
            return (0..self.frames).collect();
        };
        let end_s = times_s[self.frames - 1];
        // A film of one frame has one tick; half a tick more for times that are rounded.
        let ticks = (end_s * rate_hz + 0.5).floor().max(0.0) as usize + 1;
        let nearest = |time_s: f64| {
            let above = times_s.partition_point(|t| *t < time_s);
            let off = |i: usize| times_s.get(i).map_or(f64::INFINITY, |t| (t - time_s).abs());
            match above.checked_sub(1) {
                Some(below) if off(below) <= off(above) => below,
                _ => above.min(self.frames - 1),
            }
        };
        (0..ticks.min(MOST_TICKS))
            .map(|tick| nearest(tick as f64 / rate_hz))
            .collect()
    }

    /// A clip's frames, `numbers` ascending.
    ///
    /// # Errors
    /// Naming the file that can't be decoded, or has fewer frames than it says.
    pub fn read(&self, numbers: &[usize]) -> Result<Vec<RgbImage>> {
        let mut wanted = numbers.to_vec();
        wanted.dedup();
        let images = match &self.source {
            Source::Image => vec![open_image(&self.path)?],
            Source::Images(files) => wanted
                .iter()
                .map(|number| open_image(&files[*number]))
                .collect::<Result<_, _>>()?,
            Source::Stored(stack) => {
                let picture = |number: &usize| {
                    let frame = stack.frame(*number).to_vec();
                    RgbImage::from_raw(stack.width(), stack.height(), frame).unwrap_or_default()
                };
                wanted.iter().map(picture).collect()
            }
            Source::Video(file) => video::all_frames_at(file, &wanted)?,
        };
        let at = |number: &usize| wanted.binary_search(number).unwrap_or(0);
        Ok(numbers
            .iter()
            .map(|number| images[at(number)].clone())
            .collect())
    }
}

/// Ticks of one film beyond which nothing is sampled: at 60 Hz more than four hours.
const MOST_TICKS: usize = 1 << 20;

/// Frames of a clip beyond which it is a slip: all of them are held in memory.
const MOST_FRAMES: usize = 4096;

/// Whether a file's name is that of an image.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    extension.is_some_and(|e| IMAGES.iter().any(|known| e == *known))
}

fn open_image(path: &Path) -> Result<RgbImage> {
    picture::open(path).map_err(|e| DatasetError::corrupt(path, e.reason))
}

/// When a video's frames are shown, s behind the first: as its header says, or, where that can't be
/// read, as decoding it shows.
fn shown_s(path: &Path) -> Result<Vec<f64>> {
    let times_s = match VideoHeader::read(path) {
        Ok(header) if !header.times_s.is_empty() => header.times_s,
        _ => video::times_s(path)?,
    };
    let first = times_s.first().copied().unwrap_or(0.0);
    Ok(times_s.into_iter().map(|t| t - first).collect())
}

/// Stored frames or the video of an episode, or a folder's images in the order of their names.
fn of_folder(path: &Path) -> Result<(Source, Option<Vec<f64>>)> {
    if let Some((_, file)) = layout::frame_files(path)?.into_iter().next() {
        let trajectory = Trajectory::read(&path.join(layout::TRAJECTORY)).ok();
        let times_s = trajectory
            .map(|t| t.time_s)
            .filter(|times| !times.is_empty());
        let times_s = times_s.map(|times| times.iter().map(|t| t - times[0]).collect());
        return Ok((Source::Stored(FrameStack::read(&file)?), times_s));
    }
    if let Some((_, file)) = layout::video_files(path)?.into_iter().next() {
        let times_s = shown_s(&file)?;
        return Ok((Source::Video(file), Some(times_s)));
    }
    let entries = std::fs::read_dir(path).map_err(|e| DatasetError::io("list", path, e))?;
    let mut images = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| DatasetError::io("list", path, e))?;
        // A hidden one is macOS's or a viewer's.
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && is_image(&entry.path()) {
            images.push(entry.path());
        }
    }
    if images.is_empty() {
        return Err(DatasetError::corrupt(
            path,
            "the folder has neither images (png, jpg) nor an episode's recordings; give a video, \
             images, a folder of images or an episode's folder",
        ));
    }
    images.sort();
    images.sort_by_key(|image| counted(image));
    Ok((Source::Images(images), None))
}

/// A file's name, its numbers filled up with zeros, so that 10 comes after 9.
fn counted(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parts = name.split_inclusive(|c: char| !c.is_ascii_digit());
    parts.map(|part| format!("{part:0>20}")).collect()
}

#[cfg(test)]
#[path = "../tests/unit/film.rs"]
mod tests;
