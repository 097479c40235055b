//! From successful runs to a monitor.

use super::fitted::{scalars, unusable, weights_sha256, Fitted};
use super::scales::{ScalarScale, TokenScale};
use super::transition::{Expectation, Transition};
use super::whitening::Whitening;
use crate::controllers::LoadedModel;
use crate::error::RunResult;
use crate::scenario::Scenario;

/// Clean episodes reach this quantile of a channel's maxima in one of twenty: channels count as
/// shares of it.
const REFERENCE: f64 = 0.95;
/// Closedness that fingers differ by without meaning anything.
const FINGERS_LEAST: f64 = 0.03;
/// Natural logarithms of distances that differ by less are the same.
const DISTANCE_LEAST: f64 = 0.01;

/// What is fitted.
#[derive(Debug, Clone, Copy)]
pub struct FitHeader<'a> {
    /// Whose episodes.
    pub scenario: &'a Scenario,
    /// Whose predictions.
    pub loaded: &'a LoadedModel,
    /// What latents are held against.
    pub expectation: Expectation,
    /// The share of clean episodes that may raise an alarm, above 0 and below 1.
    pub false_alarms: f64,
}

/// Fits to `runs` successful episodes, whose transitions `load` gives: every other one the scales,
/// the rest the threshold.
///
/// # Errors
/// [`crate::RunError::Input`] when they are too few or show too little; those of `load`.
pub fn fit(
    header: FitHeader<'_>,
    runs: usize,
    load: impl Fn(usize) -> RunResult<Vec<Transition>>,
) -> RunResult<Fitted> {
    let threshold_runs = runs / 2;
    let least = (1.0 / header.false_alarms).ceil() as usize - 1;
    if threshold_runs < least.max(2) {
        return Err(unusable(format!(
            "{runs} successful runs are too few: at {:.0} % false alarms at least {} are needed",
            100.0 * header.false_alarms,
            2 * least.max(2)
        )));
    }
    let wrong = |what: String| unusable(format!("the runs can't be fitted to: {what}"));
    let even: Vec<Vec<Transition>> = (0..runs).step_by(2).map(&load).collect::<Result<_, _>>()?;
    let clean: Vec<Transition> = even.concat();
    let expectation = header.expectation;
    let subgoals = header.scenario.subgoal.len();
    let config = header.loaded.model.config();
    let grid = header.loaded.model.token_grid();
    let goal = match expectation {
        Expectation::Goal => Some(Whitening::fit(grid[0] * grid[1], &clean).map_err(wrong)?),
        _ => None,
    };
    let tokens = match expectation {
        Expectation::GoalDistance | Expectation::Goal => None,
        _ => {
            let far = config.action_space.max_translation_m;
            let own = expectation == Expectation::Action;
            Some(TokenScale::fit(grid, subgoals, far, own, &clean).map_err(wrong)?)
        }
    };
    let least = match expectation {
        Expectation::GoalDistance => DISTANCE_LEAST,
        _ => FINGERS_LEAST,
    };
    let values: Vec<Vec<(u32, f64)>> = clean.iter().map(|t| scalars(t, expectation)).collect();
    let kinds = values.first().map_or(0, Vec::len);
    let scalars = (0..kinds).map(|i| {
        let of: Vec<(u32, f64)> = values.iter().map(|v| v[i]).collect();
        ScalarScale::fit(least, &of)
    });
    let mut fitted = Fitted {
        format: super::fitted::FORMAT,
        scenario: header.scenario.name.clone(),
        subgoals: header
            .scenario
            .subgoal
            .iter()
            .map(|g| g.name.clone())
            .collect(),
        model: config.name.clone(),
        weights_sha256: weights_sha256(&header.loaded.dir)?,
        expectation,
        false_alarms: header.false_alarms,
        runs: [even.len(), threshold_runs],
        threshold: 1.0,
        scalars: scalars.collect(),
        tokens,
        goal,
        references: Vec::new(),
    };
    fitted.references = references(&fitted, &even);
    let odd = (1..runs).step_by(2).map(|run| {
        let scores = fitted.scores(&load(run)?);
        Ok(scores
            .iter()
            .map(|s| s.score)
            .fold(f64::NEG_INFINITY, f64::max))
    });
    let maxima: Vec<f64> = odd.collect::<RunResult<_>>()?;
    fitted.threshold = conformal_threshold(maxima, header.false_alarms)
        .ok_or_else(|| wrong("their scores are not finite".into()))?;
    Ok(fitted)
}

/// What clean episodes reach in each channel, at least the spread of one step.
fn references(fitted: &Fitted, episodes: &[Vec<Transition>]) -> Vec<f64> {
    let scores: Vec<_> = episodes.iter().map(|e| fitted.scores(e)).collect();
    let channels = scores
        .iter()
        .flatten()
        .next()
        .map_or(0, |s| s.channels.len());
    let most = |channel: usize| {
        let mut maxima: Vec<f64> = scores
            .iter()
            .map(|e| {
                e.iter()
                    .map(|s| s.channels[channel])
                    .fold(f64::NEG_INFINITY, f64::max)
            })
            .collect();
        maxima.sort_by(f64::total_cmp);
        let at = (REFERENCE * (maxima.len().max(1) - 1) as f64).round() as usize;
        maxima.get(at).copied().unwrap_or(1.0).max(1.0)
    };
    (0..channels).map(most).collect()
}

/// The split conformal threshold of clean episodes' `maxima`: the `⌈(1 − α)(n + 1)⌉`-th smallest,
/// which a further clean episode exceeds with probability `alpha` at most. `None` when they are too
/// few for that or not finite.
pub fn conformal_threshold(mut maxima: Vec<f64>, alpha: f64) -> Option<f64> {
    if maxima.iter().any(|m| !m.is_finite()) {
        return None;
    }
    maxima.sort_by(f64::total_cmp);
    let rank = ((1.0 - alpha) * (maxima.len() + 1) as f64 - 1e-9).ceil() as usize;
    maxima.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
#[path = "../../tests/unit/monitor_fit.rs"]
mod tests;
