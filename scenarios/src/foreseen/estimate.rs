//! Numbers with their uncertainty: the bootstrap over scenes.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Resamplings.
const DRAWS: usize = 1000;

/// A number and where it lies in 95 of 100 resamplings of the scenes it was measured in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its 95% interval.
    pub ci95: [f64; 2],
}

/// Sums that belong to one scene: episodes of one scene, its branches included, are not independent.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums<const N: usize> {
    scenes: Vec<(u64, [f64; N])>,
}

impl<const N: usize> Sums<N> {
    pub(super) fn new() -> Self {
        Sums { scenes: Vec::new() }
    }

    /// Adds numbers to a scene's sums.
    pub(super) fn add(&mut self, scene: u64, numbers: [f64; N]) {
        // Scenes come one after another.
        match self.scenes.last_mut() {
            Some((last, sums)) if *last == scene => {
                sums.iter_mut().zip(numbers).for_each(|(s, n)| *s += n);
            }
            _ => self.scenes.push((scene, numbers)),
        }
    }

    /// Sums over all scenes.
    pub(super) fn total(&self) -> [f64; N] {
        total(self.scenes.iter().map(|(_, sums)| sums))
    }

    /// Scenes with at least one number.
    pub(super) fn scenes(&self) -> usize {
        self.scenes.len()
    }

    /// A function of the sums; `None` where it is not finite.
    pub(super) fn estimate(&self, seed: u64, of: impl Fn(&[f64; N]) -> f64) -> Option<Estimate> {
        let value = of(&self.total());
        if !value.is_finite() {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = self.scenes.len();
        let mut values: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let drawn = (0..count).map(|_| &self.scenes[rng.random_range(0..count)].1);
                of(&total(drawn))
            })
            .filter(|v| v.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let ci95 = match values.is_empty() {
            true => [value; 2],
            false => [at(0.025), at(0.975)],
        };
        Some(Estimate { value, ci95 })
    }
}

fn total<'a, const N: usize>(sums: impl Iterator<Item = &'a [f64; N]>) -> [f64; N] {
    sums.fold([0.0; N], |mut total, sums| {
        total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        total
    })
}

#[cfg(test)]
#[path = "../../tests/unit/foreseen_estimate.rs"]
mod tests;
