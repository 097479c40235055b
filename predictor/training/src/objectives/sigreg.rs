//! Keeps latents from collapsing without a target network: along random directions they should
//! be distributed like a standard Gaussian.
//!
//! SIGReg of LeJEPA (Balestriero and LeCun 2025): by the Cramér–Wold theorem a distribution is
//! an isotropic Gaussian exactly when all its one-dimensional projections are; each projection is
//! held against the Gaussian by the Epps–Pulley statistic, the weighted squared distance of
//! characteristic functions.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::layers::{linear, piece, values};

/// The last point at which characteristic functions are compared.
const LAST_KNOT: f32 = 3.0;

/// How closely it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sketch {
    /// Random directions a step.
    pub directions: usize,
    /// Points at which characteristic functions are compared, evenly on `(0, 3]`: they are symmetric,
    /// and 1 at 0.
    pub knots: usize,
    /// Whether the last point counts half, as the trapezoid rule has it.
    pub trapezoid: bool,
}

impl Sketch {
    /// Enough for an encoder's pre-training.
    pub const COARSE: Sketch = Sketch {
        directions: 64,
        knots: 9,
        trapezoid: false,
    };
    /// LeJEPA's and LeWorldModel's.
    pub const PUBLISHED: Sketch = Sketch {
        directions: 1024,
        knots: 16,
        trapezoid: true,
    };
}

/// The statistic of `x [S, D]`, averaged over directions drawn from `seed`: 0 for Gaussians.
/// Unlike the statistical test's it is not multiplied by the number of samples, so its weight
/// doesn't depend on the batch.
///
/// # Errors
/// When `x` is not a matrix.
pub fn statistic(x: &Tensor, sketch: Sketch, seed: u64) -> Result<Tensor> {
    let (_, d) = x.dims2()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut directions: Vec<f32> = (0..sketch.directions * d)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    for direction in directions.chunks_exact_mut(d) {
        let norm = direction.iter().map(|v| v * v).sum::<f32>().sqrt();
        direction.iter_mut().for_each(|v| *v /= norm.max(1e-12));
    }
    let directions = Tensor::from_vec(directions, (sketch.directions, d), &Device::Cpu)?;
    along(x, &directions, sketch)
}

/// The statistic of `x [S, D]`, averaged over the unit vectors `directions [K, D]`.
///
/// # Errors
/// When the shapes don't agree.
pub fn along(x: &Tensor, directions: &Tensor, sketch: Sketch) -> Result<Tensor> {
    let nothing = Tensor::zeros(directions.dim(0)?, candle_core::DType::F32, x.device())?;
    let projected = linear(x, directions, &nothing)?; // [S, K]
    projected.apply_op1(EppsPulley::new(sketch))
}

/// The Epps–Pulley statistic of each column of `[S, K]`, averaged: one pass forwards and one
/// backwards. Knots are multiples of the first, so their cosines and sines follow from its by
/// turning on, without a library call each.
struct EppsPulley {
    sketch: Sketch,
    saved: Mutex<Saved>,
}

impl EppsPulley {
    fn new(sketch: Sketch) -> Self {
        EppsPulley {
            sketch,
            saved: Mutex::default(),
        }
    }

    /// A knot, the Gaussian's characteristic function there, and the weight of the squared distance:
    /// the Gaussian itself; both halves of the line count.
    fn knot(&self, number: usize) -> [f32; 3] {
        let Sketch {
            knots, trapezoid, ..
        } = self.sketch;
        let step = self.step();
        let t = step * (number + 1) as f32;
        let gaussian = (-f64::from(t) * f64::from(t) / 2.0).exp();
        let share = if trapezoid && number + 1 == knots {
            1.0
        } else {
            2.0
        };
        [
            t,
            gaussian as f32,
            (share * gaussian * f64::from(step)) as f32,
        ]
    }

    /// From one knot to the next.
    fn step(&self) -> f32 {
        LAST_KNOT / self.sketch.knots as f32
    }
}

/// What the backward pass needs.
#[derive(Default)]
struct Saved {
    /// Of every value at the first knot, `[S, K]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Empirical characteristic function at each knot: its real part less the Gaussian's `[K]`,
    /// its imaginary part `[K]`.
    off: Vec<f32>,
}

