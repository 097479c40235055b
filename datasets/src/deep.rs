//! Whether pictures, poses and extrinsics of a dataset belong together, by looking at the pictures.
//!
//! What `validate` reads may be whole and still be wrong: extrinsics of another day, pictures that
//! come later than the states they are stored with. Two things are measured of every camera: by how
//! many frames the pictures' changes lag behind the hand's motions, and where the pixels that move
//! along with the hand are, beside where its pose and the extrinsics put it (`comotion.rs`).

use std::collections::BTreeMap;

use foresight_planner::Pose;
use image::{Rgb, RgbImage};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::Result;
use crate::extrinsics;
use crate::store::EpisodeStore;
use crate::view::{Role, View};

mod comotion;
mod hand;
mod small;

use comotion::{Filmed, HandFit};
use hand::Viewpoint;
use small::Small;

/// Pictures are looked at in this height, px.
const HEIGHT_PX: u32 = 64;
/// Episodes of a camera that are looked at, evenly spaced.
const EPISODES: usize = 40;
/// Frames of an episode that are looked at, from its middle.
const FRAMES: usize = 200;
/// Lags that are tried, frames.
const MOST_LAG: usize = 6;
/// A lag must explain the changes by so much better than none.
const BETTER_BY: f64 = 0.15;
/// Changes and motions of which the best lag explains less say nothing.
const LEAST_CORRELATION: f64 = 0.25;
/// Fewer pairs of pictures say nothing about extrinsics.
const LEAST_PAIRS: usize = 15;
/// A fit that is worse is no hand.
const LEAST_FIT: f64 = 0.45;
/// Extrinsics further off are wrong, degrees.
const WRONG_DEG: f64 = 3.0;
/// Angles of view, from top to bottom, that are tried where it isn't known, degrees.
const FOVS_DEG: [f64; 13] = [
    20.0, 22.5, 25.0, 28.0, 31.5, 35.0, 39.0, 44.0, 49.0, 55.0, 61.0, 68.0, 76.0,
];
/// A view under which the hand fits somewhere else must fit by so much better than one under which it
/// fits where the extrinsics say.
const ELSEWHERE: f64 = 0.9;
/// How far the Franka Hand's flange is behind its fingertips, m.
const FLANGE_M: f64 = 0.1034;

/// What is known of a dataset beside what it says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DeepOptions {
    /// The cameras' angle of view from top to bottom, rad; of recordings of ours the scene says it, of
    /// others what fits best is taken when absent.
    pub fov_rad: Option<f64>,
    /// Whether poses are those of the flange instead of the fingertips.
    pub of_flange: bool,
}

/// What was found about one camera.
#[derive(Debug, Clone, Serialize)]
pub struct CameraFindings {
    /// Its name.
    pub camera: String,
    /// Episodes looked at.
    pub episodes: usize,
    /// Frames by which pictures come later than the states they are stored with; `None` where that
    /// can't be told.
    pub lag_frames: Option<isize>,
    /// Correlation of the pictures' changes with the hand's speed at that lag, and at none.
    pub lag_correlation: [f64; 2],
    /// How well the pixels that move along fit the hand where the extrinsics put it, -1 to 1; `None`
    /// where that can't be told.
    pub score: Option<f64>,
    /// How far from there they fit best, degrees of the camera's view, and how much the camera seems
    /// turned around its axis, degrees.
    pub off_deg: Option<[f64; 2]>,
    /// Angle of view from top to bottom that was taken, degrees, and whether it is known.
    pub fov_deg: Option<(f64, bool)>,
    /// What is wrong.
    pub faults: Vec<String>,
    /// What can't be told, and why.
    pub notes: Vec<String>,
    /// A picture with the hand's outline where the extrinsics put it (yellow), and where it fits best
    /// (red) when that is elsewhere.
    #[serde(skip)]
    pub picture: Option<RgbImage>,
}

/// Looks at every camera of a dataset.
///
/// # Errors
/// When none of a camera's episodes can be read.
pub fn look(store: &dyn EpisodeStore, options: DeepOptions) -> Result<Vec<CameraFindings>> {
    let mut cameras: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (episode, entry) in store.episodes().iter().enumerate() {
        for camera in entry.cameras.iter().filter(|c| c.plain) {
            cameras.entry(&camera.name).or_default().push(episode);
        }
    }
    let one = |(name, episodes): (&&str, &Vec<usize>)| camera(store, name, episodes, options);
    cameras.iter().map(one).collect()
}

