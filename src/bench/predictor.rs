//! A predictor without an encoder or a model folder around it, ready for where it computes.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresight_planner::{ActionSequences, Energy, EnergyError};
use foresight_predictor::device;
use foresight_predictor::device_rollout::DevicePredictor;
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::kernels::{ceiling, Unit};
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, PackedPredictor, Start};
use foresight_predictor::{ComputeDevice, Precision, PredictorConfig};

use super::memory;

/// How long a ceiling is measured.
const CEILING: Duration = Duration::from_millis(600);

/// A predictor.
pub enum Predictor {
    /// On the CPU kernels.
    Kernels(PackedPredictor),
    /// On one of candle's devices.
    Device {
        predictor: DevicePredictor,
        device: Device,
        name: ComputeDevice,
        precision: Precision,
    },
}

impl Predictor {
    /// Puts `parameters` where they are to compute.
    ///
    /// # Errors
    /// When the device doesn't answer or is too small.
    pub fn new(
        config: &PredictorConfig,
        parameters: &Parameters,
        name: ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        if name == ComputeDevice::Cpu {
            let packed = PackedPredictor::new(config, parameters, precision);
            return Ok(Predictor::Kernels(packed));
        }
        let device = name.open()?;
        let dtype = device::dtype(precision);
        Ok(Predictor::Device {
            predictor: DevicePredictor::new(config, &parameters.to_tensors()?, &device, dtype)?,
            device,
            name,
            precision,
        })
    }

    /// On the CPU kernels, with a unit that need not be the fastest here.
    pub fn on_unit(
        config: &PredictorConfig,
        parameters: &Parameters,
        unit: Unit,
        precision: Precision,
    ) -> Self {
        Predictor::Kernels(PackedPredictor::on_unit(
            config, parameters, unit, precision,
        ))
    }

    pub fn config(&self) -> &PredictorConfig {
        match self {
            Predictor::Kernels(packed) => packed.config(),
            Predictor::Device { predictor, .. } => predictor.config(),
        }
    }

    /// The numbers it computes in: f32 for bf16 on a CPU that is no faster in it.
    pub fn precision(&self) -> Precision {
        match self {
            Predictor::Kernels(packed) => packed.unit().1,
            Predictor::Device { precision, .. } => *precision,
        }
    }

    /// What it computes on, in words.
    pub fn computes_on(&self) -> String {
        match self {
            Predictor::Kernels(packed) => {
                let threads = rayon::current_num_threads();
                format!("{}, {threads} threads", packed.unit().0)
            }
            Predictor::Device { name, .. } => name.to_string(),
        }
    }

    /// Memory for rollouts when nothing else is said.
    pub fn budget(&self) -> Budget {
        match self {
            Predictor::Kernels(_) => Budget::default(),
            Predictor::Device { device, .. } => device::budget(device),
        }
    }

    /// The rate its products could reach here, GFLOP/s: a CPU unit's own instruction on registers
    /// and all threads, or large products of candle's on its device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn ceiling_gflops(&self) -> Result<f64> {
        let flops = match self {
            Predictor::Kernels(packed) => {
                ceiling::measure(packed.unit().0, rayon::current_num_threads(), CEILING)
            }
            Predictor::Device {
                device, precision, ..
            } => {
                let side = if device.is_cuda() { 8192 } else { 512 };
                products(device, *precision, side)?
            }
        };
        Ok(flops * 1e-9)
    }

    /// Starts a new peak of memory.
    pub fn reset_peak(&self) {
        match self {
            Predictor::Kernels(_) => memory::reset(),
            Predictor::Device { device, .. } => {
                memory::reset();
                device::reset_peak(device);
            }
        }
    }

    /// Peak memory since then, MiB: a GPU's own where there is one, this process's otherwise.
    pub fn peak_mib(&self) -> Option<f64> {
        match self {
            Predictor::Device { device, .. } if device.is_cuda() => device::peak_mib(device),
            _ => memory::peak_mib(),
        }
    }
}

/// FLOP/s of products of square matrices, the best of several.
fn products(device: &Device, precision: Precision, side: usize) -> Result<f64> {
    let dtype = device::dtype(precision);
    let matrix = || Tensor::rand(-1f32, 1f32, (side, side), device)?.to_dtype(dtype);
    let (a, b) = (matrix()?, matrix()?);
    a.matmul(&b)?;
    device.synchronize()?;
    let (begun, mut best) = (Instant::now(), 0f64);
    while begun.elapsed() < CEILING {
        let started = Instant::now();
        for _ in 0..4 {
            a.matmul(&b)?;
        }
        device.synchronize()?;
        let flops = 4.0 * 2.0 * (side as f64).powi(3);
        best = best.max(flops / started.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// A predictor's energy.
pub struct Rolled<'a> {
    pub predictor: &'a Predictor,
    pub start: Start<'a>,
    pub goal: &'a [f32],
    pub budget: Budget,
}

impl Energy for Rolled<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let depth = self.predictor.config().depth;
        let to_goal = GoalDistance::plain(self.goal);
        match self.predictor {
            Predictor::Kernels(packed) => {
                let distance = |latent: &[f32]| to_goal.of(latent);
                Ok(packed.roll(&self.start, sequences, depth, self.budget, distance))
            }
            Predictor::Device { predictor, .. } => predictor
                .energies(&self.start, sequences, depth, &to_goal, self.budget)
                .map_err(|e| EnergyError(Box::new(e))),
        }
    }
}
