//! `foresight bench plan`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{anyhow, Context, Result};
use clap::Args;
use foresight_planner::{solve, CemConfig, Constraints, Pose, SearchMethod, SeededNoise};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Part};
use foresight_predictor::kernels::profile;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{flops, Budget, Start};
use foresight_predictor::{layout, ComputeDevice, ModelConfig, Precision};
use serde::Serialize;

use super::predictor::{Predictor, Rolled};
use super::timed::{median, Timed};

/// Arguments of `foresight bench plan`.
#[derive(Debug, Args)]
pub struct PlanBench {
    /// Model folder whose architecture is measured. Weights are drawn at random: they don't
    /// matter for speed.
    #[arg(long, default_value = "models/tabletop")]
    model: PathBuf,
    /// Plans per line, after one to warm up; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Candidates for the full-size architecture.
    #[arg(long, default_value_t = 8)]
    full_size_samples: usize,
    /// Iterations for the full-size architecture.
    #[arg(long, default_value_t = 1)]
    full_size_iterations: usize,
    /// Leave the full-size architecture out: it takes a minute and 3 GiB.
    #[arg(long)]
    bundled_only: bool,
    /// Memory for the rollouts beside the weights, MiB; 512 on the CPU and most of what a GPU has
    /// free when absent.
    #[arg(long)]
    memory_mib: Option<usize>,
    /// Where the predictor computes: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what
    /// a GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    /// One array of objects on standard output.
    #[arg(long)]
    json: bool,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    planner: String,
    samples: usize,
    iterations: usize,
    horizon: usize,
    precision: Precision,
    /// Median wall time of a plan, s.
    seconds: f64,
    /// Predictor evaluations of a plan.
    evaluations: usize,
    /// Achieved rate, GFLOP/s.
    gflops: f64,
    /// Measured rate of the unit's own instruction on all threads, or of a GPU's large products,
    /// GFLOP/s.
    ceiling_gflops: f64,
    /// `gflops / ceiling_gflops`.
    share: f64,
    /// Peak memory of the process, or of the GPU, MiB.
    peak_mib: Option<f64>,
    #[serde(skip)]
    parts: String,
}

pub fn run(args: &PlanBench) -> Result<()> {
    let path = args.model.join("config.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: give a model folder with --model", path.display()))?;
    let bundled: ModelConfig =
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let mut rows = Vec::new();
    let planners = [
        ("paper", CemConfig::paper()),
        ("notebook", CemConfig::notebook()),
        ("fast", CemConfig::fast()),
    ];
    measure(args, &bundled, &planners, &mut rows)?;
    if !args.bundled_only {
        let full = checkpoint::preset("vitg-ac").ok_or_else(|| anyhow!("no full-size preset"))?;
        let few = |horizon| CemConfig {
            samples: args.full_size_samples,
            iterations: args.full_size_iterations,
            topk: args.full_size_samples.min(10),
            horizon,
            ..CemConfig::paper()
        };
        let planners = [("paper", few(1)), ("paper", few(2))];
        measure(args, &full, &planners, &mut rows)?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&rows)?);
    }
    Ok(())
}

fn measure(
    args: &PlanBench,
    model: &ModelConfig,
    planners: &[(&str, CemConfig)],
    rows: &mut Vec<Row>,
) -> Result<()> {
    let config = model
        .predictor
        .as_ref()
        .ok_or_else(|| anyhow!("{} has no predictor to plan with", args.model.display()))?;
    let mut parameters = Parameters::zeros(layout::predictor(config));
    initialise(&mut parameters, Part::AcPredictor, 1);
    for precision in [Precision::F32, Precision::Bf16] {
        let predictor = Predictor::new(config, &parameters, args.device, precision)?;
        predictor.reset_peak();
        if predictor.precision() != precision {
            eprintln!("this machine is no faster in {precision}: left out");
            continue;
        }
        let top = predictor.ceiling_gflops()?;
        eprintln!(
            "\n{}, {precision} on {}, ceiling {top:.0} GFLOP/s",
            model.name,
            predictor.computes_on()
        );
        for (name, cem) in planners {
            let row = time(args, &model.name, name, cem, &predictor, top)?;
            eprintln!("  {}", line(&row));
            rows.push(row);
        }
    }
    Ok(())
}

fn time(
    args: &PlanBench,
    model: &str,
    planner: &str,
    cem: &CemConfig,
    predictor: &Predictor,
    ceiling_gflops: f64,
) -> Result<Row> {
    let config = predictor.config();
    let size = config.tokens_per_frame() * config.embed_dim;
    let wave = |phase: f32| -> Vec<f32> {
        let value = |i: usize| 1.4 * (i as f32 * 0.37 + phase).sin();
        (0..size).map(value).collect()
    };
    let (context, goal) = (wave(0.0), wave(1.0));
    let own = predictor.budget();
    let energy = Rolled {
        predictor,
        start: Start {
            latent: &context,
            pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
            extrinsics: config.use_extrinsics.then_some([0.0; 6]),
        },
        goal: &goal,
        budget: Budget {
            memory_mib: args.memory_mib.unwrap_or(own.memory_mib),
            ..own
        },
    };
    let energy = Timed::new(energy);
    let (mut seconds, mut evaluations) = (Vec::new(), 0);
    let (mut rolling, mut kinds) = (0.0, [0.0; 3]);
    for round in 0..=args.rounds.max(1) {
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
    Ok(Row {
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
        parts: match predictor {
            Predictor::Kernels(_) => format!(
                "rollouts {:.0}% (products {products:.0}%, attention {attention:.0}%, norms {norm:.0}%), search {:.0}%",
                percent(rolling),
                percent(total - rolling),
            ),
            Predictor::Device { .. } => format!(
                "rollouts {:.0}%, search {:.0}%",
                percent(rolling),
                percent(total - rolling),
            ),
        },
    })
}

fn line(row: &Row) -> String {
    let memory = row.peak_mib.map_or("?".into(), |m| format!("{m:.0}"));
    format!(
        "{:<9} {:>4} × {:<2} horizon {}  {:>9.4} s  {:>5} evaluations  {:>6.0} GFLOP/s  {:>3.0}% of ceiling  {memory:>5} MiB\n            {}",
        row.planner,
        row.samples,
        row.iterations,
        row.horizon,
        row.seconds,
        row.evaluations,
        row.gflops,
        100.0 * row.share,
        row.parts,
    )
}
