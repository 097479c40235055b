//! What every backend must do: the reference networks' numbers for whatever sizes, and the official
//! code's where there are fixtures. A backend of one's own joins by standing in [`backends`].

mod encoders;
mod golden;
mod rollouts;

use std::num::NonZeroUsize;

use candle_core::{Device, Tensor};
use foresight_planner::{Action, ActionSequences, Energy, Pose};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::backend::{Backend, CandleBackend, CpuBackend};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::encoder::{normalise_latent, Encoder, LATENT_EPS};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::kernels::elementwise::normalise_rows;
use foresight_predictor::layout;
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::reference_encoder::ReferenceEncoder;
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{
    Budget, ComputeDevice, EncoderConfig, EncoderLevel, InstructionSet, Latent, Precision,
    PredictorConfig, RopeVariant, Stem, Vjepa21Options,
};

use crate::loud;
use crate::support::{builder, close, of_kind, values};

/// How far a backend may be off.
struct Bound {
    /// Latents: root of the mean square over that of the reference.
    latent: f32,
    /// Energies.
    energy: f32,
    /// Every value of the official code's; `None` for numbers that are rounded.
    golden: Option<f32>,
}

const EXACT: Bound = Bound {
    latent: 2e-5,
    energy: 2e-5,
    golden: Some(5e-5),
};
/// Products rounded to bf16.
const ROUNDED: Bound = Bound {
    latent: 3e-2,
    energy: 3e-2,
    golden: None,
};
/// Everything rounded to bf16, the residual stream too.
const ROUNDED_THROUGHOUT: Bound = Bound {
    latent: 1e-1,
    energy: 6e-2,
    golden: None,
};
/// f32 whose sums have another order than anything on a CPU.
const EXACT_ON_GPU: Bound = Bound {
    latent: 1e-4,
    energy: 5e-5,
    golden: Some(1e-4),
};

fn backends() -> Vec<(Box<dyn Backend>, Bound)> {
    let cpu = |precision| {
        let set = InstructionSet::for_any(precision);
        Box::new(CpuBackend::on(set, precision).expect("a machine multiplies"))
    };
    let candle = |device, precision| {
        Box::new(CandleBackend::open(device, precision).expect("a device that answers"))
    };
    let mut all: Vec<(Box<dyn Backend>, Bound)> = vec![
        (cpu(Precision::F32), EXACT),
        (cpu(Precision::Bf16), ROUNDED),
        (candle(ComputeDevice::CandleCpu, Precision::F32), EXACT),
        (
            candle(ComputeDevice::CandleCpu, Precision::Bf16),
            ROUNDED_THROUGHOUT,
        ),
    ];
    if cfg!(feature = "cuda") {
        let gpu = ComputeDevice::Cuda(0);
        all.push((candle(gpu, Precision::F32), EXACT_ON_GPU));
        all.push((candle(gpu, Precision::Bf16), ROUNDED_THROUGHOUT));
    }
    all
}

fn name(backend: &dyn Backend) -> String {
    format!("{} on {}", backend.precision(), backend.place())
}

/// The relative difference of two vectors, in the root mean square.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    let size: f64 = b.iter().map(|b| square(*b)).sum();
    (error / size).sqrt() as f32
}

/// Weights that are far from the initial distribution, so that every path matters.
fn drawn(entries: Vec<layout::Entry>, part: Part, seed: u64) -> Tensors {
    let mut parameters = Parameters::zeros(entries);
    initialise(&mut parameters, part, seed);
    for (i, v) in parameters.values_mut().iter_mut().enumerate() {
        *v = *v * 2.0 + (i as f32 * 0.37).sin() * 0.02;
    }
    parameters.to_tensors().unwrap()
}
