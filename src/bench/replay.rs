//! `foresight bench replay`: the official planner's inputs from disk, planned with ours.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{bail, Context, Result};
use candle_core::{safetensors, DType, Device, Tensor};
use clap::Args;
use foresight_planner::{
    solve, CemConfig, Constraints, Momentum, Noise, Pose, SearchMethod, SearchSpace,
};
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::rollout::Start;
use foresight_predictor::{layout, ComputeDevice, Precision, PredictorConfig, Unit};
use serde::Deserialize;
use serde_json::json;

use super::memory;
use super::predictor::{Predictor, Rolled};
use super::timed::Timed;
use crate::worlds::PrecisionOption;

/// Arguments of `foresight bench replay`.
#[derive(Debug, Args)]
pub struct ReplayBench {
    /// Folder with case.json (predictor architecture, settings), predictor.safetensors and
    /// case.safetensors (context, goal, pose, noise), as bench/against_official.py writes it.
    case: PathBuf,
    /// Numbers the products are taken in.
    #[arg(long, value_enum, default_value = "bf16")]
    precision: PrecisionOption,
    /// Where the predictor computes: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what
    /// a GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    /// Unit to multiply with on the CPU instead of the fastest: amx, avx512-bf16, avx512, avx2 or
    /// portable.
    #[arg(long, conflicts_with = "device")]
    unit: Option<Unit>,
    /// Plans, each timed on its own.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

#[derive(Debug, Deserialize)]
struct Case {
    predictor: PredictorConfig,
    samples: usize,
    iterations: usize,
    topk: usize,
    horizon: usize,
    momentum: f64,
    max_step_m: f64,
}

struct Recorded {
    values: Vec<f32>,
    next: usize,
}

impl Noise for Recorded {
    fn fill(&mut self, out: &mut [f32]) {
        let end = (self.next + out.len()).min(self.values.len());
        let rest = &self.values[self.next..end];
        out.fill(0.0);
        out[..rest.len()].copy_from_slice(rest);
        self.next = end;
    }
}

pub fn run(args: &ReplayBench) -> Result<()> {
    let path = args.case.join("case.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let case: Case = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let weights: Tensors = read(&args.case.join("predictor.safetensors"))?
        .into_iter()
        .collect();
    let parameters = Parameters::from_tensors(layout::predictor(&case.predictor), &weights)?;
    let (config, precision) = (&case.predictor, Precision::from(args.precision));
    let predictor = match args.unit {
        Some(unit) if !unit.multiplies(precision) => {
            bail!("this machine has no {precision} on {unit}; leave --unit out")
        }
        Some(unit) => Predictor::on_unit(config, &parameters, unit, precision),
        None => Predictor::new(config, &parameters, args.device, precision)?,
    };
    drop((weights, parameters));
    let inputs = read(&args.case.join("case.safetensors"))?;
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
    if let Err(what) = cem.validate() {
        bail!("case.json: {what}");
    }
    let energy = Timed::new(Rolled {
        predictor: &predictor,
        start: Start {
            latent: &context,
            pose: Pose::from_array(pose.map(f64::from)),
            extrinsics: None,
        },
        goal: &goal,
        budget: predictor.budget(),
    });
    let (mut seconds, mut cpu_seconds, mut action) = (Vec::new(), Vec::new(), None);
    for _ in 0..args.rounds.max(1) {
        let mut noise = Recorded {
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
    println!(
        "{}",
        json!({
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "first_energies": first,
            "action": action,
            "precision": predictor.precision(),
            "unit": predictor.computes_on(),
            "threads": rayon::current_num_threads(),
        })
    );
    Ok(())
}

fn read(path: &Path) -> Result<std::collections::HashMap<String, Tensor>> {
    safetensors::load(path, &Device::Cpu).with_context(|| path.display().to_string())
}
