//! Energies as colours: dark is high, bright is low, where the search wants to go.

use image::{Rgb, RgbImage};

/// Corner colours of the scale from the highest energy to the lowest; evenly spaced, ascending
/// in lightness, readable with every common colour blindness.
const SCALE: [[f32; 3]; 6] = [
    [36.0, 18.0, 68.0],
    [66.0, 56.0, 130.0],
    [46.0, 104.0, 142.0],
    [34.0, 152.0, 134.0],
    [126.0, 200.0, 86.0],
    [248.0, 230.0, 70.0],
];

/// The colour at `share` of the way from the highest energy to the lowest; grey for NaN.
pub(crate) fn colour(share: f32) -> Rgb<u8> {
    if !share.is_finite() {
        return Rgb([128; 3]);
    }
    let at = share.clamp(0.0, 1.0) * (SCALE.len() - 1) as f32;
    let below = (at as usize).min(SCALE.len() - 2);
    let between = at - below as f32;
    let mix = |i: usize| SCALE[below][i] + (SCALE[below + 1][i] - SCALE[below][i]) * between;
    Rgb([0, 1, 2].map(|i| mix(i).round() as u8))
}

/// The lowest and highest finite value.
pub(crate) fn range(energies: &[f32]) -> Option<[f32; 2]> {
    let finite = || energies.iter().copied().filter(|e| e.is_finite());
    let low = finite().fold(f32::INFINITY, f32::min);
    let high = finite().fold(f32::NEG_INFINITY, f32::max);
    (low <= high).then_some([low, high])
}

/// Energies `[side, side]`, the component drawn across slowest, as a picture of `side` px with
/// the other component growing upwards.
pub(crate) fn picture(energies: &[f32], side: usize) -> RgbImage {
    let [low, high] = range(energies).unwrap_or([0.0, 1.0]);
    let span = (high - low).max(f32::MIN_POSITIVE);
    RgbImage::from_fn(side as u32, side as u32, |x, y| {
        let at = x as usize * side + (side - 1 - y as usize);
        let energy = energies.get(at).copied().unwrap_or(f32::NAN);
        colour((high - energy) / span)
    })
}

/// A picture with the map `[rows, columns]` of surprises over it: clear where there is least, from
/// 0 on, bright where there is `most`.
pub(crate) fn overlay(picture: &RgbImage, map: &[f32], grid: [usize; 2], most: f32) -> RgbImage {
    let [rows, columns] = grid.map(|n| n.max(1));
    let (width, height) = picture.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        let row = (y as usize * rows / height.max(1) as usize).min(rows - 1);
        let column = (x as usize * columns / width.max(1) as usize).min(columns - 1);
        let value = map.get(row * columns + column).copied().unwrap_or(0.0);
        let share = (value / most.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        let (below, above) = (picture.get_pixel(x, y), colour(share));
        let part = 0.75 * share;
        let mix = |i: usize| f32::from(below[i]) * (1.0 - part) + f32::from(above[i]) * part;
        Rgb([0, 1, 2].map(|i| mix(i).round() as u8))
    })
}

#[cfg(test)]
#[path = "../tests/unit/heatmap.rs"]
mod tests;