/// What is needed of an episode.
struct Material {
    pictures: Vec<Small>,
    /// One of them as it was recorded, and its number.
    shown: (usize, RgbImage),
    poses: Vec<Pose>,
    extrinsics: Option<Vec<[f64; 6]>>,
    fov_rad: Option<f64>,
}

fn material(store: &dyn EpisodeStore, episode: usize, view: &View) -> Result<Material> {
    let track = store.proprioception(episode, view)?;
    let shared = track.frames.min(track.states.len());
    let from = shared.saturating_sub(FRAMES) / 2;
    let numbers: Vec<usize> = (from..shared.min(from + FRAMES)).collect();
    let mut pictures = Vec::with_capacity(numbers.len());
    let mut shown = (0, RgbImage::default());
    for some in numbers.chunks(32) {
        for image in store.frames(episode, view, some)?.images() {
            pictures.push(Small::of(&image));
            if pictures.len() == numbers.len().div_ceil(2) {
                shown = (pictures.len() - 1, image);
            }
        }
    }
    let scene = store.extras(episode)?.trajectory.simulator;
    let cut = |rows: Vec<[f64; 6]>| numbers.iter().map(|i| rows[*i]).collect();
    Ok(Material {
        pictures,
        shown,
        poses: numbers.iter().map(|i| track.states[*i]).collect(),
        extrinsics: track.extrinsics.map(cut),
        fov_rad: scene.and_then(|track| extrinsics::fov_of_scene(&track.scene)),
    })
}

fn camera(
    store: &dyn EpisodeStore,
    name: &str,
    episodes: &[usize],
    options: DeepOptions,
) -> Result<CameraFindings> {
    let view = View {
        role: Role::Named(name.to_owned()),
        half: None,
    };
    let every = episodes.len().div_ceil(EPISODES);
    let chosen: Vec<usize> = episodes.iter().copied().step_by(every).collect();
    let read: Vec<Result<Material>> = chosen
        .par_iter()
        .map(|episode| material(store, *episode, &view))
        .collect();
    let (mut all, mut fault) = (Vec::new(), None);
    for one in read {
        match one {
            Ok(material) => all.push(material),
            Err(error) => fault = Some(error),
        }
    }
    if let (true, Some(fault)) = (all.is_empty(), fault) {
        return Err(fault);
    }
    let mut found = CameraFindings {
        camera: name.to_owned(),
        episodes: all.len(),
        lag_frames: None,
        lag_correlation: [0.0; 2],
        score: None,
        off_deg: None,
        fov_deg: None,
        faults: Vec::new(),
        notes: Vec::new(),
        picture: None,
    };
    let lag = found.judge_lag(&all);
    found.judge_extrinsics(&all, lag, options);
    Ok(found)
}

impl CameraFindings {
    /// By how many frames the pictures come late; none where that can't be told.
    fn judge_lag(&mut self, all: &[Material]) -> isize {
        let most = MOST_LAG as isize;
        let lags = (-most..=most).map(|lag| (lag, correlation(&at_lag(all, lag))));
        let all_lags: Vec<(isize, f64)> = lags.collect();
        let best = all_lags.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((lag, correlated)) = best.copied() else {
            return 0;
        };
        let at_none = all_lags[MOST_LAG].1;
        self.lag_correlation = [correlated, at_none];
        if correlated < LEAST_CORRELATION {
            self.notes.push(format!(
                "whether pictures and states belong together can't be told: the pictures' changes don't \
                 follow the hand's motions (correlation {correlated:.2} at best)"
            ));
            return 0;
        }
        if lag == 0 || correlated - at_none < BETTER_BY {
            self.lag_frames = Some(0);
            return 0;
        }
        self.lag_frames = Some(lag);
        self.faults.push(format!(
            "its pictures come {} frames {} than the states they are stored with (correlation of changes \
             with motions {correlated:.2}, and {at_none:.2} as stored)",
            lag.abs(),
            if lag > 0 { "later" } else { "earlier" },
        ));
        lag
    }

