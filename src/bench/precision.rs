//! `foresight bench precision`: what bf16 changes, against what chance changes.

use std::path::PathBuf;

use anyhow::{anyhow, Result};
use clap::Args;
use foresight_planner::{
    solve, ActionSequences, CemConfig, Constraints, Energy, Noise, Pose, SearchMethod, SeededNoise,
};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::{self, Part};
use foresight_predictor::kernels::Unit;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::Start;
use foresight_predictor::{layout, ComputeDevice, Precision, PredictorConfig, WorldModel};

use super::decisions::decisions;
use super::predictor::{Predictor, Rolled};
use super::timed::median;

/// Arguments of `foresight bench precision`.
#[derive(Debug, Args)]
pub struct PrecisionBench {
    /// Scenario whose scenes are planned for.
    #[arg(long, default_value = "scenarios/pick_and_place.toml")]
    scenario: PathBuf,
    /// Model folder.
    #[arg(long, default_value = "models/tabletop")]
    model: PathBuf,
    /// Decisions.
    #[arg(long, default_value_t = 30)]
    scenes: u64,
    /// Seed of the first scene.
    #[arg(long, default_value_t = 510_000)]
    seed: u64,
    /// Candidates whose energies are compared.
    #[arg(long, default_value_t = 800)]
    samples: usize,
    /// The full-size architecture with random weights and latents instead: slow.
    #[arg(long)]
    full_size: bool,
    /// Candidates and iterations of the full-size plans whose actions are compared.
    #[arg(long, num_args = 2, value_names = ["SAMPLES", "ITERATIONS"], default_values_t = [32, 3])]
    full_size_plan: Vec<usize>,
    /// Where the networks compute: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what a
    /// GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
}

/// What one decision showed.
struct Compared {
    rank_correlation: f64,
    overlap: f64,
    /// Largest difference of an action's component over its bound, between precisions.
    between_precisions: f64,
    /// The same between seeds, in f32.
    between_seeds: f64,
}

pub fn run(args: &PrecisionBench) -> Result<()> {
    let compared = if args.full_size {
        vec![full_size(args)?]
    } else {
        bundled(args)?
    };
    let of = |f: fn(&Compared) -> f64| -> (f64, f64, f64) {
        let mut values: Vec<f64> = compared.iter().map(f).collect();
        let middle = median(&mut values);
        (values[0], middle, values[values.len() - 1])
    };
    let row = |name: &str, (low, middle, high): (f64, f64, f64)| {
        println!("{name:<58} median {middle:.5}  ({low:.5} to {high:.5})");
    };
    println!(
        "{} decisions, {} candidates each",
        compared.len(),
        args.samples
    );
    row("rank correlation of energies", of(|c| c.rank_correlation));
    row("share of the ten best that are the same", of(|c| c.overlap));
    row(
        "action, bf16 against f32, same noise (share of the box)",
        of(|c| c.between_precisions),
    );
    row(
        "action, f32 against f32, another seed (share of the box)",
        of(|c| c.between_seeds),
    );
    Ok(())
}

fn bundled(args: &PrecisionBench) -> Result<Vec<Compared>> {
    let loaded = checkpoint::load(&args.model)?;
    let config = loaded.config.predictor.clone();
    let (Some(config), Some(weights)) = (config, &loaded.predictor) else {
        return Err(anyhow!("{} has no predictor", args.model.display()));
    };
    let parameters = Parameters::from_tensors(layout::predictor(&config), weights)?;
    let both = both(&config, &parameters, args.device)?;
    // What is seen is the same for both.
    let exact = Precision::F32;
    let eyes =
        WorldModel::from_tensors_on(loaded.config, &loaded.encoder, weights, args.device, exact)?;
    let cem = CemConfig {
        samples: args.samples,
        ..CemConfig::paper()
    };
    decisions(&args.scenario, &eyes, args.seed, args.scenes)?
        .iter()
        .map(|d| {
            let [exact, rounded] = both.each_ref().map(|predictor| Rolled {
                predictor,
                start: Start {
                    latent: &d.context.values,
                    pose: d.pose,
                    extrinsics: None,
                },
                goal: &d.goal.values,
                budget: predictor.budget(),
            });
            let (rank_correlation, overlap) =
                ranks(&cem, &d.constraints, d.seed, &exact, &rounded)?;
            Ok(Compared {
                rank_correlation,
                overlap,
                ..plans(&cem, &d.constraints, d.seed, &exact, &rounded)?
            })
        })
        .collect()
}

/// The predictor in f32 and in bf16, whether or not that is what would be planned with here.
fn both(
    config: &PredictorConfig,
    parameters: &Parameters,
    device: ComputeDevice,
) -> Result<[Predictor; 2]> {
    let one = |precision| match device {
        ComputeDevice::Cpu => {
            let unit = Unit::for_any(precision);
            Ok(Predictor::on_unit(config, parameters, unit, precision))
        }
        _ => Predictor::new(config, parameters, device, precision),
    };
    Ok([one(Precision::F32)?, one(Precision::Bf16)?])
}