/// Rows of `[S, K]` in order, at every knot: `visit(row, knot, cosines [K], sines [K])`.
fn at_knots(
    cos: &[f32],
    sin: &[f32],
    [k, knots]: [usize; 2],
    mut visit: impl FnMut(usize, usize, &[f32], &[f32]),
) {
    let (mut c, mut s) = (vec![0.0; k], vec![0.0; k]);
    for (row, (cos, sin)) in cos.chunks_exact(k).zip(sin.chunks_exact(k)).enumerate() {
        c.copy_from_slice(cos);
        s.copy_from_slice(sin);
        for knot in 0..knots {
            visit(row, knot, &c, &s);
            for (((c, s), cos), sin) in c.iter_mut().zip(&mut s).zip(cos).zip(sin) {
                (*c, *s) = (*c * cos - *s * sin, *s * cos + *c * sin);
            }
        }
    }
}

impl CustomOp1 for EppsPulley {
    fn name(&self) -> &'static str {
        "epps-pulley"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (rows, k)) = (values(storage, layout)?, layout.shape().dims2()?);
        let (step, knots) = (self.step(), self.sketch.knots);
        let (mut cos, mut sin) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let piece = piece(rows) * k;
        let pieces = cos.par_chunks_mut(piece).zip(sin.par_chunks_mut(piece));
        let sums = pieces.zip(x.par_chunks(piece)).map(|((cos, sin), x)| {
            for ((c, s), x) in cos.iter_mut().zip(sin.iter_mut()).zip(x) {
                (*s, *c) = (step * x).sin_cos();
            }
            let mut sums = vec![0f32; 2 * knots * k];
            at_knots(cos, sin, [k, knots], |_, knot, c, s| {
                let (real, imaginary) = sums[2 * knot * k..][..2 * k].split_at_mut(k);
                real.iter_mut().zip(c).for_each(|(sum, c)| *sum += c);
                imaginary.iter_mut().zip(s).for_each(|(sum, s)| *sum += s);
            });
            sums
        });
        let sums: Vec<Vec<f32>> = sums.collect();
        let mut off = vec![0f32; 2 * knots * k];
        for sums in &sums {
            off.iter_mut()
                .zip(sums)
                .for_each(|(sum, part)| *sum += part);
        }
        let mut statistic = 0f64;
        for (number, off) in off.chunks_exact_mut(2 * k).enumerate() {
            let [_, gaussian, weight] = self.knot(number);
            off.iter_mut().for_each(|sum| *sum /= rows as f32);
            off[..k].iter_mut().for_each(|real| *real -= gaussian);
            let squares: f64 = off.iter().map(|v| f64::from(v * v)).sum();
            statistic += f64::from(weight) * squares / k as f64;
        }
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = Saved { cos, sin, off };
        Ok((CpuStorage::F32(vec![statistic as f32]), Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.to_scalar::<f32>()?;
        let (rows, k) = x.dims2()?;
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slopes = saved.off.clone();
        for (number, slopes) in slopes.chunks_exact_mut(2 * k).enumerate() {
            let [t, _, weight] = self.knot(number);
            let scale = 2.0 * grad * weight * t / (rows * k) as f32;
            slopes[..k].iter_mut().for_each(|v| *v *= -scale);
            slopes[k..].iter_mut().for_each(|v| *v *= scale);
        }
        let mut dx = vec![0f32; rows * k];
        let piece = piece(rows) * k;
        let known = saved.cos.par_chunks(piece).zip(saved.sin.par_chunks(piece));
        dx.par_chunks_mut(piece)
            .zip(known)
            .for_each(|(dx, (cos, sin))| {
                at_knots(cos, sin, [k, self.sketch.knots], |row, knot, c, s| {
                    let (of_sin, of_cos) = slopes[2 * knot * k..][..2 * k].split_at(k);
                    for (i, dx) in dx[row * k..][..k].iter_mut().enumerate() {
                        *dx += of_sin[i] * s[i] + of_cos[i] * c[i];
                    }
                });
            });
        Ok(Some(Tensor::from_vec(dx, (rows, k), x.device())?))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/objectives_sigreg.rs"]
mod tests;
