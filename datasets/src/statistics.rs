//! What a dataset contains: hours, outcomes, behaviours, and how its actions are distributed.

use std::collections::BTreeMap;

use foresight_planner::Pose;
use rayon::prelude::*;
use serde::Serialize;

use crate::doubts::Doubts;
use crate::entry::IndexEntry;
use crate::error::{DatasetError, Result};
use crate::sampling;
use crate::store::EpisodeStore;
use crate::trajectory::Trajectory;

/// Names of an action's components.
pub const COMPONENTS: [&str; 7] = ["x", "y", "z", "rx", "ry", "rz", "gripper"];
/// Bins of an action histogram.
pub const BINS: usize = 24;
/// Actions that histograms are made of, at most; of more, evenly spaced ones count.
const MOST_IN_HISTOGRAMS: usize = 2_000_000;

/// A dataset in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Usable episodes.
    pub episodes: usize,
    /// Unusable episodes.
    pub unusable: usize,
    /// States of all usable episodes.
    pub steps: usize,
    /// Recorded time, h.
    pub hours: f64,
    /// Share of the episodes whose outcome is known that achieved their task; `None` where none
    /// is.
    pub success_share: Option<f64>,
    /// Episodes whose outcome is not known.
    pub unknown_outcomes: usize,
    /// What is doubtful about the poses.
    pub doubts: Vec<String>,
    /// Episodes a behaviour, or a task when the behaviour is unknown.
    pub behaviours: BTreeMap<String, usize>,
    /// Episodes a split; "unknown" for episodes from elsewhere.
    pub splits: BTreeMap<String, usize>,
    /// Episodes a camera.
    pub cameras: BTreeMap<String, usize>,
    /// Episodes a rate, rounded to 1 Hz.
    pub rates: BTreeMap<String, usize>,
    /// Realised actions, one entry a component.
    pub actions: Vec<Component>,
}

/// The distribution of one action component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// Its name, one of [`COMPONENTS`].
    pub name: &'static str,
    /// Mean; m, rad or closedness, as are the others.
    pub mean: f64,
    /// Standard deviation.
    pub standard_deviation: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Counts in [`BINS`] equal bins from `min` to `max`.
    pub histogram: Vec<usize>,
}

impl Statistics {
    /// Counts a dataset. Actions are differences of consecutive states, or of states at `fps`
    /// steps a second of real time.
    ///
    /// Episodes that can't be read count as unusable.
    ///
    /// # Errors
    /// [`DatasetError::Mismatch`] with the first reason when none can be used.
    pub fn of(store: &dyn EpisodeStore, fps: Option<f64>) -> Result<Self> {
        let entries = store.episodes();
        let all: usize = entries.iter().map(|e| e.length).sum();
        let every = all.div_ceil(MOST_IN_HISTOGRAMS).max(1);
        let read: Vec<Result<_>> = (0..entries.len())
            .into_par_iter()
            .map(|episode| {
                let trajectory = store.extras(episode)?.trajectory;
                let mut doubts = Doubts::default();
                doubts.look(&entries[episode].path, &trajectory.states);
                let actions = actions(trajectory, &entries[episode], fps);
                Ok((EpisodeSums::of(&actions, every), doubts))
            })
            .collect();
        let mut unusable = store.unusable().len();
        let mut reason = store
            .unusable()
            .first()
            .map(|(path, why)| format!("{path}: {why}"));
        let (mut parts, mut doubts, mut usable) = (Vec::new(), Doubts::default(), Vec::new());
        for (entry, read) in entries.iter().zip(read) {
            match read {
                Ok((part, of_one)) => {
                    parts.push(part);
                    doubts.join(of_one);
                    usable.push(entry);
                }
                Err(error) => {
                    unusable += 1;
                    reason.get_or_insert(format!("{}: {error}", entry.path));
                }
            }
        }
        let entries = usable;
        if entries.is_empty() {
            return Err(DatasetError::Mismatch(format!(
                "none of {unusable} episodes can be used, `foresight dataset validate` says why; \
                 the first is {}",
                reason.unwrap_or_else(|| "missing".to_owned())
            )));
        }

        let (mut behaviours, mut splits, mut cameras, mut rates) = (
            BTreeMap::new(),
            BTreeMap::new(),
            BTreeMap::new(),
            BTreeMap::new(),
        );
        for entry in &entries {
            let behaviour = match entry.behaviour_or_task() {
                "" => "unknown",
                name => name,
            };
            let split = entry.split.map_or("unknown".to_owned(), |s| s.to_string());
            let rate = match entry.rate_hz > 0.0 {
                true => format!("{:.0} Hz", entry.rate_hz),
                false => "unknown".to_owned(),
            };
            *behaviours.entry(behaviour.to_owned()).or_insert(0) += 1;
            *splits.entry(split).or_insert(0) += 1;
            *rates.entry(rate).or_insert(0) += 1;
            for camera in &entry.cameras {
                *cameras.entry(camera.name.clone()).or_insert(0) += 1;
            }
        }
        let outcomes = entries.iter().filter_map(|e| e.success);
        let known = outcomes.clone().count();
        let successes = outcomes.filter(|success| *success).count();
        Ok(Statistics {
            episodes: entries.len(),
            unusable,
            steps: entries.iter().map(|e| e.length).sum(),
            hours: entries.iter().map(|e| e.duration_s).sum::<f64>() / 3600.0,
            success_share: (known > 0).then(|| successes as f64 / known as f64),
            unknown_outcomes: entries.len() - known,
            doubts: doubts.words(),
            behaviours,
            splits,
            cameras,
            rates,
            actions: COMPONENTS
                .iter()
                .enumerate()
                .map(|(k, name)| component(name, k, &parts))
                .collect(),
        })
    }
}

