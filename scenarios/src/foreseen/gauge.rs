//! The gauge: a small network that reads numbers out of whole latents, fitted on true ones only.

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::RunError;

/// Widths between the latent and what is read.
const HIDDEN: [usize; 2] = [256, 128];
/// Rows a step.
const BATCH: usize = 256;
/// Standard deviation of what is added to latents, whose entries have about 1.
const INPUT_NOISE: f32 = 0.05;
/// Share of the first hidden layer left out, each time another.
const DROPOUT: f64 = 0.1;
const LEARNING_RATE: f64 = 1e-3;
/// What is left of the rate at the end.
const LEAST_RATE: f64 = 0.02;
const WEIGHT_DECAY: f64 = 0.05;
/// Errors below this, in the labels' scale, count squared, larger ones plainly.
const HUBER: f64 = 0.2;
/// Normal draws kept to add noise from; each row starts at a random one.
const NOISE: usize = 1 << 20;

/// How a gauge is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaugeOptions {
    /// Optimiser steps of 256 latents.
    pub steps: usize,
    /// Decides initial weights, draws and noise.
    pub seed: u64,
}

impl Default for GaugeOptions {
    fn default() -> Self {
        GaugeOptions {
            steps: 2500,
            seed: 0,
        }
    }
}

/// Three linear layers with GELU between them, from `[N·D]` to some numbers.
pub(super) struct Gauge {
    layers: Vec<(Var, Var)>,
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Gauge {
    /// Fits on latents and the labels `[K]` of each; `scale` says in which unit errors of each
    /// label count.
    ///
    /// # Errors
    /// [`RunError::Input`] without latents.
    pub(super) fn fit(
        latents: &[&[f32]],
        labels: &[Vec<f64>],
        scale: &[f64],
        options: GaugeOptions,
    ) -> Result<Self, RunError> {
        let (Some(first), count) = (latents.first(), labels.len()) else {
            return Err(RunError::Input("there is nothing to fit a gauge on".into()));
        };
        let mean = (0..scale.len())
            .map(|k| labels.iter().map(|l| l[k]).sum::<f64>() / count as f64)
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let gauge = Gauge::random(first.len(), mean, scale, &mut rng);
        let fitted = gauge.and_then(|gauge| {
            gauge.optimise(latents, labels, options.steps, &mut rng)?;
            Ok(gauge)
        });
        fitted.map_err(candle)
    }

    fn random(
        width: usize,
        mean: Vec<f64>,
        scale: &[f64],
        rng: &mut ChaCha8Rng,
    ) -> CandleResult<Self> {
        let widths = [width, HIDDEN[0], HIDDEN[1], scale.len()];
        let layers = widths.windows(2).map(|pair| {
            let bound = 1.0 / (pair[0] as f32).sqrt();
            let mut draw = |shape: &[usize]| {
                let count: usize = shape.iter().product();
                let values: Vec<f32> = (0..count)
                    .map(|_| rng.random_range(-bound..bound))
                    .collect();
                Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)
            };
            Ok((draw(&[pair[0], pair[1]])?, draw(&[pair[1]])?))
        });
        Ok(Gauge {
            layers: layers.collect::<CandleResult<_>>()?,
            mean,
            scale: scale.to_vec(),
        })
    }

    fn optimise(
        &self,
        latents: &[&[f32]],
        labels: &[Vec<f64>],
        steps: usize,
        rng: &mut ChaCha8Rng,
    ) -> CandleResult<()> {
        let noise: Vec<f32> = (0..NOISE).map(|_| INPUT_NOISE * normal(rng)).collect();
        let variables = self.layers.iter();
        let variables = variables.flat_map(|(weight, bias)| [weight.clone(), bias.clone()]);
        let mut optimiser = AdamW::new(
            variables.collect(),
            ParamsAdamW {
                lr: LEARNING_RATE,
                weight_decay: WEIGHT_DECAY,
                ..ParamsAdamW::default()
            },
        )?;
        let (width, outputs) = (latents[0].len(), self.scale.len());
        for step in 0..steps {
            let left = 1.0 - step as f64 / steps as f64;
            optimiser.set_learning_rate(LEARNING_RATE * left.max(LEAST_RATE));
            let mut rows = Vec::with_capacity(BATCH * width);
            let mut wanted = Vec::with_capacity(BATCH * outputs);
            for _ in 0..BATCH {
                let (row, at) = (
                    rng.random_range(0..latents.len()),
                    rng.random_range(0..NOISE),
                );
                let noise = noise[at..].iter().chain(noise.iter().cycle());
                rows.extend(latents[row].iter().zip(noise).map(|(z, n)| z + n));
                wanted.extend(
                    (0..outputs).map(|k| ((labels[row][k] - self.mean[k]) / self.scale[k]) as f32),
                );
            }
            let kept: Vec<f32> = (0..BATCH * HIDDEN[0])
                .map(|_| {
                    f32::from(u8::from(rng.random::<f64>() >= DROPOUT)) / (1.0 - DROPOUT) as f32
                })
                .collect();
            let rows = Tensor::from_vec(rows, (BATCH, width), &Device::Cpu)?;
            let wanted = Tensor::from_vec(wanted, (BATCH, outputs), &Device::Cpu)?;
            let kept = Tensor::from_vec(kept, (BATCH, HIDDEN[0]), &Device::Cpu)?;
            let off = (self.forward(&rows, Some(&kept))? - wanted)?.abs()?;
            let beyond = (&off - HUBER)?.relu()?;
            let within = (&off - &beyond)?;
            let loss = ((within.sqr()? * (0.5 / HUBER))? + beyond)?.mean_all()?;
            optimiser.backward_step(&loss)?;
        }
        Ok(())
    }

    /// `kept` multiplies the first hidden layer.
    fn forward(&self, rows: &Tensor, kept: Option<&Tensor>) -> CandleResult<Tensor> {
        let mut values = rows.clone();
        for (i, (weight, bias)) in self.layers.iter().enumerate() {
            if i > 0 {
                values = values.gelu_erf()?;
            }
            if let (1, Some(kept)) = (i, kept) {
                values = (values * kept)?;
            }
            values = values.matmul(weight)?.broadcast_add(bias)?;
        }
        Ok(values)
    }

    /// What it reads out of each latent, `[K]` each.
    ///
    /// # Errors
    /// [`RunError::Imagination`] when a latent has another size.
    pub(super) fn read(&self, latents: &[&[f32]]) -> Result<Vec<Vec<f64>>, RunError> {
        let Some(first) = latents.first() else {
            return Ok(Vec::new());
        };
        let shape = (latents.len(), first.len());
        let rows = Tensor::from_vec(latents.concat(), shape, &Device::Cpu);
        let read = rows.and_then(|rows| self.forward(&rows, None)?.to_dtype(DType::F64)?.to_vec2());
        let read: Vec<Vec<f64>> = read.map_err(candle)?;
        let in_units = |row: Vec<f64>| {
            let scaled = row.iter().zip(&self.scale).zip(&self.mean);
            scaled.map(|((v, scale), mean)| v * scale + mean).collect()
        };
        Ok(read.into_iter().map(in_units).collect())
    }
}

fn candle(error: candle_core::Error) -> RunError {
    RunError::Imagination(error.to_string())
}

fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (u, v) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

#[cfg(test)]
#[path = "../../tests/unit/foreseen_gauge.rs"]
mod tests;
