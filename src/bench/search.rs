//! `foresight bench search`: the study behind docs/planning.md.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use foresight_planner::{solve, ActionSequences, Energy, SeededNoise};
use foresight_predictor::{ComputeDevice, Precision, WorldModel};
use foresight_scenarios::planner::{MethodName, PlannerOptions, Preset};
use serde_json::json;

use super::decisions::decisions;
use super::timed::Timed;
use crate::worlds::PrecisionOption;

/// Arguments of `foresight bench search`.
#[derive(Debug, Args)]
pub struct SearchBench {
    /// Scenario whose scenes and sub-goals are planned for.
    #[arg(long, default_value = "scenarios/pick_and_place.toml")]
    scenario: PathBuf,
    /// Model folder.
    #[arg(long, default_value = "models/tabletop")]
    model: PathBuf,
    /// Scenes, one decision each, the sub-goals taken in turn.
    #[arg(long, default_value_t = 36)]
    scenes: u64,
    /// Seed of the first scene.
    #[arg(long, default_value_t = 500_000)]
    seed: u64,
    /// Searches per scene and planner.
    #[arg(long, default_value_t = 3)]
    repeats: u64,
    /// Planners: TOML files with the keys of a scenario's `planner` section, instead of the
    /// built-in list.
    #[arg(long, value_name = "FILE")]
    planner: Vec<PathBuf>,
    /// Numbers the networks' products are taken in; energies reported are always f32.
    #[arg(long, value_enum, default_value = "bf16")]
    precision: PrecisionOption,
    /// Where the networks compute: cpu, cuda, cuda:N, or candle-cpu, which does on the CPU what a
    /// GPU would.
    #[arg(long, default_value_t = ComputeDevice::Cpu)]
    device: ComputeDevice,
    /// Where the rows go (JSON lines), for bench/plot_search.py.
    #[arg(long)]
    out: PathBuf,
}

/// The planners of the study.
fn built_in() -> Vec<(String, PlannerOptions)> {
    let of = |preset| PlannerOptions {
        preset,
        ..PlannerOptions::default()
    };
    let fast = of(Preset::Fast);
    let planners = [
        ("paper", of(Preset::Paper)),
        ("fast", fast.clone()),
        ("icem", of(Preset::Icem)),
        (
            "mppi",
            PlannerOptions {
                method: Some(MethodName::Mppi),
                topk: Some(64),
                ..of(Preset::Icem)
            },
        ),
        (
            "fast + halving",
            PlannerOptions {
                preview_share: Some(0.25),
                ..fast.clone()
            },
        ),
        (
            "fast + gradient",
            PlannerOptions {
                iterations: Some(2),
                refine_steps: Some(6),
                ..fast
            },
        ),
    ];
    planners.map(|(n, p)| (n.to_owned(), p)).into()
}

pub fn run(args: &SearchBench) -> Result<()> {
    let exact = WorldModel::load_on(&args.model, args.device, Precision::F32)?;
    let model = WorldModel::load_on(&args.model, args.device, args.precision.into())?;
    let planners = if args.planner.is_empty() {
        built_in()
    } else {
        let read = |path: &PathBuf| -> Result<_> {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let options: PlannerOptions =
                toml::from_str(&text).with_context(|| path.display().to_string())?;
            let name = path.file_stem().unwrap_or_default();
            Ok((name.to_string_lossy().into_owned(), options))
        };
        args.planner.iter().map(read).collect::<Result<_>>()?
    };
    let decisions = decisions(&args.scenario, &exact, args.seed, args.scenes)?;
    let mut lines = String::new();
    for decision in &decisions {
        let (context, goal) = (&decision.context, &decision.goal);
        let energy_of =
            |m| WorldModel::energy(m, context, &decision.pose, goal, WorldModel::budget(m));
        let exact = energy_of(&exact);
        let still = exact.energies(&ActionSequences::zeros(1, 1))?[0];
        for (name, options) in &planners {
            let method = options.method();
            for repeat in 0..args.repeats {
                let energy = Timed::new(energy_of(&model));
                let started = Instant::now();
                let mut search = method.begin(&decision.constraints);
                let mut noise = SeededNoise::new(decision.seed, repeat);
                let plan = solve(search.as_mut(), &energy, &mut noise)?;
                let seconds = started.elapsed().as_secs_f64();
                // What would have been executed had the search ended after each iteration.
                let mut means = ActionSequences::zeros(plan.iterations.len() + 1, 1);
                let horizon = options.cem().horizon;
                if horizon > 1 {
                    means = ActionSequences::zeros(plan.iterations.len() + 1, horizon);
                }
                for (sample, iteration) in plan.iterations.iter().enumerate() {
                    for (step, mean) in iteration.mean.iter().enumerate() {
                        means.action_mut(sample, step).copy_from_slice(mean);
                    }
                }
                let last = plan.iterations.len();
                for (step, action) in plan.actions.iter().enumerate() {
                    let action = action.to_array().map(|v| v as f32);
                    means.action_mut(last, step).copy_from_slice(&action);
                }
                let energies = exact.energies(&means)?;
                let costs: Vec<f64> = plan.iterations.iter().map(|i| i.cost).collect();
                let row = json!({
                    "scene": decision.seed,
                    "goal": decision.goal_name,
                    "planner": name,
                    "repeat": repeat,
                    "horizon": horizon,
                    "still": still,
                    "cost": costs,
                    "energy": &energies[..last],
                    "rolling_seconds": *energy.ends.borrow(),
                    "seconds": seconds,
                    "final_energy": energies[last],
                    "final_cost": plan.cost,
                    "action": plan.actions.first().map(|a| a.to_array()),
                });
                lines += &format!("{row}\n");
            }
        }
        eprintln!("scene {}, {}", decision.seed, decision.goal_name);
    }
    std::fs::write(&args.out, lines).with_context(|| args.out.display().to_string())?;
    Ok(())
}
