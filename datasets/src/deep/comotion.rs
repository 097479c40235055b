//! Which pixels move along with the hand, around where it should be.
//!
//! Between two pictures the hand moves by Δ px in the picture, by its poses and the camera. A pixel that
//! looks more like the one Δ further in the later picture than like itself there moved along. Over many
//! pairs such pixels make a map of the hand, centred where its tips should be; where that map fits
//! the hand's own outline best says how far off the extrinsics are, and the Δ that fits best turned by
//! an angle says how much the camera is turned around its axis.

use foresight_planner::Pose;
use nalgebra::Vector3;

use super::hand::{self, Viewpoint};
use super::small::Small;

/// Half the side of the map, px of pictures [`super::HEIGHT_PX`] high.
pub(super) const SIDE: isize = 24;
/// How far off extrinsics are looked for, px of such pictures.
const MOST_OFF: isize = 16;
/// Motions that are looked at, px of such pictures.
const MOTION_PX: [f64; 2] = [2.0, 16.0];
/// Turns of the hand between two pictures that count as none, rad.
const UNTURNED_RAD: f64 = 0.1;
/// Pictures between which a motion is looked for.
const APART: usize = 8;
/// Turns of the camera around its axis that are tried, degrees.
const ROLLS_DEG: [f64; 9] = [-10.0, -7.5, -5.0, -2.5, 0.0, 2.5, 5.0, 7.5, 10.0];
/// Differences of colours this small say nothing.
const NOISE: f64 = 0.15;

const CELLS: usize = (2 * SIDE as usize + 1) * (2 * SIDE as usize + 1);

/// What is needed of a recording: pictures, and for each the pose and the camera.
pub(super) struct Filmed<'a> {
    pub(super) pictures: &'a [Small],
    pub(super) poses: &'a [Pose],
    pub(super) cameras: Vec<Viewpoint>,
}

/// Where the map of what moves along fits the hand best.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandFit {
    /// Pairs of pictures.
    pub(super) pairs: usize,
    /// How well it fits there, and where the extrinsics say, -1 to 1.
    pub(super) best: f64,
    pub(super) here: f64,
    /// How far that is, px.
    pub(super) off_px: [f64; 2],
    /// Whether it lies at the edge of what was looked at.
    pub(super) at_least: bool,
    /// The same as an angle, degrees.
    pub(super) off_deg: f64,
    /// How much the camera seems turned around its axis, degrees.
    pub(super) roll_deg: f64,
}

impl HandFit {
    /// Both angles together, degrees.
    pub(super) fn error_deg(&self) -> f64 {
        self.off_deg.hypot(self.roll_deg)
    }
}

/// Two pictures, and how the hand moves between them.
struct Pair<'a> {
    now: &'a Small,
    next: &'a Small,
    tip: [f64; 2],
    motion: [f64; 2],
    outline: Vec<[f64; 2]>,
    focal_px: f64,
}

