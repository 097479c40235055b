//! Keeps latents from collapsing without a target network: along random directions they should
//! be distributed like a standard Gaussian.
//!
//! SIGReg of LeJEPA (Balestriero and LeCun 2025): by the Cramér–Wold theorem a distribution is
//! an isotropic Gaussian exactly when all its one-dimensional projections are; each projection is
//! held against the Gaussian by the Epps–Pulley statistic, the weighted squared distance of
//! characteristic functions.

use candle_core::{Device, Result, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Random directions a step.
const DIRECTIONS: usize = 64;
/// Points at which characteristic functions are compared, on `(0, 3]`: they are symmetric.
const KNOTS: usize = 9;
/// The last of them.
const LAST_KNOT: f32 = 3.0;

/// The statistic of `x [S, D]`, averaged over directions drawn from `seed`: 0 for Gaussians.
/// Unlike the statistical test's it is not multiplied by the number of samples, so its weight
/// doesn't depend on the batch.
///
/// # Errors
/// When `x` is not a matrix.
pub fn statistic(x: &Tensor, seed: u64) -> Result<Tensor> {
    let (_, d) = x.dims2()?;
    let device = Device::Cpu;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut directions: Vec<f32> = (0..DIRECTIONS * d)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    for direction in directions.chunks_exact_mut(d) {
        let norm = direction.iter().map(|v| v * v).sum::<f32>().sqrt();
        direction.iter_mut().for_each(|v| *v /= norm.max(1e-12));
    }
    let directions = Tensor::from_vec(directions, (DIRECTIONS, d), &device)?;
    let projected = x.matmul(&directions.t()?)?; // [S, K]
    let step = LAST_KNOT / KNOTS as f32;
    let mut sum = Tensor::zeros((), candle_core::DType::F32, &device)?;
    for knot in 1..=KNOTS {
        let t = f64::from(knot as f32 * step);
        let gaussian = (-t * t / 2.0).exp();
        let turned = (&projected * t)?;
        let real = (turned.cos()?.mean(0)? - gaussian)?.sqr()?;
        let imaginary = turned.sin()?.mean(0)?.sqr()?;
        // The weight of the Epps–Pulley statistic is the Gaussian itself; both halves of the
        // line count.
        let weight = 2.0 * gaussian * f64::from(step);
        sum = (sum + ((real + imaginary)?.mean_all()? * weight)?)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(scale: f32, shift: f32) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let values: Vec<f32> = (0..2048 * 16)
            .map(|_| {
                let z: f32 = StandardNormal.sample(&mut rng);
                scale * z + shift
            })
            .collect();
        Tensor::from_vec(values, (2048, 16), &Device::Cpu).expect("a tensor")
    }

    fn value(x: &Tensor) -> f32 {
        let statistic = statistic(x, 1).expect("a statistic");
        statistic.to_scalar().expect("a number")
    }

    #[test]
    fn only_standard_gaussians_are_near_zero() {
        let standard = value(&samples(1.0, 0.0));
        assert!(standard < 2e-3, "{standard}");
        for (scale, shift) in [(0.0, 0.0), (0.1, 0.0), (3.0, 0.0), (1.0, 1.5)] {
            let other = value(&samples(scale, shift));
            assert!(other > 20.0 * standard, "{scale} {shift}: {other}");
        }
    }
}
