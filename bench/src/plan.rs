//! Time, FLOP/s, share of this machine's measured ceiling and memory of whole plans.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use anyhow::{anyhow, Context, Result};
use foresight_planner::{solve, CemConfig, Constraints, Pose, SearchMethod, SeededNoise};
use foresight_predictor::checkpoint;
use foresight_predictor::kernels::profile;
use foresight_predictor::rollout::{flops, Budget, RolloutStart};
use foresight_predictor::{ComputeDevice, ModelConfig, Precision};
use serde::Serialize;

use crate::bare_predictor::{random_weights, BarePredictor, PredictorEnergy};
use crate::timed::{median, Timed};

/// How plans are timed.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Plans per line, after one to warm up; the median counts.
    pub rounds: usize,
    /// Memory for the rollouts beside the weights, MiB; the backend's own when absent.
    pub memory_mib: Option<usize>,
    /// Where the predictor computes.
    pub device: ComputeDevice,
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub struct PlanTiming {
    /// The model's name.
    pub model: String,
    /// The search's name.
    pub planner: String,
    /// Candidates an iteration.
    pub samples: usize,
    /// Iterations.
    pub iterations: usize,
    /// Steps looked ahead.
    pub horizon: usize,
    /// Numbers of the products.
    pub precision: Precision,
    /// Median wall time of a plan, s.
    pub seconds: f64,
    /// Predictor evaluations of a plan.
    pub evaluations: usize,
    /// Achieved rate, GFLOP/s.
    pub gflops: f64,
    /// Measured rate of the CPU's own instruction on all threads, or of a GPU's large products,
    /// GFLOP/s.
    pub ceiling_gflops: f64,
    /// `gflops / ceiling_gflops`.
    pub share: f64,
    /// Peak memory of the process, or of the GPU, MiB.
    pub peak_mib: Option<f64>,
    /// Shares of the time, in words.
    #[serde(skip)]
    pub parts: String,
}

/// The architecture of a model folder, whose weights don't matter for speed.
///
/// # Errors
/// When there is no readable `config.json`.
pub fn architecture(folder: &Path) -> Result<ModelConfig> {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: give a model folder with --model", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// The full-size architecture, and plans of few candidates for it.
///
/// # Errors
/// None that could happen.
pub fn full_size(
    samples: usize,
    iterations: usize,
) -> Result<(ModelConfig, [(&'static str, CemConfig); 2])> {
    let model = checkpoint::preset("vitg-ac").ok_or_else(|| anyhow!("no full-size preset"))?;
    let few = |horizon| CemConfig {
        samples,
        iterations,
        topk: samples.min(10),
        horizon,
        ..CemConfig::paper()
    };
    Ok((model, [("paper", few(1)), ("paper", few(2))]))
}

/// Times each of `planners` with random weights of `model`'s architecture, in both precisions;
/// `note` is told for people what comes up.
///
/// # Errors
/// When the model has no predictor, or the device fails.
pub fn measure(
    model: &ModelConfig,
    planners: &[(&str, CemConfig)],
    options: PlanOptions,
    note: &mut dyn FnMut(String),
) -> Result<Vec<PlanTiming>> {
    let config = model
        .predictor
        .as_ref()
        .ok_or_else(|| anyhow!("{} has no predictor to plan with", model.name))?;
    let weights = random_weights(config)?;
    let mut timings = Vec::new();
    for precision in [Precision::F32, Precision::Bf16] {
        let predictor = BarePredictor::open(config, &weights, options.device, precision)?;
        predictor.reset_peak();
        if predictor.precision() != precision {
            note(format!(
                "this machine is no faster in {precision}: left out"
            ));
            continue;
        }
        let ceiling = predictor.ceiling_gflops()?;
        note(format!(
            "\n{}, {precision} on {}, ceiling {ceiling:.0} GFLOP/s",
            model.name,
            predictor.computes_on()
        ));
        for (name, cem) in planners {
            let timing = time(options, &model.name, name, cem, &predictor, ceiling)?;
            note(format!("  {timing}"));
            timings.push(timing);
        }
    }
    Ok(timings)
}

fn time(
    options: PlanOptions,
    model: &str,
    planner: &str,
    cem: &CemConfig,
    predictor: &BarePredictor,
    ceiling_gflops: f64,
) -> Result<PlanTiming> {
    let config = predictor.config();
    let size = config.tokens_per_frame() * config.embed_dim;
    let wave = |phase: f32| -> Vec<f32> {
        let value = |i: usize| 1.4 * (i as f32 * 0.37 + phase).sin();
        (0..size).map(value).collect()
    };
    let (context, goal) = (wave(0.0), wave(1.0));
    let own = predictor.budget();
    let energy = PredictorEnergy {
        predictor,
        start: RolloutStart {
            latent: &context,
            pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
            extrinsics: config.use_extrinsics.then_some([0.0; 6]),
        },
        goal: &goal,
        budget: Budget {
            memory_mib: options.memory_mib.unwrap_or(own.memory_mib),
            ..own
        },
    };
    let energy = Timed::new(energy);
    let (mut seconds, mut evaluations) = (Vec::new(), 0);
    let (mut rolling, mut kinds) = (0.0, [0.0; 3]);
    for round in 0..=options.rounds.max(1) {
        profile::take();
        let before = energy.seconds.get();
        let started = Instant::now();
        let mut search = cem.begin(&Constraints::default());
        let mut noise = SeededNoise::new(1, round as u64);
        evaluations = solve(search.as_mut(), &energy, &mut noise)?.evaluations;
        if round > 0 {
            seconds.push(started.elapsed().as_secs_f64());
            rolling += energy.seconds.get() - before;
            let spent = profile::take();
            kinds.iter_mut().zip(spent).for_each(|(k, s)| *k += s);
        }
    }
    let total: f64 = seconds.iter().sum();
    let threads = rayon::current_num_threads() as f64;
    let percent = |s: f64| 100.0 * s / total;
    let [norm, products, attention] = kinds.map(|s| percent(s / threads));
    let seconds = median(&mut seconds);
    let gflops = flops(config, cem.horizon) * evaluations as f64 / seconds * 1e-9;
    Ok(PlanTiming {
        model: model.into(),
        planner: planner.into(),
        samples: cem.samples,
        iterations: cem.iterations,
        horizon: cem.horizon,
        precision: predictor.precision(),
        seconds,
        evaluations,
        gflops,
        ceiling_gflops,
        share: gflops / ceiling_gflops,
        peak_mib: predictor.peak_mib(),
        parts: match predictor.on_kernels() {
            true => format!(
                "rollouts {:.0}% (products {products:.0}%, attention {attention:.0}%, norms {norm:.0}%), search {:.0}%",
                percent(rolling),
                percent(total - rolling),
            ),
            false => format!(
                "rollouts {:.0}%, search {:.0}%",
                percent(rolling),
                percent(total - rolling),
            ),
        },
    })
}

impl fmt::Display for PlanTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.peak_mib.map_or("?".into(), |m| format!("{m:.0}"));
        write!(
            f,
        "{:<9} {:>4} × {:<2} horizon {}  {:>9.4} s  {:>5} evaluations  {:>6.0} GFLOP/s  {:>3.0}% of ceiling  {memory:>5} MiB\n            {}",
        self.planner,
        self.samples,
        self.iterations,
        self.horizon,
        self.seconds,
        self.evaluations,
        self.gflops,
        100.0 * self.share,
        self.parts,
    )
    }
}