/// Fits the hand to all recordings together.
pub(super) fn fit(all: &[Filmed<'_>], behind_m: f64) -> Option<HandFit> {
    let points = hand::points();
    let of = |filmed| pairs(filmed, behind_m, &points);
    let pairs: Vec<Pair> = all.iter().flat_map(of).collect();
    if pairs.is_empty() {
        return None;
    }
    let (mut map, mut outline) = (vec![0.0; CELLS], vec![0.0; CELLS]);
    for pair in &pairs {
        pair.add(&mut map, &mut outline);
    }
    let here = agreement(&map, &outline, [0, 0]);
    let offs = -MOST_OFF..=MOST_OFF;
    let tried = offs.clone().flat_map(|y| offs.clone().map(move |x| [x, y]));
    let scored = tried.map(|off| (agreement(&map, &outline, off), off));
    let (best, off) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let focal = pairs.iter().map(|p| p.focal_px).sum::<f64>() / pairs.len() as f64;
    let off_px = off.map(|v| v as f64);
    Some(HandFit {
        pairs: pairs.len(),
        best,
        here,
        off_px,
        at_least: off.iter().any(|v| v.abs() == MOST_OFF),
        off_deg: (off_px[0].hypot(off_px[1]) / focal).atan().to_degrees(),
        roll_deg: roll(&pairs, off_px),
    })
}

fn pairs<'a>(filmed: &'a Filmed<'_>, behind_m: f64, points: &[Vector3<f64>]) -> Vec<Pair<'a>> {
    let count = filmed.pictures.len();
    let tip = |i: usize| filmed.cameras[i].project(&hand::tip(&filmed.poses[i], behind_m));
    let mut pairs = Vec::new();
    let mut i = 0;
    while i + 1 < count {
        let moved = |j: usize| {
            let (from, to) = (tip(i)?, tip(j)?);
            let motion = [to[0] - from[0], to[1] - from[1]];
            let length = motion[0].hypot(motion[1]);
            let turned = filmed.poses[i].angle_rad(&filmed.poses[j]) > UNTURNED_RAD;
            let fits = (MOTION_PX[0]..=MOTION_PX[1]).contains(&length) && !turned;
            fits.then_some((j, from, motion))
        };
        let found = (i + 1..count.min(i + 1 + APART)).find_map(moved);
        if let Some((j, from, motion)) = found {
            let camera = &filmed.cameras[i];
            pairs.push(Pair {
                now: &filmed.pictures[i],
                next: &filmed.pictures[j],
                tip: from,
                motion,
                outline: hand::shown(&filmed.poses[i], behind_m, camera, points),
                focal_px: camera.focal_px(),
            });
        }
        i += found.map_or(1, |(j, ..)| (j - i).max(1));
    }
    pairs
}

impl Pair<'_> {
    /// Adds what moves along to `map` and the hand's outline to `outline`, around the tips.
    fn add(&self, map: &mut [f64], outline: &mut [f64]) {
        let centre = self.tip.map(|v| v.floor() as isize);
        let (mut moved, mut stayed) = (vec![f64::NAN; CELLS], vec![f64::NAN; CELLS]);
        for (cell, [dx, dy]) in cells().enumerate() {
            let [x, y] = [centre[0] + dx, centre[1] + dy];
            let to = [x as f64 + self.motion[0], y as f64 + self.motion[1]];
            let colours = (
                self.now.pixel(x, y),
                self.next.pixel(x, y),
                self.next.between(to),
            );
            if let (Some(now), Some(same), Some(along)) = colours {
                moved[cell] = difference(now, along);
                stayed[cell] = difference(now, same);
            }
        }
        for (cell, [dx, dy]) in cells().enumerate() {
            let mut sums = [0.0; 3];
            for (ox, oy) in (-1..=1).flat_map(|y| (-1..=1).map(move |x| (x, y))) {
                if let Some(near) = cell_at([dx + ox, dy + oy]) {
                    if moved[near].is_finite() {
                        sums[0] += moved[near];
                        sums[1] += stayed[near];
                        sums[2] += 1.0;
                    }
                }
            }
            if sums[2] > 0.0 {
                let [along, still, count] = sums;
                map[cell] += (still - along) / (still + along + NOISE * count);
            }
        }
        let mut covered = vec![false; CELLS];
        for [x, y] in &self.outline {
            let at = [
                x.floor() as isize - centre[0],
                y.floor() as isize - centre[1],
            ];
            if let Some(cell) = cell_at(at) {
                covered[cell] = true;
            }
        }
        for (sum, covered) in outline.iter_mut().zip(covered) {
            *sum += f64::from(u8::from(covered));
        }
    }

    /// Mean difference of the hand's pixels, seen `off` px away, from where they move to when their
    /// motion is turned by an angle.
    fn error(&self, off: [f64; 2], turn_rad: f64) -> f64 {
        let (sin, cos) = turn_rad.sin_cos();
        let [u, v] = self.motion;
        let motion = [cos * u - sin * v, sin * u + cos * v];
        let (mut sum, mut count) = (0.0, 0.0);
        for [x, y] in &self.outline {
            let at = [x + off[0] - 0.5, y + off[1] - 0.5];
            let to = [at[0] + motion[0], at[1] + motion[1]];
            if let (Some(now), Some(next)) = (self.now.between(at), self.next.between(to)) {
                sum += difference(now, next);
                count += 1.0;
            }
        }
        sum / f64::max(count, 1.0)
    }
}

/// The turn of motions under which the hand's pixels find themselves best, between those tried; the
/// camera's own is the opposite.
fn roll(pairs: &[Pair], off: [f64; 2]) -> f64 {
    let error = |deg: &f64| {
        pairs
            .iter()
            .map(|p| p.error(off, deg.to_radians()))
            .sum::<f64>()
    };
    let errors: Vec<f64> = ROLLS_DEG.iter().map(error).collect();
    let least = (0..errors.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b]));
    let least = least.unwrap_or(0);
    let neighbours = least
        .checked_sub(1)
        .map(|i| errors[i])
        .zip(errors.get(least + 1));
    // A parabola through the least and its neighbours.
    let shift = neighbours.map_or(0.0, |(before, after)| {
        let bend = before - 2.0 * errors[least] + after;
        if bend > 0.0 {
            0.5 * (before - after) / bend
        } else {
            0.0
        }
    });
    ROLLS_DEG[least] + shift * (ROLLS_DEG[1] - ROLLS_DEG[0])
}

/// Correlation of the map, moved by `off`, with the outline, where both are.
fn agreement(map: &[f64], outline: &[f64], off: [isize; 2]) -> f64 {
    let both = cells().enumerate().filter_map(|(cell, [dx, dy])| {
        let moved = cell_at([dx + off[0], dy + off[1]])?;
        Some((map[moved], outline[cell]))
    });
    let pairs: Vec<(f64, f64)> = both.collect();
    super::correlation(&pairs)
}

/// Places around the tips, row by row.
fn cells() -> impl Iterator<Item = [isize; 2]> {
    (-SIDE..=SIDE).flat_map(|y| (-SIDE..=SIDE).map(move |x| [x, y]))
}

fn cell_at([dx, dy]: [isize; 2]) -> Option<usize> {
    let inside = dx.abs() <= SIDE && dy.abs() <= SIDE;
    inside.then(|| ((dy + SIDE) * (2 * SIDE + 1) + dx + SIDE) as usize)
}

fn difference(a: [f32; 3], b: [f32; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum()
}
