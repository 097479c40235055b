//! Recorded and replayed frames side by side: a strip and an animation.

use std::path::Path;

use foresight_datasets::video::{VideoCodec, VideoEncoder};
use foresight_datasets::DatasetError;
use image::imageops::{overlay, resize, FilterType};
use image::{ImageError, Rgb, RgbImage};

use crate::{bitmap_text, gif};
use foresight_runs::replay::Replay;

/// Side of each picture, px.
const SIDE: u32 = 192;
const GAP: u32 = 6;
/// Height of a line of words, px.
const LINE: u32 = 16;
/// Columns of a strip.
const MOST: usize = 10;
const PAPER: Rgb<u8> = Rgb([24, 24, 26]);
const INK: Rgb<u8> = Rgb([225, 225, 220]);

/// Recorded above, replayed below, from start to end; the difference under each pair.
pub fn strip(replay: &Replay) -> Option<RgbImage> {
    let shown: Vec<_> = replay
        .steps
        .iter()
        .filter(|s| s.replayed_view.is_some())
        .collect();
    if shown.is_empty() {
        return None;
    }
    let columns = shown.len().min(MOST);
    let rows = 1 + u32::from(shown.iter().any(|s| s.recorded_view.is_some()));
    let width = GAP + columns as u32 * (SIDE + GAP);
    let height = GAP + LINE + rows * (SIDE + GAP) + LINE;
    let mut canvas = RgbImage::from_pixel(width, height, PAPER);
    let title = if rows == 2 {
        "recorded (above), replayed (below)"
    } else {
        "replayed"
    };
    bitmap_text::write(&mut canvas, i64::from(GAP), 5, 1, INK, title);
    for column in 0..columns {
        let at = if columns == 1 {
            0
        } else {
            column * (shown.len() - 1) / (columns - 1)
        };
        let step = shown[at];
        let x = i64::from(GAP + column as u32 * (SIDE + GAP));
        let mut y = i64::from(GAP + LINE);
        if rows == 2 {
            if let Some(recorded) = &step.recorded_view {
                overlay(&mut canvas, &square(recorded), x, y);
            }
            y += i64::from(SIDE + GAP);
        }
        if let Some(replayed) = &step.replayed_view {
            overlay(&mut canvas, &square(replayed), x, y);
        }
        y += i64::from(SIDE + 4);
        bitmap_text::write(
            &mut canvas,
            x,
            y,
            1,
            INK,
            &words(step.step, step.time_s, step.error.position_mm),
        );
    }
    Some(canvas)
}

/// How long a picture of the film is shown, ms.
const SHOWN_MS: u32 = 250;
/// How long the last one is.
const LAST_MS: u32 = 2000;

/// Recorded on the left, replayed on the right; `false` when there is nothing to show.
///
/// # Errors
/// When the file can't be written.
pub fn write_gif(path: &Path, replay: &Replay) -> Result<bool, ImageError> {
    let film = film(replay);
    if film.is_empty() {
        return Ok(false);
    }
    gif::write(path, film, SHOWN_MS, LAST_MS).map(|()| true)
}

/// The same as an MP4 video, by the `ffmpeg` program.
///
/// # Errors
/// When `ffmpeg` is missing or the file can't be written.
pub fn write_mp4(path: &Path, replay: &Replay) -> Result<bool, DatasetError> {
    let film = film(replay);
    let Some(first) = film.first() else {
        return Ok(false);
    };
    let fps = 1000.0 / f64::from(SHOWN_MS);
    let mut encoder = VideoEncoder::create(path, first.dimensions(), fps, VideoCodec::H264)?;
    let last = film.len() - 1;
    for (i, canvas) in film.iter().enumerate() {
        let times = if i == last { LAST_MS / SHOWN_MS } else { 1 };
        for _ in 0..times {
            encoder.push(canvas.as_raw())?;
        }
    }
    encoder.finish()?;
    Ok(true)
}

/// The pictures of the film, all of one size.
fn film(replay: &Replay) -> Vec<RgbImage> {
    let both = replay.steps.iter().any(|s| s.recorded_view.is_some());
    let pictures = 1 + u32::from(both);
    let shown = replay.steps.iter().filter(|s| s.replayed_view.is_some());
    shown
        .map(|step| {
            let mut canvas = RgbImage::from_pixel(
                GAP + pictures * (SIDE + GAP),
                GAP + SIDE + GAP + LINE,
                PAPER,
            );
            let mut x = i64::from(GAP);
            if let Some(recorded) = &step.recorded_view {
                overlay(&mut canvas, &square(recorded), x, i64::from(GAP));
            }
            if both {
                x += i64::from(SIDE + GAP);
            }
            if let Some(replayed) = &step.replayed_view {
                overlay(&mut canvas, &square(replayed), x, i64::from(GAP));
            }
            bitmap_text::write(
                &mut canvas,
                i64::from(GAP),
                i64::from(SIDE + 2 * GAP),
                1,
                INK,
                &words(step.step, step.time_s, step.error.position_mm),
            );
            canvas
        })
        .collect()
}

fn words(step: usize, time_s: Option<f64>, error_mm: f64) -> String {
    let when = time_s.map_or_else(|| format!("{step}"), |t| format!("{t:.1} s"));
    format!("{when}  off {error_mm:.1} mm")
}

/// The middle square of a picture at the strip's size; of several cameras' side by side the first one's.
fn square(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = width.min(height).max(1);
    let left = if width < 2 * side {
        (width - side) / 2
    } else {
        0
    };
    let cut = image::imageops::crop_imm(image, left, (height - side) / 2, side, side);
    resize(&cut.to_image(), SIDE, SIDE, FilterType::CatmullRom)
}