    fn judge_extrinsics(&mut self, all: &[Material], lag: isize, options: DeepOptions) {
        let placed: Vec<&Material> = all.iter().filter(|m| m.extrinsics.is_some()).collect();
        if placed.is_empty() {
            self.notes
                .push("no extrinsics are recorded of it".to_owned());
            return;
        }
        let given = options.fov_rad;
        let known = given.is_some() || placed.iter().all(|m| m.fov_rad.is_some());
        let fovs: Vec<Option<f64>> = match known {
            true => vec![given],
            false => FOVS_DEG.iter().map(|deg| Some(deg.to_radians())).collect(),
        };
        let behind_m = |flange: bool| if flange { FLANGE_M } else { 0.0 };
        let behind = behind_m(options.of_flange);
        let fit = |fov: Option<f64>, behind: f64| {
            let filmed: Vec<Filmed> = placed.iter().map(|m| m.filmed(lag, fov)).collect();
            comotion::fit(&filmed, behind)
        };
        let fits = fovs
            .par_iter()
            .filter_map(|fov| Some((fit(*fov, behind)?, *fov)));
        let fits: Vec<(HandFit, Option<f64>)> = fits.collect();
        let likely = |fit: &HandFit| fit.here.max(ELSEWHERE * fit.best);
        let best = fits
            .iter()
            .max_by(|a, b| likely(&a.0).total_cmp(&likely(&b.0)));
        let Some((found, fov)) = best.copied().filter(|(fit, _)| fit.pairs >= LEAST_PAIRS) else {
            self.notes.push(
                "its extrinsics can't be judged: the hand moves too little in its pictures"
                    .to_owned(),
            );
            return;
        };
        let shown = placed[placed.len() / 2];
        let fov_rad = fov.or(shown.fov_rad).unwrap_or(0.0);
        self.fov_deg = Some((fov_rad.to_degrees(), known));
        self.score = Some(found.here);
        self.picture = shown.drawn(lag, fov, behind, &found);
        if found.best < LEAST_FIT {
            self.notes.push(format!(
                "its extrinsics can't be judged: what moves along with the hand doesn't look like one \
                 (fit {:.2} at best)",
                found.best
            ));
            return;
        }
        self.off_deg = Some([found.off_deg, found.roll_deg]);
        if found.error_deg() <= WRONG_DEG {
            return;
        }
        let more = if found.at_least { "at least " } else { "" };
        let other = fit(fov, behind_m(!options.of_flange));
        let other = other.filter(|other| other.error_deg() <= WRONG_DEG);
        let instead = match (other, options.of_flange) {
            (None, _) => "",
            (Some(_), false) => "; if its poses are the flange's (--frame flange), they are right",
            (Some(_), true) => "; if its poses are the fingertips' (--frame tcp), they are right",
        };
        self.faults.push(format!(
            "its extrinsics are off by {more}{:.1}°: the hand is seen {:.1}° away from where they put it, \
             and moves as if the camera were turned by {:.1}° (fit {:.2} there, {:.2} as recorded){instead}",
            found.error_deg(),
            found.off_deg,
            found.roll_deg,
            found.best,
            found.here
        ));
    }
}

impl Material {
    fn size(&self) -> [usize; 2] {
        self.pictures
            .first()
            .map_or([1, 1], |p| [p.width, p.height])
    }

    /// Numbers of the pictures that have a state when they come `lag` frames late.
    fn paired(&self, lag: isize) -> std::ops::Range<usize> {
        let (count, by) = (self.pictures.len(), lag.unsigned_abs());
        match lag >= 0 {
            true => by.min(count)..count,
            false => 0..count.saturating_sub(by),
        }
    }

    fn filmed(&self, lag: isize, fov: Option<f64>) -> Filmed<'_> {
        let range = self.paired(lag);
        let states = self.paired(-lag);
        let fov_rad = fov.or(self.fov_rad).unwrap_or(1.0);
        let rows = self.extrinsics.as_deref().unwrap_or_default();
        let size = self.size();
        let camera = |pose: &[f64; 6]| Viewpoint {
            pose: *pose,
            fov_rad,
            size,
        };
        Filmed {
            pictures: &self.pictures[range.clone()],
            poses: &self.poses[states],
            // The camera's place belongs to the picture.
            cameras: rows[range].iter().map(camera).collect(),
        }
    }

    /// A picture with the hand drawn into it.
    fn drawn(
        &self,
        lag: isize,
        fov: Option<f64>,
        behind_m: f64,
        fit: &HandFit,
    ) -> Option<RgbImage> {
        let (number, image) = &self.shown;
        let filmed = self.filmed(lag, fov);
        let at = number.checked_sub(self.paired(lag).start)?;
        let scale = f64::from(image.height()) / self.size()[1] as f64;
        // Large enough to see something.
        let by = (384 / image.height().max(1)).max(1);
        let (width, height) = (image.width() * by, image.height() * by);
        let mut drawn =
            image::imageops::resize(image, width, height, image::imageops::FilterType::Nearest);
        let (pose, camera) = (filmed.poses.get(at)?, filmed.cameras.get(at)?);
        let outline = hand::shown(pose, behind_m, camera, &hand::points());
        let mut dots = |off: [f64; 2], colour: Rgb<u8>| {
            for point in &outline {
                let [x, y] = [0, 1].map(|i| ((point[i] + off[i]) * scale * f64::from(by)) as i64);
                for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                    if x >= 0 && y >= 0 && x < i64::from(width) && y < i64::from(height) {
                        drawn.put_pixel(x as u32, y as u32, colour);
                    }
                }
            }
        };
        dots([0.0, 0.0], Rgb([255, 220, 0]));
        if fit.off_deg > WRONG_DEG {
            dots(fit.off_px, Rgb([255, 40, 40]));
        }
        Some(drawn)
    }
}

