//! The directions in which latents change for reasons the robot's own pose doesn't explain.
//!
//! Seen through a camera, most of what changes between two frames is the arm, and how it changes
//! follows from its pose. A loss over all entries of the latent hardly hears the rest: that
//! something was pushed, gripped or dropped. Here the changes `z(t+1) − z(t)` of recorded clips are
//! regressed on the pose and its change (all monomials up to the second degree, and cubes), the
//! principal directions of what is left are found by subspace iteration (Halko, Martinsson, Tropp:
//! "Finding structure with randomness", 2011), and each is scaled to unit variance. A squared error
//! along them ([`ChangeDirections::error`]) gives the rare and scene-specific ones a voice.
//! No labels are needed: pictures, poses and actions.

use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};
use foresight_predictor::error::PredictorError;
use nalgebra::{DMatrix, SymmetricEigen};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::latent_clips::LatentClip;
use crate::layers::linear;

/// Name of the file in a run's folder.
pub const DIRECTIONS_FILE: &str = "change_directions.safetensors";
/// Passes of the subspace iteration: the spectrum of changes falls slowly.
const ITERATIONS: usize = 6;
/// Directions iterated beyond those wanted, which makes the last ones of those exact.
const OVERSAMPLING: usize = 32;
/// Ridge of the regression on the pose, in rows of unit variance.
const RIDGE: f64 = 10.0;
/// Directions with less of the first one's variance are noise of the arithmetic.
const LEAST_VARIANCE: f64 = 1e-7;

/// The directions, and what the pose explains.
#[derive(Debug, Clone)]
pub struct ChangeDirections {
    /// `[N·D, K]`: each column a direction over the root of its variance.
    scaled: Tensor,
    /// `[F, N·D]`: the change that the pose explains, of the pose's features.
    explained: Tensor,
    /// Mean and standard deviation of the pose's inputs, `[2, 14]`; inputs that don't vary have a
    /// deviation of 0 and are left out.
    inputs: Tensor,
}

/// Frames that follow each other, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// `z(t+1) − z(t)`, `[P, N·D]`.
    pub latents: Vec<f32>,
    /// Pose at t and the action from there: `[P, 14]`.
    pub poses: Vec<f32>,
}

impl Changes {
    /// The changes inside a clip are added.
    pub fn push(&mut self, clip: &LatentClip) {
        let frames = clip.states.len() / 7;
        let width = clip.latents.len() / frames.max(1);
        let pairs = clip.latents.iter().zip(clip.latents.iter().skip(width));
        self.latents.extend(pairs.map(|(now, next)| next - now));
        for (state, action) in clip.states.chunks(7).zip(clip.actions.chunks(7)) {
            self.poses.extend_from_slice(state);
            self.poses.extend_from_slice(action);
        }
    }

    fn count(&self) -> usize {
        self.poses.len() / 14
    }
}

impl ChangeDirections {
    /// Fits `directions` of them to recorded changes.
    ///
    /// # Errors
    /// When there are fewer changes than directions, or none of them differ.
    pub fn fit(changes: &Changes, directions: usize, seed: u64) -> Result<Self> {
        let count = changes.count();
        let features = FEATURES;
        if directions == 0 || count < directions.max(features) {
            candle_core::bail!(
                "{directions} directions of change can't be told from {count} changes: record \
                 more, or lower loss.whitened_directions"
            );
        }
        let width = changes.latents.len() / count;
        let inputs = spread(&changes.poses)?;
        let latents = Tensor::from_slice(&changes.latents, (count, width), &Device::Cpu)?;
        let rows = feature_rows(&changes.poses, &inputs)?;
        let explained = regress(&rows, &latents)?;
        let left = (latents - rows.matmul(&explained)?)?;
        let scaled = principal(&left, directions, seed)?;
        Ok(ChangeDirections {
            scaled,
            explained,
            inputs,
        })
    }

    /// Number of directions.
    pub fn count(&self) -> usize {
        self.scaled.dims()[1]
    }

