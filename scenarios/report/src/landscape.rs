//! An energy landscape as a PNG: the paper's plane Δx–Δy and the notebook's sum over y.

use foresight_planner::Landscape;
use image::{Rgb, RgbImage};

use super::heatmap;
use crate::bitmap_text;

/// Side of each panel, px.
const PANEL: i64 = 380;
const LEFT: i64 = 84;
const GAP: i64 = 132;
const TOP: i64 = 54;
const BOTTOM: i64 = 64;
const BAR: i64 = 14;
const PAPER: Rgb<u8> = Rgb([255; 3]);
const INK: Rgb<u8> = Rgb([32, 34, 40]);
const RED: Rgb<u8> = Rgb([255, 64, 84]);
const WHITE: Rgb<u8> = Rgb([255; 3]);

/// Points to mark, m a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marks {
    /// Where the energy is lowest.
    pub minimum_m: [f64; 3],
    /// What really happened or was chosen, when known.
    pub true_m: Option<[f64; 3]>,
}

/// The landscape's picture: both panels, the minimum as a white ring, the true action as a red
/// cross.
pub fn picture(landscape: &Landscape, marks: &Marks) -> RgbImage {
    let width = LEFT + 2 * PANEL + 2 * GAP;
    let height = TOP + PANEL + BOTTOM;
    let mut image = RgbImage::from_pixel(width as u32, height as u32, PAPER);
    let sum: Vec<f32> = landscape.sum_over_y().iter().map(|e| *e as f32).collect();
    let panels = [
        (LEFT, landscape.plane_xy(), 1, "energy at dz = 0", "dy, cm"),
        (
            LEFT + PANEL + GAP,
            sum,
            2,
            "energy summed over dy",
            "dz, cm",
        ),
    ];
    for (left, energies, up, title, name) in panels {
        panel(&mut image, landscape, left, &energies, title, name);
        let at = |v: [f64; 3]| place(landscape, left, v[0], v[up]);
        let (x, y) = at(marks.minimum_m);
        ring(&mut image, x, y);
        if let Some(true_m) = marks.true_m {
            let (x, y) = at(true_m);
            cross(&mut image, x, y);
        }
    }
    bitmap_text::write(&mut image, LEFT, 10, 1, INK, &legend(landscape, marks));
    image
}

fn legend(landscape: &Landscape, marks: &Marks) -> String {
    let mut legend = String::from("O lowest energy");
    if let Some(true_m) = marks.true_m {
        legend += "   + true action";
        if is_outside(landscape, true_m) {
            legend += " (outside, drawn at the edge)";
        }
    }
    legend
}

/// Whether a translation, m a step, lies outside a landscape's grid.
pub fn is_outside(landscape: &Landscape, translation_m: [f64; 3]) -> bool {
    translation_m
        .iter()
        .any(|v| v.abs() > landscape.half_width_m)
}

/// Where a translation lies in the panel that starts at `left`, px; grid points are the middles
/// of their squares.
fn place(landscape: &Landscape, left: i64, across_m: f64, up_m: f64) -> (i64, i64) {
    let n = landscape.side as f64;
    let edge = landscape.half_width_m * n / (n - 1.0).max(1.0);
    let share = |v: f64| ((v + edge) / (2.0 * edge)).clamp(0.0, 1.0);
    (
        left + (share(across_m) * PANEL as f64) as i64,
        TOP + ((1.0 - share(up_m)) * PANEL as f64) as i64,
    )
}

fn panel(
    image: &mut RgbImage,
    landscape: &Landscape,
    left: i64,
    energies: &[f32],
    title: &str,
    name: &str,
) {
    let side = landscape.side;
    let small = heatmap::picture(energies, side);
    for y in 0..PANEL {
        for x in 0..PANEL {
            let cell = |v: i64| (v * side as i64 / PANEL).clamp(0, side as i64 - 1) as u32;
            put(image, left + x, TOP + y, *small.get_pixel(cell(x), cell(y)));
        }
    }
    bitmap_text::write(image, left, TOP - 18, 1, INK, title);
    for share in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let v = share * landscape.half_width_m;
        let text = format!("{:.1}", 100.0 * v);
        let wide = i64::from(bitmap_text::width(&text, 1));
        let (x, y) = place(landscape, left, v, v);
        for k in 0..5 {
            put(image, x, TOP + PANEL + k, INK);
            put(image, left - 1 - k, y, INK);
        }
        bitmap_text::write(image, x - wide / 2, TOP + PANEL + 10, 1, INK, &text);
        bitmap_text::write(image, left - 10 - wide, y - 4, 1, INK, &text);
    }
    let wide = i64::from(bitmap_text::width("dx, cm", 1));
    let middle = left + PANEL / 2 - wide / 2;
    bitmap_text::write(image, middle, TOP + PANEL + 30, 1, INK, "dx, cm");
    bitmap_text::write(image, left - 76, TOP - 18, 1, INK, name);
    let bar = left + PANEL + 12;
    for y in 0..PANEL {
        let colour = heatmap::colour(y as f32 / (PANEL - 1) as f32);
        for x in 0..BAR {
            put(image, bar + x, TOP + y, colour);
        }
    }
    if let Some([low, high]) = heatmap::range(energies) {
        let words = bar + BAR + 4;
        bitmap_text::write(image, words, TOP, 1, INK, &format!("{high:.3}"));
        bitmap_text::write(image, words, TOP + PANEL - 8, 1, INK, &format!("{low:.3}"));
    }
}

fn ring(image: &mut RgbImage, x: i64, y: i64) {
    for dy in -10_i64..=10 {
        for dx in -10_i64..=10 {
            let r2 = dx * dx + dy * dy;
            if (49..=81).contains(&r2) {
                put(image, x + dx, y + dy, WHITE);
            } else if (36..49).contains(&r2) || (82..=100).contains(&r2) {
                put(image, x + dx, y + dy, INK);
            }
        }
    }
}

fn cross(image: &mut RgbImage, x: i64, y: i64) {
    for k in -9_i64..=9 {
        for w in -1_i64..=1 {
            put(image, x + k, y + w, RED);
            put(image, x + w, y + k, RED);
        }
    }
}

fn put(image: &mut RgbImage, x: i64, y: i64, colour: Rgb<u8>) {
    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
        if x < image.width() && y < image.height() {
            image.put_pixel(x, y, colour);
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/landscape.rs"]
mod tests;
