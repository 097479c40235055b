//! Energy reached against evaluations and seconds: the study behind docs/planning.md.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use foresight_planner::{solve, ActionSequences, Energy, PlannerConfig, SeededNoise};
use foresight_predictor::WorldModel;
use serde_json::{json, Value};

use crate::decisions::Decision;
use crate::timed::Timed;

/// The planners of the study: names, and tables as a scenario's `[planner]`.
const PLANNERS: [(&str, &str); 6] = [
    ("paper", "preset = \"paper\""),
    ("fast", "preset = \"fast\""),
    ("icem", "preset = \"icem\""),
    ("mppi", "preset = \"mppi\""),
    ("fast + halving", "preset = \"fast\"\npreview_share = 0.25"),
    (
        "fast + gradient",
        "preset = \"fast\"\niterations = 2\nrefine_steps = 6",
    ),
];

/// The planners of the study, by name.
///
/// # Errors
/// None that could happen.
pub fn built_in() -> Result<Vec<(String, PlannerConfig)>> {
    let read = |(name, table): (&str, &str)| {
        let planner = PlannerConfig::from_table(Path::new(name), table)?;
        Ok((name.to_owned(), planner))
    };
    PLANNERS.into_iter().map(read).collect()
}

/// Searches `repeats` times with each of `planners` at each of `decisions`, on energies of `model`;
/// one row each, whose energies are those of `exact`. `done` is told of every decision.
///
/// # Errors
/// When a search or a device fails.
pub fn study(
    [exact, model]: [&WorldModel; 2],
    planners: &[(String, PlannerConfig)],
    decisions: &[Decision],
    repeats: u64,
    done: &mut dyn FnMut(&Decision),
) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for decision in decisions {
        let (context, goal) = (&decision.context, &decision.goal);
        let energy_of =
            |m| WorldModel::energy(m, context, &decision.pose, goal, WorldModel::budget(m));
        let exact = energy_of(exact);
        let still = exact.energies(&ActionSequences::zeros(1, 1))?[0];
        for (name, options) in planners {
            let method = options.method();
            for repeat in 0..repeats {
                let energy = Timed::new(energy_of(model));
                let started = Instant::now();
                let mut search = method.begin(&decision.constraints);
                let mut noise = SeededNoise::new(decision.seed, repeat);
                let plan = solve(search.as_mut(), &energy, &mut noise)?;
                let seconds = started.elapsed().as_secs_f64();
                // What would have been executed had the search ended after each iteration.
                let horizon = options.horizon.max(1);
                let mut means = ActionSequences::zeros(plan.iterations.len() + 1, horizon);
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
                rows.push(json!({
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
                }));
            }
        }
        done(decision);
    }
    Ok(rows)
}