/// Changes of pictures and speeds of the hand, each measured by its episode's own deviation, where
/// pictures come `lag` frames late.
fn at_lag(all: &[Material], lag: isize) -> Vec<(f64, f64)> {
    let mut pairs = Vec::new();
    for material in all {
        let changes: Vec<f64> = material
            .pictures
            .windows(2)
            .map(|p| p[0].change(&p[1]))
            .collect();
        let speeds = material.poses.windows(2).map(|p| {
            // Fingers that close move a few centimetres of the picture.
            p[0].distance_m(&p[1])
                + 0.1 * p[0].angle_rad(&p[1])
                + 0.05 * (p[0].gripper - p[1].gripper).abs()
        });
        let (changes, speeds) = (standardised(changes), standardised(speeds.collect()));
        for (i, speed) in speeds.iter().enumerate() {
            let at = i.checked_add_signed(lag).and_then(|at| changes.get(at));
            pairs.extend(at.map(|change| (*change, *speed)));
        }
    }
    pairs
}

fn standardised(values: Vec<f64>) -> Vec<f64> {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    values
        .iter()
        .map(|v| (v - mean) / deviation.max(1e-9))
        .collect()
}

/// Pearson's correlation; 0 where one of both doesn't vary.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len().max(1) as f64;
    let (a, b) = pairs
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let mut sums = [0.0; 3];
    for (x, y) in pairs {
        sums[0] += (x - a) * (y - b);
        sums[1] += (x - a).powi(2);
        sums[2] += (y - b).powi(2);
    }
    let [both, x, y] = sums;
    if x * y > 0.0 {
        both / (x * y).sqrt()
    } else {
        0.0
    }
}

/// How recorded actions fill the box of actions a model plans in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionCoverage {
    /// Steps a second.
    pub fps: f64,
    /// Steps.
    pub steps: usize,
    /// Share of them outside the box in some translation, and in some rotation.
    pub outside: [f64; 2],
    /// For x, y, z, rx, ry, rz: the magnitude that 95 % of the steps stay below, m or rad.
    pub p95: [f64; 6],
}

/// Measures the actions of a dataset over steps of `1 / fps`, beside a box of `max_translation_m` and
/// `max_rotation_rad` an axis and step.
///
/// # Errors
/// When an episode can't be read.
pub fn coverage(
    store: &dyn EpisodeStore,
    fps: f64,
    max_translation_m: f64,
    max_rotation_rad: f64,
) -> Result<ActionCoverage> {
    let entries = store.episodes();
    let of = |episode: usize| -> Result<Vec<[f64; 7]>> {
        let trajectory = store.extras(episode)?.trajectory;
        Ok(crate::statistics::actions(
            trajectory,
            &entries[episode],
            Some(fps),
        ))
    };
    let all: Vec<Vec<[f64; 7]>> = (0..entries.len())
        .into_par_iter()
        .map(of)
        .collect::<Result<_, _>>()?;
    let all = all.concat();
    // What is just at the border isn't outside.
    let outside = |axes: std::ops::Range<usize>, most: f64| {
        let beyond = |a: &&[f64; 7]| a[axes.clone()].iter().any(|v| v.abs() > 1.02 * most + 1e-3);
        all.iter().filter(beyond).count() as f64 / all.len().max(1) as f64
    };
    let p95 = std::array::from_fn(|axis| {
        let mut sizes: Vec<f64> = all.iter().map(|a| a[axis].abs()).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.get((sizes.len() * 95) / 100).copied().unwrap_or(0.0)
    });
    Ok(ActionCoverage {
        fps,
        steps: all.len(),
        outside: [
            outside(0..3, max_translation_m),
            outside(3..6, max_rotation_rad),
        ],
        p95,
    })
}
