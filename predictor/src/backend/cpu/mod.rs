//! The networks on the CPU kernels: what plans are made with where there is no GPU.

mod encoder;
mod predictor;

use candle_core::Device;
use half::bf16;

use self::encoder::PackedEncoder;
use self::predictor::PackedPredictor;
use super::{Backend, FrameEncoder, LatentPredictor};
use crate::config::{EncoderConfig, PredictorConfig};
use crate::error::Result;
use crate::kernels::{InstructionSet, Precision};
use crate::layout;
use crate::parameters::{self, Parameters, Tensors, WeightSource};

/// The CPU kernels on one instruction set, in one precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuBackend {
    instruction_set: InstructionSet,
    precision: Precision,
}

impl CpuBackend {
    /// The fastest on this machine; f32 for bf16 where it is no faster in that.
    pub fn new(precision: Precision) -> Self {
        match InstructionSet::for_bf16().filter(|_| precision == Precision::Bf16) {
            Some(instruction_set) => CpuBackend {
                instruction_set,
                precision,
            },
            None => CpuBackend {
                instruction_set: InstructionSet::for_f32(),
                precision: Precision::F32,
            },
        }
    }

    /// An instruction set of one's choice; `None` where this machine doesn't multiply such numbers
    /// with it.
    pub fn on(instruction_set: InstructionSet, precision: Precision) -> Option<Self> {
        instruction_set.multiplies(precision).then_some(CpuBackend {
            instruction_set,
            precision,
        })
    }

    /// An encoder whose weights are read and packed one by one, so that they are never in memory
    /// twice.
    ///
    /// # Errors
    /// When one is missing, of another shape, or can't be read.
    pub fn encoder_of(
        &self,
        config: &EncoderConfig,
        weights: &dyn WeightSource,
    ) -> Result<Box<dyn FrameEncoder>> {
        let set = self.instruction_set;
        Ok(match self.precision {
            Precision::F32 => Box::new(PackedEncoder::<f32>::new(config, weights, set)?),
            Precision::Bf16 => Box::new(PackedEncoder::<bf16>::new(config, weights, set)?),
        })
    }

    /// What multiplies.
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }
}

impl Backend for CpuBackend {
    fn precision(&self) -> Precision {
        self.precision
    }

    fn place(&self) -> String {
        self.instruction_set.to_string()
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn encoder(&self, config: &EncoderConfig, weights: &Tensors) -> Result<Box<dyn FrameEncoder>> {
        parameters::check(&layout::encoder(config), weights)?;
        self.encoder_of(config, weights)
    }

    fn predictor(
        &self,
        config: &PredictorConfig,
        weights: &Tensors,
    ) -> Result<Box<dyn LatentPredictor>> {
        let weights = Parameters::from_tensors(layout::predictor(config), weights)?;
        let set = self.instruction_set;
        Ok(match self.precision {
            Precision::F32 => Box::new(PackedPredictor::<f32>::new(config, &weights, set)),
            Precision::Bf16 => Box::new(PackedPredictor::<bf16>::new(config, &weights, set)),
        })
    }
}

/// Normalised frames `[B, 3, H, W]` to layer-normalised latents `[B, N, D]` in f32, as
/// [`FrameEncoder::encode`], with weights packed for this call.
///
/// # Errors
/// As there.
pub fn encode(
    config: &EncoderConfig,
    parameters: &Parameters,
    frames: &[f32],
    size: [usize; 2],
) -> Result<Vec<f32>> {
    PackedEncoder::<f32>::new(config, parameters, InstructionSet::for_f32())?.encode(frames, size)
}
