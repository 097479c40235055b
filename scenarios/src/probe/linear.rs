//! What a linear map can read from a latent: ridge regression, fitted on training recordings and
//! judged on held-out ones.

use foresight_predictor::{Latent, WorldModel};
use nalgebra::{DMatrix, DVector};
use serde::Serialize;

use super::{latents, Recordings};
use crate::error::{RunError, RunResult};

/// Frames the map is fitted on.
const FIT_FRAMES: usize = 6000;
/// Frames it is judged on.
const JUDGE_FRAMES: usize = 2000;
/// Ridge penalty, relative to the mean of the features' squares.
const RIDGE: f64 = 1e-6;
/// Hand x, y, z, closedness, object x, y, z.
const TARGETS: usize = 7;

/// Errors of a linear read-out from the mean token, on held-out frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LinearProbe {
    /// Frames judged.
    pub frames: usize,
    /// Mean distance of the hand's position, cm.
    pub hand_cm: f64,
    /// Mean absolute error of the closedness.
    pub closedness: f64,
    /// Frames with the object out of the hand.
    pub free_frames: usize,
    /// Mean distance of the object in the table's plane while it is not held, cm: the hand says
    /// nothing about it then.
    pub object_cm: f64,
    /// The same when always guessing the mean position, cm.
    pub object_guess_cm: f64,
}

/// Fits on `train`, judges on `held_out`.
///
/// # Errors
/// When the recordings don't fit the model or don't say where the object was.
pub fn fit_and_judge(
    model: &WorldModel,
    train: &Recordings,
    held_out: &Recordings,
) -> RunResult<LinearProbe> {
    for set in [train, held_out] {
        if (0..set.steps()).all(|step| set.object(step).is_none()) {
            return Err(RunError::Input(
                "the recordings don't say where the object was; record them in the simulator"
                    .into(),
            ));
        }
    }
    let (x, y, _) = rows(model, train, FIT_FRAMES)?;
    let map = ridge(&x, &y)?;
    let (x, y, held) = rows(model, held_out, JUDGE_FRAMES)?;
    let told = &x * &map;
    let frames = x.nrows();
    let off = |row: usize, columns: std::ops::Range<usize>| -> f64 {
        let squares = columns.map(|c| (told[(row, c)] - y[(row, c)]).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let mean = |rows: &[usize], f: &dyn Fn(usize) -> f64| -> f64 {
        rows.iter().map(|r| f(*r)).sum::<f64>() / rows.len().max(1) as f64
    };
    let all: Vec<usize> = (0..frames).collect();
    let free: Vec<usize> = all.iter().copied().filter(|r| !held[*r]).collect();
    let middle = [4, 5].map(|c| mean(&free, &|r| y[(r, c)]));
    Ok(LinearProbe {
        frames,
        hand_cm: 100.0 * mean(&all, &|r| off(r, 0..3)),
        closedness: mean(&all, &|r| off(r, 3..4)),
        free_frames: free.len(),
        object_cm: 100.0 * mean(&free, &|r| off(r, 4..6)),
        object_guess_cm: 100.0
            * mean(&free, &|r| {
                (y[(r, 4)] - middle[0]).hypot(y[(r, 5)] - middle[1])
            }),
    })
}

/// Features with a constant `[F, D + 1]`, targets `[F, 7]`, and whether the object is held.
type Rows = (DMatrix<f64>, DMatrix<f64>, Vec<bool>);

fn rows(model: &WorldModel, set: &Recordings, most: usize) -> RunResult<Rows> {
    let count = most.min(set.steps());
    let steps: Vec<usize> = (0..count).map(|i| i * set.steps() / count).collect();
    let latents = latents(model, set, &steps)?;
    let width = latents.first().map_or(0, |l| l.values.len() / l.tokens);
    let mut x = DMatrix::zeros(count, width + 1);
    let mut y = DMatrix::zeros(count, TARGETS);
    let mut held = Vec::with_capacity(count);
    for (row, (latent, step)) in latents.iter().zip(&steps).enumerate() {
        for (column, value) in mean_token(latent).into_iter().enumerate() {
            x[(row, column)] = value;
        }
        x[(row, width)] = 1.0;
        let state = set.state(*step);
        let (object, is_held) = set.object(*step).unwrap_or_default();
        let [ox, oy, oz] = object;
        let targets = [state[0], state[1], state[2], state[6], ox, oy, oz];
        for (column, value) in targets.into_iter().enumerate() {
            y[(row, column)] = f64::from(value);
        }
        held.push(is_held);
    }
    Ok((x, y, held))
}

fn mean_token(latent: &Latent) -> Vec<f64> {
    let width = latent.values.len() / latent.tokens;
    let mut mean = vec![0.0; width];
    for token in latent.values.chunks_exact(width) {
        for (m, v) in mean.iter_mut().zip(token) {
            *m += f64::from(*v) / latent.tokens as f64;
        }
    }
    mean
}

/// `(XᵀX + λI)⁻¹ XᵀY`, the constant unpenalised.
fn ridge(x: &DMatrix<f64>, y: &DMatrix<f64>) -> RunResult<DMatrix<f64>> {
    let mut gram = x.transpose() * x;
    let features = gram.nrows() - 1;
    let penalty = RIDGE * gram.diagonal().rows(0, features).mean();
    let mut diagonal = DVector::from_element(features + 1, penalty);
    diagonal[features] = 1e-9;
    gram += DMatrix::from_diagonal(&diagonal);
    let solved = gram.cholesky().map(|c| c.solve(&(x.transpose() * y)));
    solved.ok_or_else(|| RunError::Input("the latents are not finite, or all the same".into()))
}

#[cfg(test)]
#[path = "../../tests/unit/probe_linear.rs"]
mod tests;