    /// Mean squared error of latents `[B, T·N, D]` along the directions, frame by frame: 1 is the
    /// variance of what the pose doesn't explain.
    ///
    /// # Errors
    /// When the latents are of another size.
    pub fn error(&self, predicted: &Tensor, target: &Tensor) -> Result<Tensor> {
        let width = self.scaled.dim(0)?;
        let values = predicted.elem_count();
        if !values.is_multiple_of(width) {
            candle_core::bail!("latents of {values} values are not frames of {width}");
        }
        let difference = (predicted - target)?.reshape((values / width, width))?;
        if !predicted.device().is_cpu() {
            let scaled = self.scaled.to_device(predicted.device())?;
            return difference.matmul(&scaled)?.sqr()?.mean_all();
        }
        // The directions are constants, which candle's product would make gradients for.
        let rows = self.scaled.t()?;
        let nothing = Tensor::zeros(rows.dim(0)?, rows.dtype(), rows.device())?;
        linear(&difference, &rows, &nothing)?.sqr()?.mean_all()
    }

    /// How much of each change the pose doesn't explain, `[P]`: the mean square along the
    /// directions, 1 on average.
    ///
    /// # Errors
    /// When the latents are of another size.
    pub fn surprise(&self, changes: &Changes) -> Result<Vec<f32>> {
        let shape = (changes.count(), self.scaled.dim(0)?);
        let latents = Tensor::from_slice(&changes.latents, shape, &Device::Cpu)?;
        let rows = feature_rows(&changes.poses, &self.inputs)?;
        let left = (latents - rows.matmul(&self.explained)?)?;
        left.matmul(&self.scaled)?.sqr()?.mean(1)?.to_vec1()
    }

    /// Writes them to a file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, path: &Path) -> std::result::Result<(), PredictorError> {
        let tensors = [
            ("scaled", self.scaled.clone()),
            ("explained", self.explained.clone()),
            ("inputs", self.inputs.clone()),
        ];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor));
        let unfinished = path.with_extension("unfinished");
        candle_core::safetensors::save(&tensors.into_iter().collect(), &unfinished)?;
        std::fs::rename(&unfinished, path).map_err(|source| PredictorError::Io {
            path: path.to_path_buf(),
            source,
        })
    }

    /// Reads them back.
    ///
    /// # Errors
    /// When the file can't be read or holds something else.
    pub fn load(path: &Path) -> std::result::Result<Self, PredictorError> {
        let mut tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
        let mut take = |name: &str| {
            let tensor = tensors.remove(name).filter(|t| t.rank() == 2);
            tensor.ok_or_else(|| {
                PredictorError::Model(format!(
                    "{} lacks the matrix {name}: delete it, and it is made again",
                    path.display()
                ))
            })
        };
        Ok(ChangeDirections {
            scaled: take("scaled")?,
            explained: take("explained")?,
            inputs: take("inputs")?,
        })
    }
}

/// Inputs: pose and action.
const INPUTS: usize = 14;
/// A constant, the inputs, their products and their cubes.
const FEATURES: usize = 1 + INPUTS + INPUTS * (INPUTS + 1) / 2 + INPUTS;

/// Mean and deviation of each input, `[2, 14]`.
fn spread(poses: &[f32]) -> Result<Tensor> {
    let count = (poses.len() / INPUTS) as f64;
    let mean: Vec<f64> = (0..INPUTS)
        .map(|at| column(poses, at).sum::<f64>() / count)
        .collect();
    let deviation = mean.iter().enumerate().map(|(at, mean)| {
        let variance = column(poses, at).map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        variance.sqrt()
    });
    let deviation: Vec<f64> = deviation.collect();
    let both = [mean, deviation].concat();
    Tensor::from_vec(both, (2, INPUTS), &Device::Cpu)?.to_dtype(DType::F32)
}

fn column(poses: &[f32], at: usize) -> impl Iterator<Item = f64> + '_ {
    poses.iter().skip(at).step_by(INPUTS).map(|v| f64::from(*v))
}

