//! Whether the energy orders actions from one and the same state by what they do to the object.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::estimate::{Estimate, Sums};
use super::gauge::Gauge;
use super::track::{l1, Foresees, Track};
use crate::error::RunResult;

/// Fewer actions from a state have no order worth the name.
const LEAST_BRANCHES: usize = 4;
/// A goal the actions' objects are about equally far from orders nothing, m.
const LEAST_SPREAD_M: f64 = 0.01;
/// Distances are compared in such steps, m: an object at rest is at rest.
const RESOLUTION_M: f64 = 0.001;

/// Spearman's rank correlations between what is said of each action and how far it really leaves the
/// object from where the goal has it; each action's outcome is the goal in turn. 1 is perfect order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ranking {
    /// Actions a candidate consists of.
    pub steps_ahead: usize,
    /// States.
    pub states: usize,
    /// Goals of all of them whose outcomes differ by more than 1 cm.
    pub goals: usize,
    /// Actions a goal, on average.
    pub actions: f64,
    /// By the energy: L1 between the imagined latent and the goal's.
    pub energy: Option<Estimate>,
    /// By the same L1 between the latent that really came and the goal's: a perfect predictor.
    pub true_latents: Option<Estimate>,
    /// By the distance of the object read from the imagined latent to the goal's true one.
    pub read: Option<Estimate>,
    /// By how far the hand is from the goal's: blind, and no imagination.
    pub arm_poses: Option<Estimate>,
}

/// Ranks the branches of every state, one action ahead and as many as all have.
pub(super) fn rankings(
    predictor: &impl Foresees,
    gauge: &Gauge,
    tracks: &[Track],
    seed: u64,
) -> RunResult<Vec<Ranking>> {
    let mut states: BTreeMap<(u64, u32), Vec<&Track>> = BTreeMap::new();
    for track in tracks.iter().filter(|t| !t.objects.is_empty()) {
        if let Some(branch) = track.branch {
            states
                .entry((branch.seed, branch.step))
                .or_default()
                .push(track);
        }
    }
    states.retain(|_, branches| branches.len() >= LEAST_BRANCHES);
    let shortest = |branches: &Vec<&Track>| branches.iter().map(|b| b.len() - 1).min();
    let most = states.values().filter_map(shortest).max().unwrap_or(0);
    let mut rankings = Vec::new();
    for steps in 1..=most {
        let usable = states.iter().filter(|(_, b)| shortest(b) >= Some(steps));
        let usable: Vec<(u64, &Vec<&Track>)> = usable.map(|((seed, _), b)| (*seed, b)).collect();
        let correlated = usable
            .par_iter()
            .map(|(_, branches)| of_state(predictor, gauge, branches, steps))
            .collect::<RunResult<Vec<_>>>()?;
        let mut sums = Sums::new();
        let mut counted = 0;
        for ((scene, _), goals) in usable.iter().zip(&correlated) {
            counted += usize::from(!goals.is_empty());
            goals.iter().for_each(|goal| sums.add(*scene, *goal));
        }
        let total = sums.total();
        if total[0] == 0.0 {
            continue;
        }
        let mean = |i: usize| sums.estimate(seed, |s: &[f64; 6]| s[i] / s[0]);
        rankings.push(Ranking {
            steps_ahead: steps,
            states: counted,
            goals: total[0] as usize,
            actions: total[1] / total[0],
            energy: mean(2),
            true_latents: mean(3),
            read: mean(4),
            arm_poses: mean(5),
        });
    }
    Ok(rankings)
}

/// `[1, actions, ρ…]` of every goal that orders its actions.
fn of_state(
    predictor: &impl Foresees,
    gauge: &Gauge,
    branches: &[&Track],
    steps: usize,
) -> RunResult<Vec<[f64; 6]>> {
    let imagined = branches.iter().map(|branch| {
        let ahead = predictor.ahead(branch, 0, steps)?;
        Ok(ahead.into_iter().last().unwrap_or_default())
    });
    let imagined: Vec<Vec<f32>> = imagined.collect::<RunResult<_>>()?;
    let read = gauge.read(&imagined.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let mut goals = Vec::new();
    for goal in branches {
        let (object, latent) = (goal.objects[steps].0, &goal.latents[steps]);
        let by = |of: &dyn Fn(usize) -> f64| (0..branches.len()).map(of).collect::<Vec<f64>>();
        let far = |a: &[f64], b: &[f64]| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let truth = by(&|i| {
            let distance = far(&branches[i].objects[steps].0, &object);
            (distance / RESOLUTION_M).round()
        });
        let (least, largest) = truth.iter().fold((f64::MAX, 0.0f64), |(low, high), d| {
            (low.min(*d), high.max(*d))
        });
        if (largest - least) * RESOLUTION_M <= LEAST_SPREAD_M {
            continue;
        }
        let hand = |i: usize| branches[i].states[steps].position_m;
        goals.push([
            1.0,
            branches.len() as f64,
            spearman(&by(&|i| l1(&imagined[i], latent)), &truth),
            spearman(&by(&|i| l1(&branches[i].latents[steps], latent)), &truth),
            spearman(&by(&|i| far(&read[i], &object)), &truth),
            spearman(
                &by(&|i| far(&hand(i), &goal.states[steps].position_m)),
                &truth,
            ),
        ]);
    }
    Ok(goals)
}

/// Spearman's rank correlation; ties share their mean rank. 0 when either list is constant.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks_of(a), ranks_of(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let sum = |x: &[f64], y: &[f64]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - middle) * (y - middle))
            .sum()
    };
    let spread = (sum(&a, &a) * sum(&b, &b)).sqrt();
    if spread > 0.0 {
        sum(&a, &b) / spread
    } else {
        0.0
    }
}

fn ranks_of(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let mut last = first;
        while last + 1 < order.len() && values[order[last + 1]] == values[order[first]] {
            last += 1;
        }
        for i in &order[first..=last] {
            ranks[*i] = (first + last) as f64 / 2.0;
        }
        first = last + 1;
    }
    ranks
}

#[cfg(test)]
#[path = "../../tests/unit/foreseen_ranking.rs"]
mod tests;
