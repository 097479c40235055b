//! Recorded and replayed frames side by side: a strip and an animation.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::imageops::{overlay, resize, FilterType};
use image::{Delay, Frame, ImageError, Rgb, RgbImage};

use super::play::Replay;
use crate::lettering;

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
    lettering::write(&mut canvas, i64::from(GAP), 5, 1, INK, title);
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
        lettering::write(
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

/// Recorded on the left, replayed on the right.
///
/// # Errors
/// When the file can't be written.
pub fn write_gif(path: &Path, replay: &Replay) -> Result<bool, ImageError> {
    let both = replay.steps.iter().any(|s| s.recorded_view.is_some());
    let pictures = 1 + u32::from(both);
    let shown: Vec<_> = replay
        .steps
        .iter()
        .filter(|s| s.replayed_view.is_some())
        .collect();
    if shown.is_empty() {
        return Ok(false);
    }
    let mut encoder = GifEncoder::new_with_speed(BufWriter::new(File::create(path)?), 10);
    encoder.set_repeat(Repeat::Infinite)?;
    for (i, step) in shown.iter().enumerate() {
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
        let text = words(step.step, step.time_s, step.error.position_mm);
        lettering::write(
            &mut canvas,
            i64::from(GAP),
            i64::from(SIDE + 2 * GAP),
            1,
            INK,
            &text,
        );
        let ms = if i + 1 == shown.len() { 2000 } else { 250 };
        let rgba = image::DynamicImage::ImageRgb8(canvas).to_rgba8();
        let delay = Delay::from_numer_denom_ms(ms, 1);
        encoder.encode_frame(Frame::from_parts(rgba, 0, 0, delay))?;
    }
    Ok(true)
}

fn words(step: usize, time_s: Option<f64>, error_mm: f64) -> String {
    let when = time_s.map_or_else(|| format!("{step}"), |t| format!("{t:.1} s"));
    format!("{when}  off {error_mm:.1} mm")
}

/// The middle square of a picture at the strip's size.
fn square(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = width.min(height).max(1);
    let cut = image::imageops::crop_imm(image, (width - side) / 2, (height - side) / 2, side, side);
    resize(&cut.to_image(), SIDE, SIDE, FilterType::CatmullRom)
}
