//! What a dataset contains: hours, outcomes, behaviours, and how its actions are distributed.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::DatasetError;
use crate::index::Index;
use crate::layout;
use crate::trajectory::Trajectory;

/// Names of an action's components.
pub const COMPONENTS: [&str; 7] = ["x", "y", "z", "rx", "ry", "rz", "gripper"];
/// Bins of an action histogram.
pub const BINS: usize = 24;

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
    /// Share of episodes that achieved their task.
    pub success_share: f64,
    /// Episodes a behaviour, or a task when the behaviour is unknown.
    pub behaviours: BTreeMap<String, usize>,
    /// Episodes a split; "unknown" for episodes from elsewhere.
    pub splits: BTreeMap<String, usize>,
    /// Episodes a camera.
    pub cameras: BTreeMap<String, usize>,
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
    /// Counts what an index lists; `root` is the folder its paths start from.
    ///
    /// # Errors
    /// [`DatasetError`] of a trajectory that became unreadable since it was indexed.
    pub fn of(index: &Index, root: &Path) -> Result<Self, DatasetError> {
        let per_episode: Vec<Vec<[f64; 7]>> = index
            .episodes
            .par_iter()
            .map(|entry| {
                let file = root.join(&entry.path).join(layout::TRAJECTORY);
                let actions = Trajectory::read(&file)?.actions();
                Ok(actions.iter().map(|a| a.to_array()).collect())
            })
            .collect::<Result<_, DatasetError>>()?;
        let actions: Vec<[f64; 7]> = per_episode.into_iter().flatten().collect();

        let (mut behaviours, mut splits, mut cameras) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for entry in &index.episodes {
            let behaviour = [&entry.behaviour, &entry.task]
                .into_iter()
                .find(|name| !name.is_empty())
                .map_or("unknown", |name| name.as_str());
            let split = entry.split.map_or("unknown".to_owned(), |s| s.to_string());
            *behaviours.entry(behaviour.to_owned()).or_insert(0) += 1;
            *splits.entry(split).or_insert(0) += 1;
            for camera in &entry.cameras {
                *cameras.entry(camera.name.clone()).or_insert(0) += 1;
            }
        }
        let episodes = index.episodes.len();
        let successes = index.episodes.iter().filter(|e| e.success).count();
        Ok(Statistics {
            episodes,
            unusable: index.unusable.len(),
            steps: index.episodes.iter().map(|e| e.length).sum(),
            hours: index.episodes.iter().map(|e| e.duration_s).sum::<f64>() / 3600.0,
            success_share: successes as f64 / episodes.max(1) as f64,
            behaviours,
            splits,
            cameras,
            actions: COMPONENTS
                .iter()
                .enumerate()
                .map(|(k, name)| component(name, actions.iter().map(|a| a[k])))
                .collect(),
        })
    }
}

fn component(name: &'static str, values: impl Iterator<Item = f64> + Clone) -> Component {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.clone().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let min = values.clone().fold(f64::INFINITY, f64::min);
    let max = values.clone().fold(f64::NEG_INFINITY, f64::max);
    let (min, max) = if min <= max { (min, max) } else { (0.0, 0.0) };
    let mut histogram = vec![0; BINS];
    for value in values {
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
        standard_deviation: variance.sqrt(),
        min,
        max,
        histogram,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_counts_every_value_once() {
        let values = [-1.0, -0.5, 0.0, 0.25, 1.0];
        let c = component("x", values.iter().copied());
        assert_eq!(c.histogram.iter().sum::<usize>(), 5);
        assert_eq!((c.histogram[0], c.histogram[BINS - 1]), (1, 1));
        assert_eq!((c.min, c.max, c.mean), (-1.0, 1.0, -0.05));
        let constant = component("x", [2.0, 2.0].into_iter());
        assert_eq!(constant.standard_deviation, 0.0);
        assert_eq!(constant.histogram[0], 2);
        let none = component("x", std::iter::empty());
        assert_eq!((none.min, none.max), (0.0, 0.0));
    }
}
