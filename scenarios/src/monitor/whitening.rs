//! Differences of tokens in directions that successful runs make alike.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::transition::Transition;

/// How much of the residuals' covariance is taken as the same in all directions.
const SHRINKAGE: f64 = 0.1;

/// What residuals are multiplied by so that clean ones have unit covariance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whitening {
    /// Width of a token, `D`.
    width: usize,
    /// The inverse of the Cholesky factor of the shrunken covariance, `[D, D]`, lower triangular.
    factor: Vec<f32>,
}

impl Whitening {
    /// Fits to clean transitions of so many tokens each.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn fit(tokens: usize, clean: &[Transition]) -> Result<Self, String> {
        let values = clean.first().map_or(0, |t| t.before.values.len());
        let width = values / tokens.max(1);
        let mut covariance = DMatrix::<f64>::zeros(width, width);
        let mut count = 0_usize;
        for t in clean {
            let pairs = t.reached.values.iter().zip(&t.expected.values);
            let apart = pairs.map(|(r, e)| f64::from(r - e)).collect();
            let apart = DMatrix::from_vec(width, t.reached.tokens, apart);
            covariance.gemm(1.0, &apart, &apart.transpose(), 1.0);
            count += t.reached.tokens;
        }
        covariance /= count.max(1) as f64;
        let level = covariance.trace() / width.max(1) as f64;
        covariance *= 1.0 - SHRINKAGE;
        for i in 0..width {
            covariance[(i, i)] += SHRINKAGE * level;
        }
        let inverse = covariance.cholesky().and_then(|c| c.l().try_inverse());
        let inverse = inverse.ok_or("the runs' latents don't differ from the expected ones")?;
        let rows = (0..width).flat_map(|i| (0..width).map(move |j| (i, j)));
        let factor = rows.map(|at| inverse[at] as f32).collect();
        Ok(Whitening { width, factor })
    }

    /// Root mean square of the whitened difference of each token of two latents `[N, D]`: `[N]`.
    pub fn lengths(&self, a: &[f32], b: &[f32]) -> Vec<f64> {
        let d = self.width.max(1);
        let pairs = a.chunks_exact(d).zip(b.chunks_exact(d));
        pairs.map(|(a, b)| self.length(a, b)).collect()
    }

    fn length(&self, a: &[f32], b: &[f32]) -> f64 {
        let apart: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let rows = self.factor.chunks_exact(self.width.max(1)).enumerate();
        let sum: f64 = rows
            .map(|(i, row)| {
                let product: f32 = row[..=i].iter().zip(&apart).map(|(w, v)| w * v).sum();
                f64::from(product).powi(2)
            })
            .sum();
        (sum / apart.len().max(1) as f64).sqrt()
    }

    /// Whether it is whole and of tokens this wide.
    pub(super) fn fits(&self, width: usize) -> bool {
        self.width == width && self.factor.len() == width * width
    }
}
