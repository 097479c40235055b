//! A predictor without an encoder or a model folder around it, and what its machine can do.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresight_planner::{ActionSequences, Energy, EnergyError};
use foresight_predictor::backend::{Backend, CandleBackend, CpuBackend, LatentPredictor};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::device;
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::kernels::{ceiling, InstructionSet};
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::rollout::{Budget, RolloutStart};
use foresight_predictor::{layout, ComputeDevice, Precision, PredictorConfig};

use crate::memory;

/// How long a ceiling is measured.
const CEILING: Duration = Duration::from_millis(600);

/// Weights drawn at random: they don't matter for speed.
pub(crate) fn random_weights(config: &PredictorConfig) -> Result<Tensors> {
    let mut parameters = Parameters::zeros(layout::predictor(config));
    initialise(&mut parameters, Part::AcPredictor, 1);
    Ok(parameters.to_tensors()?)
}

/// A predictor on a backend.
#[derive(Debug)]
pub(crate) struct BarePredictor {
    backend: Box<dyn Backend>,
    /// Of our kernels; `None` on candle's devices.
    instruction_set: Option<InstructionSet>,
    predictor: Box<dyn LatentPredictor>,
}

impl BarePredictor {
    /// Puts `weights` where they are to compute.
    pub(crate) fn open(
        config: &PredictorConfig,
        weights: &Tensors,
        device: ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        if device == ComputeDevice::Cpu {
            return BarePredictor::on_cpu(config, weights, CpuBackend::new(precision));
        }
        let backend = CandleBackend::open(device, precision)?;
        Ok(BarePredictor {
            predictor: backend.predictor(config, weights)?,
            instruction_set: None,
            backend: Box::new(backend),
        })
    }

    /// On the CPU kernels, whose instruction set need not be the fastest here.
    pub(crate) fn on_cpu(
        config: &PredictorConfig,
        weights: &Tensors,
        backend: CpuBackend,
    ) -> Result<Self> {
        Ok(BarePredictor {
            predictor: backend.predictor(config, weights)?,
            instruction_set: Some(backend.instruction_set()),
            backend: Box::new(backend),
        })
    }

    pub(crate) fn config(&self) -> &PredictorConfig {
        self.predictor.config()
    }

    /// The numbers it computes in: f32 for bf16 on a CPU that is no faster in it.
    pub(crate) fn precision(&self) -> Precision {
        self.backend.precision()
    }

    /// Whether it computes on our kernels, which keep account of their time.
    pub(crate) fn on_kernels(&self) -> bool {
        self.instruction_set.is_some()
    }

    /// What it computes on, in words.
    pub(crate) fn computes_on(&self) -> String {
        let place = self.backend.place();
        match self.instruction_set {
            Some(_) => format!("{place}, {} threads", rayon::current_num_threads()),
            None => place,
        }
    }

    /// Memory for rollouts when nothing else is said.
    pub(crate) fn budget(&self) -> Budget {
        self.backend.budget()
    }

    /// The rate its products could reach here, GFLOP/s: an instruction set's own instruction on
    /// registers and all threads, or large products of candle's on its device.
    pub(crate) fn ceiling_gflops(&self) -> Result<f64> {
        let flops = match self.instruction_set {
            Some(set) => ceiling::measure(set, rayon::current_num_threads(), CEILING),
            None => {
                let device = self.backend.device();
                let side = if device.is_cuda() { 8192 } else { 512 };
                products(device, self.precision(), side)?
            }
        };
        Ok(flops * 1e-9)
    }

    /// Starts a new peak of memory.
    pub(crate) fn reset_peak(&self) {
        memory::reset();
        device::reset_peak(self.backend.device());
    }

    /// Peak memory since then, MiB: a GPU's own where there is one, this process's otherwise.
    pub(crate) fn peak_mib(&self) -> Option<f64> {
        match self.backend.device() {
            device if device.is_cuda() => device::peak_mib(device),
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
pub(crate) struct PredictorEnergy<'a> {
    pub(crate) predictor: &'a BarePredictor,
    pub(crate) start: RolloutStart<'a>,
    pub(crate) goal: &'a [f32],
    pub(crate) budget: Budget,
}

impl Energy for PredictorEnergy<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let depth = self.predictor.config().depth;
        let to_goal = GoalDistance::plain(self.goal);
        self.predictor
            .predictor
            .energies(&self.start, sequences, depth, &to_goal, self.budget)
            .map_err(|e| EnergyError(Box::new(e)))
    }
}