/// Rows of features, `[P, F]`.
fn feature_rows(poses: &[f32], inputs: &Tensor) -> Result<Tensor> {
    let (mean, deviation): (Vec<f32>, Vec<f32>) =
        (inputs.get(0)?.to_vec1()?, inputs.get(1)?.to_vec1()?);
    let count = poses.len() / INPUTS;
    let mut rows = Vec::with_capacity(count * FEATURES);
    for row in poses.chunks_exact(INPUTS) {
        let mut x = [0f32; INPUTS];
        for (at, value) in row.iter().enumerate() {
            // Far from what was seen a cube explains nothing.
            if deviation[at] > 1e-5 {
                x[at] = ((value - mean[at]) / deviation[at]).clamp(-4.0, 4.0);
            }
        }
        rows.push(1.0);
        rows.extend_from_slice(&x);
        for (at, a) in x.iter().enumerate() {
            rows.extend(x[at..].iter().map(|b| a * b));
        }
        rows.extend(x.iter().map(|a| a * a * a));
    }
    Tensor::from_vec(rows, (count, FEATURES), &Device::Cpu)
}

/// Coefficients `[F, N·D]` of a ridge regression.
fn regress(rows: &Tensor, latents: &Tensor) -> Result<Tensor> {
    let transposed = rows.t()?;
    let mut gram = square(&transposed.matmul(rows)?)?;
    for at in 0..FEATURES {
        gram[(at, at)] += RIDGE;
    }
    let Some(inverse) = gram.cholesky().map(|c| c.inverse()) else {
        candle_core::bail!("the recorded poses can't be regressed on: are all of them numbers?");
    };
    tensor(&inverse)?.matmul(&transposed.matmul(latents)?)
}

/// The first principal directions of centred rows `[P, W]`, over the roots of their variances:
/// `[W, K]`.
fn principal(rows: &Tensor, directions: usize, seed: u64) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    let kept = directions.min(width);
    let iterated = (kept + OVERSAMPLING).min(width).min(count);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let start: Vec<f32> = (0..width * iterated)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let mut basis = Tensor::from_vec(start, (width, iterated), &Device::Cpu)?;
    let transposed = rows.t()?.contiguous()?;
    for _ in 0..ITERATIONS {
        basis = orthonormal(&transposed.matmul(&rows.matmul(&basis)?)?)?;
    }
    let along = rows.matmul(&basis)?;
    let covariance = square(&along.t()?.matmul(&along)?)? / count as f64;
    let eigen = SymmetricEigen::new(covariance);
    let mut order: Vec<usize> = (0..iterated).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let most = eigen.eigenvalues[order[0]];
    if !(most.is_finite() && most > 0.0) {
        candle_core::bail!("the pose explains every recorded change: there is nothing to whiten");
    }
    order.truncate(kept);
    order.retain(|at| eigen.eigenvalues[*at] > LEAST_VARIANCE * most);
    let columns = DMatrix::from_fn(iterated, order.len(), |row, column| {
        let at = order[column];
        eigen.eigenvectors[(row, at)] / eigen.eigenvalues[at].sqrt()
    });
    basis.matmul(&tensor(&columns)?)
}

/// Orthonormal columns that span those of a matrix.
fn orthonormal(columns: &Tensor) -> Result<Tensor> {
    let rows: Vec<f32> = columns.flatten_all()?.to_vec1()?;
    let (height, width) = columns.dims2()?;
    let matrix = DMatrix::from_row_iterator(height, width, rows.into_iter().map(f64::from));
    tensor(&matrix.qr().q())
}

fn square(matrix: &Tensor) -> Result<DMatrix<f64>> {
    let side = matrix.dim(0)?;
    let values: Vec<f32> = matrix.flatten_all()?.to_vec1()?;
    let values = values.into_iter().map(f64::from);
    Ok(DMatrix::from_row_iterator(side, side, values))
}

fn tensor(matrix: &DMatrix<f64>) -> Result<Tensor> {
    let values: Vec<f32> = matrix.transpose().iter().map(|v| *v as f32).collect();
    Tensor::from_vec(values, matrix.shape(), &Device::Cpu)
}

#[cfg(test)]
#[path = "../tests/unit/change_directions.rs"]
mod tests;
