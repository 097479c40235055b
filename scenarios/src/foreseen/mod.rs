//! What a predictor foresees: recorded actions imagined one to many steps ahead, and read.
//!
//! A latent can't be measured with a ruler. A gauge, fitted on *true* latents only, reads
//! where the object is and how far the hand is closed; what it reads of an imagined latent is held
//! against the truth, beside what it reads of the latent that really came: that is what a perfect
//! predictor would have. Everything needs labels only where they are: without the simulator's truth
//! what the robot knows of itself is measured.

mod displacement;
mod estimate;
mod gauge;
mod pictures;
mod ranking;
mod track;

use foresight_datasets::EpisodeStore;
use foresight_predictor::WorldModel;
use rayon::prelude::*;
use serde::Serialize;

use self::estimate::Sums;
use self::gauge::Gauge;
use self::track::{l1, Foresees, Track};
use crate::error::{RunError, RunResult};

pub use self::displacement::{Displacements, FalseMotion, Fit, Kind};
pub use self::estimate::Estimate;
pub use self::gauge::GaugeOptions;
pub use self::pictures::{Example, Moment};
pub use self::ranking::{spearman, Ranking};

/// Unit of positions for the gauge, m.
const POSITION_M: f64 = 0.1;
/// Unit of closedness for the gauge.
const CLOSEDNESS: f64 = 0.5;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeseenOptions {
    /// Steps ahead, at most.
    pub steps_ahead: usize,
    /// How gauges are fitted; the seed decides resampling too.
    pub gauge: GaugeOptions,
    /// Examples shown of each kind.
    pub examples: usize,
}

impl Default for ForeseenOptions {
    fn default() -> Self {
        ForeseenOptions {
            steps_ahead: 8,
            gauge: GaugeOptions::default(),
            examples: 2,
        }
    }
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct Foreseen {
    /// Episodes the gauges were fitted on, branches included.
    pub fitted_episodes: usize,
    /// Episodes measured, branches included.
    pub episodes: usize,
    /// Branches among them.
    pub branches: usize,
    /// Scenes they show: intervals come from resampling these.
    pub scenes: usize,
    /// Latents and what the robot knows of itself, by steps ahead.
    pub robot: Vec<RobotForesight>,
    /// What the gauge reads of the robot from true latents.
    pub robot_read: RobotReading,
    /// What happens to objects; `None` without the simulator's truth.
    pub object: Option<ObjectForesight>,
    /// Imagined latents beside what came.
    #[serde(skip)]
    pub examples: Vec<Example>,
}

/// What the gauge reads of the robot from latents that really came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RobotReading {
    /// States.
    pub states: usize,
    /// Mean absolute error of the closedness.
    pub closedness: Option<Estimate>,
    /// The same of always guessing the fitted episodes' median.
    pub closedness_guess: f64,
    /// Mean error of the hand's position, cm.
    pub hand_cm: Option<Estimate>,
}

/// So many steps ahead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RobotForesight {
    /// Steps ahead.
    pub steps_ahead: usize,
    /// Predictions.
    pub count: usize,
    /// Mean L1 distance of the imagined latent to the one that came, over that of imagining no
    /// change.
    pub l1_over_persistence: Option<Estimate>,
    /// Mean L1 distance of the imagined latent to the one that came.
    pub l1: f64,
    /// The same of imagining no change.
    pub l1_persistence: f64,
    /// Mean absolute error of the closedness read from the imagined latent.
    pub closedness: Option<Estimate>,
    /// Mean error of the hand's position read from it, cm.
    pub hand_cm: Option<Estimate>,
}

/// What happens to objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectForesight {
    /// Mean error of what the gauge reads of a free object's place on the table, true latents, cm.
    pub read_cm: Option<Estimate>,
    /// Displacements by kind and steps ahead.
    pub displacements: Vec<Displacements>,
    /// Objects that lie still, by steps ahead.
    pub false_motion: Vec<FalseMotion>,
    /// Branches of one state in order, by steps ahead; empty without branches.
    pub rankings: Vec<Ranking>,
}

/// One state, so many steps ahead.
struct Sample {
    scene: u64,
    steps: usize,
    l1: f64,
    l1_persistence: f64,
    closedness_off: f64,
    hand_off_m: f64,
    object: Option<ObjectSample>,
}

/// Displacements of the object, m.
struct ObjectSample {
    kind: Option<Kind>,
    truth: [f64; 3],
    /// Read from the latents that really came.
    seen: [f64; 3],
    /// Read from the imagined latent.
    foreseen: [f64; 3],
}

/// The largest number of steps.
fn most(samples: &[Sample]) -> usize {
    samples.iter().map(|s| s.steps).max().unwrap_or(0)
}

