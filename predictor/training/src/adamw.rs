//! AdamW over a flat parameter buffer, with PyTorch's arithmetic and the official groups.

use foresight_predictor::layout::Entry;
use rayon::prelude::*;

/// Values that one thread takes at a time.
pub(crate) const PIECE: usize = 1 << 14;

/// Options of [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Decay rates of the two moments. Default 0.9, 0.999.
    pub betas: (f64, f64),
    /// Added to the root of the second moment. Default 1e-8.
    pub eps: f64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        AdamWOptions {
            betas: (0.9, 0.999),
            eps: 1e-8,
        }
    }
}

/// One parameter's place.
#[derive(Debug, Clone, Copy)]
struct Group {
    len: usize,
    /// Whether weight decay applies to it.
    decayed: bool,
    /// Whether it is moved at all; only then it has moments.
    moved: bool,
}

/// Moments and step count; [`AdamW::moments`] and [`AdamW::moments_mut`] make an exact resume where
/// every step reached every parameter.
#[derive(Debug, Clone)]
pub struct AdamW {
    options: AdamWOptions,
    groups: Vec<Group>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: u64,
    /// Of those steps, how many each parameter sat out.
    missed: Vec<u64>,
}

impl AdamW {
    /// For parameters laid out as `entries`, of which those that `moved` selects are moved.
    /// Biases and one-dimensional parameters are not decayed (`init_opt` of the official code).
    pub fn new(entries: &[Entry], options: AdamWOptions, moved: impl Fn(&str) -> bool) -> Self {
        let groups: Vec<Group> = entries
            .iter()
            .map(|(name, shape)| Group {
                len: shape.iter().product(),
                decayed: shape.len() != 1 && !name.contains("bias"),
                moved: moved(name),
            })
            .collect();
        let total = groups.iter().filter(|g| g.moved).map(|g| g.len).sum();
        AdamW {
            options,
            missed: vec![0; groups.len()],
            groups,
            first: vec![0.0; total],
            second: vec![0.0; total],
            steps: 0,
        }
    }

    /// One update of `values` by `gradients`. Parameters that `reached` denies, by their place in
    /// the entries, are left alone: neither moved nor decayed, and the step isn't counted for
    /// them. PyTorch does so with parameters that a loss didn't reach.
    pub fn step(
        &mut self,
        values: &mut [f32],
        gradients: &[f32],
        rate: f64,
        weight_decay: f64,
        reached: impl Fn(usize) -> bool,
    ) {
        self.steps += 1;
        let (beta1, beta2) = self.options.betas;
        let (b1, b2) = (beta1 as f32, beta2 as f32);
        let eps = self.options.eps as f32;
        let keep = (1.0 - rate * weight_decay) as f32;
        let (mut at, mut moments_at) = (0, 0);
        for (i, group) in self.groups.iter().enumerate() {
            let range = at..at + group.len;
            at += group.len;
            if !group.moved {
                continue;
            }
            let moments = moments_at..moments_at + group.len;
            moments_at += group.len;
            if !reached(i) {
                self.missed[i] += 1;
                continue;
            }
            let steps = (self.steps - self.missed[i]) as i32;
            let step_size = (rate / (1.0 - beta1.powi(steps))) as f32;
            let correction2 = (1.0 - beta2.powi(steps)).sqrt() as f32;
            let keep = if group.decayed { keep } else { 1.0 };
            let pieces = values[range.clone()]
                .par_chunks_mut(PIECE)
                .zip(gradients[range].par_chunks(PIECE))
                .zip(self.first[moments.clone()].par_chunks_mut(PIECE))
                .zip(self.second[moments].par_chunks_mut(PIECE));
            pieces.for_each(|(((p, g), m), v)| {
                for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                    *p *= keep;
                    *m += (g - *m) * (1.0 - b1);
                    *v = *v * b2 + (1.0 - b2) * g * g;
                    *p -= step_size * *m / (v.sqrt() / correction2 + eps);
                }
            });
        }
    }

    /// First and second moments of the moved parameters and the number of steps taken.
    pub fn moments(&self) -> (&[f32], &[f32], u64) {
        (&self.first, &self.second, self.steps)
    }

    /// What [`AdamW::moments`] gives, to put it back.
    pub fn moments_mut(&mut self) -> (&mut [f32], &mut [f32], &mut u64) {
        (&mut self.first, &mut self.second, &mut self.steps)
    }
}

/// Scales `gradients` so that their norm is at most `limit`, and returns the norm before.
pub(crate) fn clip_norm(gradients: &mut [f32], limit: f64) -> f64 {
    let square = |g: &f32| f64::from(*g) * f64::from(*g);
    let pieces = gradients.par_chunks(PIECE);
    let sums: Vec<f64> = pieces.map(|g| g.iter().map(square).sum()).collect();
    let norm = sums.iter().sum::<f64>().sqrt();
    if norm > limit {
        let scale = (limit / norm) as f32;
        gradients
            .par_iter_mut()
            .with_min_len(PIECE)
            .for_each(|g| *g *= scale);
    }
    norm
}
