//! The official planner's inputs from disk, planned with ours: our half of
//! bench/against_official.py.

use std::path::Path;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use candle_core::{safetensors, DType, Device, Tensor};
use foresight_planner::{
    solve, CemConfig, Constraints, Momentum, Noise, Pose, SearchMethod, SearchSpace,
};
use foresight_predictor::backend::CpuBackend;
use foresight_predictor::parameters::Tensors;
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{ComputeDevice, InstructionSet, Precision, PredictorConfig};
use foresight_settings::check;
use serde::Deserialize;
use serde_json::{json, Value};

use crate::bare_predictor::{BarePredictor, PredictorEnergy};
use crate::memory;
use crate::timed::Timed;

#[derive(Debug, Deserialize)]
struct OfficialCase {
    predictor: PredictorConfig,
    samples: usize,
    iterations: usize,
    topk: usize,
    horizon: usize,
    momentum: f64,
    max_step_m: f64,
}

struct RecordedNoise {
    values: Vec<f32>,
    next: usize,
}

impl Noise for RecordedNoise {
    fn fill(&mut self, out: &mut [f32]) {
        let end = (self.next + out.len()).min(self.values.len());
        let rest = &self.values[self.next..end];
        out.fill(0.0);
        out[..rest.len()].copy_from_slice(rest);
        self.next = end;
    }
}

/// Plans `rounds` times, each timed on its own, with the predictor, latents and noise of a folder
/// with case.json (predictor architecture, settings), predictor.safetensors and case.safetensors
/// (context, goal, pose, noise); `instruction_set` multiplies instead of the CPU's fastest.
///
/// # Errors
/// When a file can't be used, or the device fails.
pub fn replay(
    folder: &Path,
    device: ComputeDevice,
    precision: Precision,
    instruction_set: Option<InstructionSet>,
    rounds: usize,
) -> Result<Value> {
    let path = folder.join("case.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let case: OfficialCase =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let weights: Tensors = read(&folder.join("predictor.safetensors"))?
        .into_iter()
        .collect();
    let config = &case.predictor;
    let predictor = match instruction_set {
        Some(set) => match CpuBackend::on(set, precision) {
            Some(backend) => BarePredictor::on_cpu(config, &weights, backend)?,
            None => bail!("this machine has no {precision} on {set}; leave --unit out"),
        },
        None => BarePredictor::open(config, &weights, device, precision)?,
    };
    drop(weights);
    let inputs = read(&folder.join("case.safetensors"))?;
    let values = |name: &str| -> Result<Vec<f32>> {
        let tensor = inputs.get(name);
        let tensor = tensor.with_context(|| format!("case.safetensors has no {name}"))?;
        Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    };
    let (context, goal, noise) = (values("context")?, values("goal")?, values("noise")?);
    let Ok(pose) = <[f32; 7]>::try_from(values("pose")?) else {
        bail!("case.safetensors: the pose has not seven components");
    };
    let momentum = Momentum {
        mean: case.momentum,
        std: case.momentum,
    };
    let cem = CemConfig {
        samples: case.samples,
        iterations: case.iterations,
        topk: case.topk,
        horizon: case.horizon,
        momentum,
        momentum_gripper: momentum,
        space: SearchSpace::translation_and_gripper(case.max_step_m),
        ..CemConfig::notebook()
    };
    check(cem.faults(), None, &[], &[]).context("in case.json")?;
    let energy = Timed::new(PredictorEnergy {
        predictor: &predictor,
        start: RolloutStart {
            latent: &context,
            pose: Pose::from_array(pose.map(f64::from)),
            extrinsics: None,
        },
        goal: &goal,
        budget: predictor.budget(),
    });
    let (mut seconds, mut cpu_seconds, mut action) = (Vec::new(), Vec::new(), None);
    for _ in 0..rounds.max(1) {
        let mut noise = RecordedNoise {
            values: noise.clone(),
            next: 0,
        };
        let (started, cpu) = (Instant::now(), memory::cpu_seconds());
        let mut search = cem.begin(&Constraints::default());
        let plan = solve(search.as_mut(), &energy, &mut noise)?;
        seconds.push(started.elapsed().as_secs_f64());
        let spent = memory::cpu_seconds().zip(cpu).map(|(now, then)| now - then);
        cpu_seconds.push(spent);
        action = plan.actions.first().map(|a| a.to_array());
    }
    let first = energy.answers.borrow().first().cloned();
    Ok(json!({
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "first_energies": first,
        "action": action,
        "precision": predictor.precision(),
        "unit": predictor.computes_on(),
        "threads": rayon::current_num_threads(),
    }))
}

fn read(path: &Path) -> Result<std::collections::HashMap<String, Tensor>> {
    safetensors::load(path, &Device::Cpu).with_context(|| path.display().to_string())
}