/// Measures `model` on `held_out`; gauges are fitted on `fitting`. `stage` is told what comes next,
/// `done` after each episode read.
///
/// # Errors
/// When a dataset can't be read or has nothing to measure, or the model can't encode it.
pub fn measure(
    model: &WorldModel,
    fitting: &dyn EpisodeStore,
    held_out: &dyn EpisodeStore,
    options: ForeseenOptions,
    stage: &dyn Fn(&'static str),
    done: &(dyn Fn() + Sync),
) -> RunResult<Foreseen> {
    stage("encoding");
    let fitted = Track::all(model, fitting, done)?;
    let tracks = Track::all(model, held_out, done)?;
    stage("fitting gauges");
    let gauges = Gauges::fit(&fitted, options.gauge)?;
    stage("imagining");
    let mut foreseen = foreseen(model, &gauges, &tracks, options)?;
    foreseen.fitted_episodes = fitted.len();
    foreseen.robot_read.closedness_guess = guess(&fitted, &tracks);
    stage("picturing");
    foreseen.examples = pictures::examples(
        model,
        [(&fitted, fitting), (&tracks, held_out)],
        options.examples,
    )?;
    Ok(foreseen)
}

/// Mean absolute error of always saying the fitted episodes' median closedness.
fn guess(fitted: &[Track], tracks: &[Track]) -> f64 {
    let all = |tracks: &[Track]| -> Vec<f64> {
        let states = tracks.iter().flat_map(|track| &track.states);
        states.map(|state| state.gripper).collect()
    };
    let (mut known, asked) = (all(fitted), all(tracks));
    known.sort_by(f64::total_cmp);
    let median = known.get(known.len() / 2).copied().unwrap_or(0.0);
    asked.iter().map(|c| (c - median).abs()).sum::<f64>() / asked.len().max(1) as f64
}

/// What reads latents.
struct Gauges {
    /// Hand x, y, z, closedness.
    robot: Gauge,
    /// Object x, y, z.
    object: Option<Gauge>,
}

impl Gauges {
    fn fit(tracks: &[Track], options: GaugeOptions) -> RunResult<Self> {
        let states = tracks.iter().flat_map(|track| &track.states);
        let poses = states.map(|pose| {
            let [x, y, z] = pose.position_m;
            vec![x, y, z, pose.gripper]
        });
        let scale = [POSITION_M, POSITION_M, POSITION_M, CLOSEDNESS];
        let robot = Gauge::fit(
            &latents(tracks.iter()),
            &poses.collect::<Vec<_>>(),
            &scale,
            options,
        )?;
        let labelled = tracks.iter().filter(|track| !track.objects.is_empty());
        let objects = labelled.clone().flat_map(|track| &track.objects);
        let objects: Vec<Vec<f64>> = objects.map(|(position, _)| position.to_vec()).collect();
        let object = match objects.is_empty() {
            true => None,
            false => {
                let scale = [POSITION_M; 3];
                Some(Gauge::fit(&latents(labelled), &objects, &scale, options)?)
            }
        };
        Ok(Gauges { robot, object })
    }
}

fn latents<'a>(tracks: impl Iterator<Item = &'a Track>) -> Vec<&'a [f32]> {
    let all = tracks.flat_map(|track| &track.latents);
    all.map(Vec::as_slice).collect()
}

/// Everything but the pictures.
fn foreseen(
    predictor: &impl Foresees,
    gauges: &Gauges,
    tracks: &[Track],
    options: ForeseenOptions,
) -> RunResult<Foreseen> {
    if tracks.is_empty() {
        return Err(RunError::Input(
            "there is no episode with two states to measure".into(),
        ));
    }
    let seed = options.gauge.seed;
    let measured = tracks
        .par_iter()
        .map(|track| of_track(predictor, gauges, track, options.steps_ahead))
        .collect::<RunResult<Vec<_>>>()?;
    let (mut robot, mut object, mut samples) = (Sums::new(), Sums::new(), Vec::new());
    for (track, read) in tracks.iter().zip(measured) {
        read.robot.iter().for_each(|r| robot.add(track.scene, *r));
        read.object.iter().for_each(|o| object.add(track.scene, *o));
        samples.extend(read.samples);
    }
    let mut scenes: Vec<u64> = tracks.iter().map(|track| track.scene).collect();
    scenes.dedup();
    let object = match &gauges.object {
        Some(gauge) if tracks.iter().any(|track| !track.objects.is_empty()) => {
            Some(ObjectForesight {
                read_cm: object.estimate(seed, |[n, off]| 100.0 * off / n),
                displacements: displacement::displacements(&samples, seed),
                false_motion: displacement::false_motion(&samples, seed),
                rankings: ranking::rankings(predictor, gauge, tracks, seed)?,
            })
        }
        _ => None,
    };
    Ok(Foreseen {
        fitted_episodes: 0,
        episodes: tracks.len(),
        branches: tracks.iter().filter(|t| t.branch.is_some()).count(),
        scenes: scenes.len(),
        robot: (1..=most(&samples))
            .map(|steps| of_steps(&samples, steps, seed))
            .collect(),
        robot_read: RobotReading {
            states: robot.total()[0] as usize,
            closedness: robot.estimate(seed, |[n, closedness, _]| closedness / n),
            closedness_guess: f64::NAN,
            hand_cm: robot.estimate(seed, |[n, _, hand]| 100.0 * hand / n),
        },
        object,
        examples: Vec::new(),
    })
}