fn full_size(args: &PrecisionBench) -> Result<Compared> {
    let model = checkpoint::preset("vitg-ac").ok_or_else(|| anyhow!("no full-size preset"))?;
    let config = model.predictor.ok_or_else(|| anyhow!("no predictor"))?;
    let mut parameters = Parameters::zeros(layout::predictor(&config));
    initialise(&mut parameters, Part::AcPredictor, 1);
    let [exact, rounded] = both(&config, &parameters, args.device)?;
    drop(parameters);
    let size = config.tokens_per_frame() * config.embed_dim;
    let mut latents = vec![0.0; 2 * size];
    SeededNoise::new(args.seed, 0).fill(&mut latents);
    let energy = |predictor| Rolled {
        predictor,
        start: Start {
            latent: &latents[..size],
            pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
            extrinsics: None,
        },
        goal: &latents[size..],
        budget: Predictor::budget(predictor),
    };
    let [samples, iterations] = args.full_size_plan[..] else {
        return Err(anyhow!("--full-size-plan takes two numbers"));
    };
    let cem = CemConfig {
        samples,
        iterations,
        topk: 5.min(samples),
        ..CemConfig::paper()
    };
    let first = CemConfig {
        samples: args.samples,
        ..CemConfig::paper()
    };
    let free = Constraints::default();
    let (exact, rounded) = (energy(&exact), energy(&rounded));
    let (rank_correlation, overlap) = ranks(&first, &free, args.seed, &exact, &rounded)?;
    Ok(Compared {
        rank_correlation,
        overlap,
        ..plans(&cem, &free, args.seed, &exact, &rounded)?
    })
}

/// Rank correlation of the first iteration's energies and share of the ten best in common.
fn ranks(
    cem: &CemConfig,
    constraints: &Constraints,
    seed: u64,
    exact: &dyn Energy,
    rounded: &dyn Energy,
) -> Result<(f64, f64)> {
    let mut search = cem.begin(constraints);
    let candidates: ActionSequences = search
        .propose(&mut SeededNoise::new(seed, 0))
        .ok_or_else(|| anyhow!("the search proposes nothing"))?
        .candidates;
    let (a, b) = (exact.energies(&candidates)?, rounded.energies(&candidates)?);
    let best = |e: &[f32]| order(e).into_iter().take(10).collect::<Vec<_>>();
    let (first, second) = (best(&a), best(&b));
    let same = first.iter().filter(|i| second.contains(i)).count();
    Ok((spearman(&a, &b), same as f64 / first.len().max(1) as f64))
}

fn plans(
    cem: &CemConfig,
    constraints: &Constraints,
    seed: u64,
    exact: &dyn Energy,
    rounded: &dyn Energy,
) -> Result<Compared> {
    let action = |energy: &dyn Energy, decision| -> Result<[f64; 7]> {
        let mut search = cem.begin(constraints);
        let mut noise = SeededNoise::new(seed, decision);
        let plan = solve(search.as_mut(), energy, &mut noise)?;
        Ok(plan.actions.first().copied().unwrap_or_default().to_array())
    };
    let apart = |a: [f64; 7], b: [f64; 7]| {
        let dimensions = cem.space.dimensions.iter();
        let share = dimensions.map(|d| {
            let i = d.component.index();
            (a[i] - b[i]).abs() / d.bound
        });
        share.fold(0.0, f64::max)
    };
    let first = action(exact, 0)?;
    Ok(Compared {
        rank_correlation: f64::NAN,
        overlap: f64::NAN,
        between_precisions: apart(first, action(rounded, 0)?),
        between_seeds: apart(first, action(exact, 1)?),
    })
}

fn order(values: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    order
}

/// Spearman's rank correlation; ties by index, of which energies have none to speak of.
fn spearman(a: &[f32], b: &[f32]) -> f64 {
    let ranks = |values: &[f32]| {
        let mut ranks = vec![0.0; values.len()];
        for (rank, i) in order(values).into_iter().enumerate() {
            ranks[i] = rank as f64;
        }
        ranks
    };
    let n = a.len() as f64;
    let squares: f64 = ranks(a)
        .iter()
        .zip(ranks(b))
        .map(|(x, y)| (x - y).powi(2))
        .sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::spearman;

    #[test]
    fn rank_correlation_of_orders_and_their_reverse() {
        assert_eq!(spearman(&[1.0, 2.0, 5.0], &[10.0, 11.0, 30.0]), 1.0);
        assert_eq!(spearman(&[1.0, 2.0, 5.0], &[3.0, 2.0, 1.0]), -1.0);
    }
}
