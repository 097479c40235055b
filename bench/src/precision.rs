//! What bf16 changes in plans, against what chance changes.

use std::path::Path;

use anyhow::{anyhow, Result};
use foresight_planner::{
    solve, ActionSequences, CemConfig, Constraints, Energy, Noise, Pose, SearchMethod, SeededNoise,
};
use foresight_predictor::backend::CpuBackend;
use foresight_predictor::checkpoint;
use foresight_predictor::parameters::Tensors;
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{ComputeDevice, InstructionSet, Precision, PredictorConfig, WorldModel};

use crate::bare_predictor::{random_weights, BarePredictor, PredictorEnergy};
use crate::decisions::decisions;
use crate::timed::median;

/// What one decision showed.
#[derive(Debug, Clone, Copy)]
pub struct PrecisionComparison {
    /// Spearman's, of the first iteration's energies.
    pub rank_correlation: f64,
    /// Share of the ten best that are the same.
    pub overlap: f64,
    /// Largest difference of an action's component over its bound, between precisions.
    pub between_precisions: f64,
    /// The same between seeds, in f32.
    pub between_seeds: f64,
}

/// The lowest, the middle and the highest value; NaN without any.
pub fn range(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.into_iter().collect();
    let middle = median(&mut values);
    let at = |end: Option<&f64>| end.copied().unwrap_or(f64::NAN);
    [at(values.first()), middle, at(values.last())]
}

/// Compares the decisions of a scenario, planned for with a model folder.
///
/// # Errors
/// When the model or the scenario can't be used, or the device fails.
pub fn scenario(
    scenario: &Path,
    model: &Path,
    [first_seed, count]: [u64; 2],
    samples: usize,
    device: ComputeDevice,
) -> Result<Vec<PrecisionComparison>> {
    let loaded = checkpoint::load(model)?;
    let config = loaded.config.predictor.clone();
    let (Some(config), Some(weights)) = (config, &loaded.predictor) else {
        return Err(anyhow!("{} has no predictor", model.display()));
    };
    let both = both(&config, weights, device)?;
    // What is seen is the same for both.
    let exact = Precision::F32;
    let eyes = WorldModel::from_tensors_on(loaded.config, &loaded.encoder, weights, device, exact)?;
    let cem = CemConfig {
        samples,
        ..CemConfig::paper()
    };
    decisions(scenario, &eyes, first_seed, count)?
        .iter()
        .map(|d| {
            let [exact, rounded] = both.each_ref().map(|predictor| PredictorEnergy {
                predictor,
                start: RolloutStart {
                    latent: &d.context.values,
                    pose: d.pose,
                    extrinsics: None,
                },
                goal: &d.goal.values,
                budget: predictor.budget(),
            });
            let (rank_correlation, overlap) =
                ranks(&cem, &d.constraints, d.seed, &exact, &rounded)?;
            Ok(PrecisionComparison {
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
    weights: &Tensors,
    device: ComputeDevice,
) -> Result<[BarePredictor; 2]> {
    let one = |precision| match device {
        ComputeDevice::Cpu => {
            let set = InstructionSet::for_any(precision);
            let backend = CpuBackend::on(set, precision);
            let backend = backend.ok_or_else(|| anyhow!("no {precision} on {set} here"))?;
            BarePredictor::on_cpu(config, weights, backend)
        }
        _ => BarePredictor::open(config, weights, device, precision),
    };
    Ok([one(Precision::F32)?, one(Precision::Bf16)?])
}

/// Compares one decision of the full-size architecture with random weights and latents: energies
/// of `candidates`, and plans of `[samples, iterations]`.
///
/// # Errors
/// When the device fails.
pub fn full_size(
    seed: u64,
    candidates: usize,
    [samples, iterations]: [usize; 2],
    device: ComputeDevice,
) -> Result<PrecisionComparison> {
    let model = checkpoint::preset("vitg-ac").ok_or_else(|| anyhow!("no full-size preset"))?;
    let config = model.predictor.ok_or_else(|| anyhow!("no predictor"))?;
    let weights = random_weights(&config)?;
    let [exact, rounded] = both(&config, &weights, device)?;
    drop(weights);
    let size = config.tokens_per_frame() * config.embed_dim;
    let mut latents = vec![0.0; 2 * size];
    SeededNoise::new(seed, 0).fill(&mut latents);
    let energy = |predictor| PredictorEnergy {
        predictor,
        start: RolloutStart {
            latent: &latents[..size],
            pose: Pose::from_array([0.5, 0.0, 0.2, 3.1, 0.0, 0.0, 0.0]),
            extrinsics: None,
        },
        goal: &latents[size..],
        budget: BarePredictor::budget(predictor),
    };
    let cem = CemConfig {
        samples,
        iterations,
        topk: 5.min(samples),
        ..CemConfig::paper()
    };
    let first = CemConfig {
        samples: candidates,
        ..CemConfig::paper()
    };
    let free = Constraints::default();
    let (exact, rounded) = (energy(&exact), energy(&rounded));
    let (rank_correlation, overlap) = ranks(&first, &free, seed, &exact, &rounded)?;
    Ok(PrecisionComparison {
        rank_correlation,
        overlap,
        ..plans(&cem, &free, seed, &exact, &rounded)?
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
        .ask(&mut SeededNoise::new(seed, 0))
        .ok_or_else(|| anyhow!("the search proposes nothing"))?
        .sequences;
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
) -> Result<PrecisionComparison> {
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
    Ok(PrecisionComparison {
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
#[path = "../tests/unit/precision.rs"]
mod tests;
