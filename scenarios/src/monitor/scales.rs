//! What successful runs show: how large a token's error is for what was expected of it, and where
//! the fingers end up.

use std::collections::BTreeMap;

use foresight_planner::Action;
use nalgebra::{Matrix3, Vector3};
use serde::{Deserialize, Serialize};

use super::transition::Transition;
use super::whitening::Whitening;

/// So many steps of all sub-goals count in the spread of each.
const PRIOR_STEPS: f64 = 20.0;
/// Errors are no smaller than this before their logarithm is taken.
const LEAST: f64 = 1e-6;
/// An action of the gripper from this size on decides where the fingers end up.
const GRIPPER_ACTION: f64 = 0.1;

/// How a token's error is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenScale {
    /// Rows and columns of tokens in a picture.
    pub grid: [usize; 2],
    /// Makes clean residuals alike in all directions.
    whitening: Whitening,
    /// How the logarithm of an error grows with that of the expected change, with the
    /// translation in units of the largest one, and with the gripper's action.
    slopes: [f64; 3],
    /// Largest translation of an action, m.
    max_translation_m: f64,
    /// Of each sub-goal: mean and spread of what is left, `[N]` each.
    subgoals: Vec<[Vec<f32>; 2]>,
    /// Spread of the mean over each region of tokens, and over all.
    region_spread: Vec<f32>,
    whole_spread: f32,
}

impl TokenScale {
    /// Fits the scale to clean transitions of `subgoals` sub-goals.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn fit(
        grid: [usize; 2],
        subgoals: usize,
        max_translation_m: f64,
        expects_action: bool,
        clean: &[Transition],
    ) -> Result<Self, String> {
        let tokens = grid[0] * grid[1];
        let mut scale = TokenScale {
            grid,
            whitening: Whitening::fit(tokens, clean)?,
            slopes: [0.0; 3],
            max_translation_m: max_translation_m.max(1e-6),
            subgoals: Vec::new(),
            region_spread: Vec::new(),
            whole_spread: 1.0,
        };
        let rows: Vec<TokenErrors> = clean
            .iter()
            .map(|t| {
                let (errors, known) = scale.errors(t);
                (t.subgoal, errors, known)
            })
            .collect();
        if expects_action {
            scale.slopes = slopes(tokens, &rows)?;
        }
        let left: Vec<(usize, Vec<f64>)> = rows
            .iter()
            .map(|(goal, errors, known)| (*goal, scale.unexplained(errors, known)))
            .collect();
        let all: Vec<&Vec<f64>> = left.iter().map(|l| &l.1).collect();
        let (_, overall) = moments(tokens, &all);
        for goal in 0..subgoals {
            let own: Vec<&Vec<f64>> = left.iter().filter(|l| l.0 == goal).map(|l| &l.1).collect();
            if own.is_empty() {
                return Err(format!("no run pursues sub-goal number {goal}"));
            }
            let (mean, variance) = moments(tokens, &own);
            let n = own.len() as f64;
            let spread = variance.iter().zip(&overall).map(|(own, all)| {
                let mixed = (own * n + all * PRIOR_STEPS) / (n + PRIOR_STEPS);
                mixed.sqrt().max(1e-3) as f32
            });
            let mean = mean.into_iter().map(|m| m as f32).collect();
            scale.subgoals.push([mean, spread.collect()]);
        }
        let surprises: Vec<Vec<f32>> = clean.iter().map(|t| scale.surprise(t)).collect();
        let spread = |values: &mut dyn Iterator<Item = f32>| {
            let squares: Vec<f64> = values.map(|v| f64::from(v).powi(2)).collect();
            ((squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt() as f32).max(1e-3)
        };
        let regions = scale.regions();
        scale.region_spread = regions
            .iter()
            .map(|r| spread(&mut surprises.iter().map(|s| mean_of(s, r))))
            .collect();
        let every: Vec<usize> = (0..tokens).collect();
        scale.whole_spread = spread(&mut surprises.iter().map(|s| mean_of(s, &every)));
        Ok(scale)
    }

    /// How surprising each token is, `[N]`: 0 as usual, in units of the usual spread.
    pub fn surprise(&self, t: &Transition) -> Vec<f32> {
        let (errors, known) = self.errors(t);
        let left = self.unexplained(&errors, &known);
        match self.subgoals.get(t.subgoal) {
            Some([mean, spread]) => {
                let usual = mean.iter().zip(spread);
                let pairs = left.iter().zip(usual);
                pairs.map(|(l, (m, s))| (*l as f32 - m) / s).collect()
            }
            None => vec![f32::NAN; left.len()],
        }
    }

    /// The most surprising token, region and the whole picture.
    pub(super) fn channels(&self, surprise: &[f32]) -> [f64; 3] {
        let most = |values: &mut dyn Iterator<Item = f32>| {
            // Unlike f32::max, NaN stays.
            values.fold(
                f32::NEG_INFINITY,
                |m, v| if v.is_nan() || v > m { v } else { m },
            )
        };
        let regions = self.regions();
        let each = regions.iter().zip(&self.region_spread);
        let every: Vec<usize> = (0..surprise.len()).collect();
        [
            f64::from(most(&mut surprise.iter().copied())),
            f64::from(most(&mut each.map(|(r, s)| mean_of(surprise, r) / s))),
            f64::from(mean_of(surprise, &every) / self.whole_spread),
        ]
    }

    /// Whether latents of this size can be judged.
    pub(super) fn fits(&self, [tokens, width]: [usize; 2]) -> bool {
        let rows = self.subgoals.iter().flatten().all(|v| v.len() == tokens);
        tokens == self.grid[0] * self.grid[1]
            && self.whitening.fits(width)
            && rows
            && self.region_spread.len() == self.regions().len()
    }

    /// Squares of neighbouring tokens, half or a quarter of the picture wide.
    fn regions(&self) -> Vec<Vec<usize>> {
        let [rows, columns] = self.grid;
        let side = |n: usize| (n / 4).max(2).min(n);
        let (high, wide) = (side(rows), side(columns));
        let mut regions = Vec::new();
        for top in 0..=rows - high {
            for left in 0..=columns - wide {
                let cells = (0..high).flat_map(|y| (0..wide).map(move |x| (y, x)));
                regions.push(cells.map(|(y, x)| (top + y) * columns + left + x).collect());
            }
        }
        regions
    }

    /// The logarithms of the tokens' errors, and what is known to make them large.
    fn errors(&self, t: &Transition) -> (Vec<f64>, Vec<[f64; 3]>) {
        let far = t.action.length_m() / self.max_translation_m;
        let gripper = t.action.gripper.abs().min(1.0);
        let logarithms = |of: &[f32], to: &[f32]| -> Vec<f64> {
            let lengths = self.whitening.lengths(of, to).into_iter();
            lengths.map(|length| length.max(LEAST).ln()).collect()
        };
        let errors = logarithms(&t.reached.values, &t.expected.values);
        let changes = logarithms(&t.expected.values, &t.before.values);
        let known = changes.into_iter().map(|c| [c, far, gripper]).collect();
        (errors, known)
    }

    fn unexplained(&self, errors: &[f64], known: &[[f64; 3]]) -> Vec<f64> {
        let pairs = errors.iter().zip(known);
        pairs
            .map(|(e, k)| e - k.iter().zip(self.slopes).map(|(k, s)| k * s).sum::<f64>())
            .collect()
    }
}