/// The robot and the latent, so many steps ahead.
fn of_steps(samples: &[Sample], steps: usize, seed: u64) -> RobotForesight {
    let mut sums = Sums::new();
    for s in samples.iter().filter(|s| s.steps == steps) {
        let errors = [1.0, s.l1, s.l1_persistence, s.closedness_off, s.hand_off_m];
        sums.add(s.scene, errors);
    }
    let [count, l1, l1_persistence, ..] = sums.total();
    RobotForesight {
        steps_ahead: steps,
        count: count as usize,
        l1_over_persistence: sums.estimate(seed, |s| s[1] / s[2]),
        l1: l1 / count,
        l1_persistence: l1_persistence / count,
        closedness: sums.estimate(seed, |s| s[3] / s[0]),
        hand_cm: sums.estimate(seed, |s| 100.0 * s[4] / s[0]),
    }
}

/// What was read of one episode.
struct TrackRead {
    /// `[1, closedness error, hand error in m]` of each true latent.
    robot: Vec<[f64; 3]>,
    /// `[1, error in m]` of the object in each true latent in which it is free.
    object: Vec<[f64; 2]>,
    samples: Vec<Sample>,
}

fn of_track(
    predictor: &impl Foresees,
    gauges: &Gauges,
    track: &Track,
    steps_ahead: usize,
) -> RunResult<TrackRead> {
    let robot_off = |at: usize, read: &[f64]| {
        let state = &track.states[at];
        let squares = (0..3).map(|i| (state.position_m[i] - read[i]).powi(2));
        [(state.gripper - read[3]).abs(), squares.sum::<f64>().sqrt()]
    };
    let seen: Vec<&[f32]> = track.latents.iter().map(Vec::as_slice).collect();
    let robot = gauges.robot.read(&seen)?;
    let robot = robot.iter().enumerate().map(|(at, read)| {
        let [closedness, hand] = robot_off(at, read);
        [1.0, closedness, hand]
    });
    let gauge = gauges.object.as_ref().filter(|_| !track.objects.is_empty());
    let objects = match gauge {
        Some(gauge) => gauge.read(&seen)?,
        None => Vec::new(),
    };
    let free = track
        .objects
        .iter()
        .zip(&objects)
        .filter(|((_, held), _)| !held);
    let object = free.map(|((at, _), read)| [1.0, (at[0] - read[0]).hypot(at[1] - read[1])]);
    let mut read = TrackRead {
        robot: robot.collect(),
        object: object.collect(),
        samples: Vec::new(),
    };
    for start in 0..track.len() - 1 {
        let steps = steps_ahead.min(track.len() - 1 - start);
        let imagined = predictor.ahead(track, start, steps)?;
        let latents: Vec<&[f32]> = imagined.iter().map(Vec::as_slice).collect();
        let robot = gauges.robot.read(&latents)?;
        let foreseen = gauge.map(|gauge| gauge.read(&latents)).transpose()?;
        for (i, latent) in latents.iter().enumerate() {
            let at = start + i + 1;
            let [closedness_off, hand_off_m] = robot_off(at, &robot[i]);
            let by = |to: &[f64], from: &[f64]| std::array::from_fn(|axis| to[axis] - from[axis]);
            let object = foreseen.as_ref().map(|foreseen| ObjectSample {
                kind: Kind::of(&track.objects[start..=at]),
                truth: by(&track.objects[at].0, &track.objects[start].0),
                seen: by(&objects[at], &objects[start]),
                foreseen: by(&foreseen[i], &objects[start]),
            });
            read.samples.push(Sample {
                scene: track.scene,
                steps: i + 1,
                l1: l1(latent, seen[at]),
                l1_persistence: l1(seen[start], seen[at]),
                closedness_off,
                hand_off_m,
                object,
            });
        }
    }
    Ok(read)
}

#[cfg(test)]
#[path = "../../tests/unit/foreseen.rs"]
mod tests;