pub(crate) fn actions(
    mut trajectory: Trajectory,
    entry: &IndexEntry,
    fps: Option<f64>,
) -> Vec<[f64; 7]> {
    trajectory.time_s = entry.assumed_times(trajectory.time_s);
    let states: Vec<Pose> = match fps {
        Some(fps) => sampling::evenly(&trajectory.time_s, fps)
            .iter()
            .map(|i| trajectory.states[*i])
            .collect(),
        None => trajectory.states,
    };
    let pairs = states.windows(2);
    pairs.map(|p| p[0].action_to(&p[1]).to_array()).collect()
}

/// Sums over one episode's actions, and some of them for the histograms: a large dataset's all
/// would not fit into memory.
struct EpisodeSums {
    count: usize,
    sum: [f64; 7],
    squares: [f64; 7],
    min: [f64; 7],
    max: [f64; 7],
    some: Vec<[f32; 7]>,
}

impl EpisodeSums {
    fn of(actions: &[[f64; 7]], every: usize) -> Self {
        let mut part = EpisodeSums {
            count: actions.len(),
            sum: [0.0; 7],
            squares: [0.0; 7],
            min: [f64::INFINITY; 7],
            max: [f64::NEG_INFINITY; 7],
            some: actions
                .iter()
                .step_by(every)
                .map(|a| a.map(|v| v as f32))
                .collect(),
        };
        for action in actions {
            for (k, value) in action.iter().enumerate() {
                part.sum[k] += value;
                part.squares[k] += value * value;
                part.min[k] = part.min[k].min(*value);
                part.max[k] = part.max[k].max(*value);
            }
        }
        part
    }
}

fn component(name: &'static str, k: usize, parts: &[EpisodeSums]) -> Component {
    let count = parts.iter().map(|p| p.count).sum::<usize>().max(1) as f64;
    let mean = parts.iter().map(|p| p.sum[k]).sum::<f64>() / count;
    let squares = parts.iter().map(|p| p.squares[k]).sum::<f64>() / count;
    let min = parts.iter().map(|p| p.min[k]).fold(f64::INFINITY, f64::min);
    let max = parts
        .iter()
        .map(|p| p.max[k])
        .fold(f64::NEG_INFINITY, f64::max);
    let (min, max) = if min <= max { (min, max) } else { (0.0, 0.0) };
    let mut histogram = vec![0; BINS];
    for value in parts.iter().flat_map(|p| &p.some).map(|a| f64::from(a[k])) {
        let at = if max > min {
            (value - min) / (max - min) * BINS as f64
        } else {
            0.0
        };
        histogram[(at as usize).min(BINS - 1)] += 1;
    }
    Component {
        name,
        mean,
        standard_deviation: (squares - mean * mean).max(0.0).sqrt(),
        min,
        max,
        histogram,
    }
}

#[cfg(test)]
#[path = "../tests/unit/statistics.rs"]
mod tests;