fn mean_of(values: &[f32], at: &[usize]) -> f32 {
    at.iter().map(|i| values[*i]).sum::<f32>() / at.len().max(1) as f32
}

/// Mean and variance of each token over the steps.
fn moments(tokens: usize, steps: &[&Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let n = steps.len().max(1) as f64;
    let mean: Vec<f64> = (0..tokens)
        .map(|i| steps.iter().map(|s| s[i]).sum::<f64>() / n)
        .collect();
    let variance = mean.iter().enumerate();
    let variance = variance.map(|(i, m)| steps.iter().map(|s| (s[i] - m).powi(2)).sum::<f64>() / n);
    (mean.clone(), variance.collect())
}

/// Of one transition: its sub-goal, every token's error, and what is known of every token.
type TokenErrors = (usize, Vec<f64>, Vec<[f64; 3]>);

/// Least squares of errors on what is known, each token around its own mean.
fn slopes(tokens: usize, rows: &[TokenErrors]) -> Result<[f64; 3], String> {
    let n = rows.len().max(1) as f64;
    let (mut products, mut towards) = (Matrix3::<f64>::zeros(), Vector3::<f64>::zeros());
    for i in 0..tokens {
        let mean_error = rows.iter().map(|r| r.1[i]).sum::<f64>() / n;
        let mean = rows
            .iter()
            .map(|r| Vector3::from(r.2[i]))
            .sum::<Vector3<f64>>()
            / n;
        for row in rows {
            let known = Vector3::from(row.2[i]) - mean;
            products += known * known.transpose();
            towards += known * (row.1[i] - mean_error);
        }
    }
    // A gripper that never moved explains nothing.
    let ridge = 1e-6 * products.trace().max(1e-9);
    let solved = (products + Matrix3::identity() * ridge).cholesky();
    let solved = solved.ok_or("the runs' actions are not finite")?;
    Ok(solved.solve(&towards).into())
}

/// Where a number usually is, by what was done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScalarScale {
    /// What differences are added to in quadrature.
    least: f64,
    /// Mean and spread by key.
    usual: BTreeMap<u32, [f64; 2]>,
}

impl ScalarScale {
    /// Fits to keyed values.
    pub fn fit(least: f64, values: &[(u32, f64)]) -> Self {
        let mut of: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (key, value) in values {
            of.entry(*key).or_default().push(*value);
        }
        let usual = of.into_iter().map(|(key, values)| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (key, [mean, (variance + least * least).sqrt()])
        });
        ScalarScale {
            least,
            usual: usual.collect(),
        }
    }

    /// How far a value is above or below what is usual, in spreads; 0 where nothing is usual.
    pub fn deviation(&self, (key, value): (u32, f64)) -> f64 {
        self.usual(key)
            .map_or(0.0, |[mean, spread]| (value - mean) / spread)
    }

    /// Mean and spread of a key.
    pub fn usual(&self, key: u32) -> Option<[f64; 2]> {
        self.usual.get(&key).copied()
    }
}

/// The fingers after an action, keyed by sub-goal, its first step and what they were told: how
/// closed after closing or opening, else by how much they moved.
pub(super) fn fingers(t: &Transition, expects_action: bool) -> (u32, f64) {
    let (goal, later) = (t.subgoal as u32, u32::from(t.subgoal_step > 0));
    let [before, after] = t.closedness;
    let told = match t.action {
        Action { gripper, .. } if !expects_action || gripper.abs() <= GRIPPER_ACTION => 0,
        Action { gripper, .. } if gripper > 0.0 => 1,
        _ => 2,
    };
    let value = if told == 0 { after - before } else { after };
    (goal * 6 + later * 3 + told, value)
}
