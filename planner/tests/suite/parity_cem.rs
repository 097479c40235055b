//! The cross-entropy method against the official one, fixture kind 05: recorded noise in, and
//! recorded energies in the network's place, so that only the search is under test.

use std::cell::Cell;

use crate::fixtures::{all, max_abs, Fixture};
use foresight_planner::{
    solve, ActionSequences, CemConfig, Component, Constraints, Energy, EnergyError, Momentum,
    Noise, SearchMethod, SearchSpace,
};

const TOLERANCE: f64 = 2e-6;

struct Recorded {
    values: Vec<f32>,
    at: usize,
}

impl Noise for Recorded {
    fn fill(&mut self, out: &mut [f32]) {
        out.copy_from_slice(&self.values[self.at..self.at + out.len()]);
        self.at += out.len();
    }
}

/// Answers with the recorded energies after checking that it was asked about the recorded
/// candidates.
struct Replay<'a> {
    fixture: &'a Fixture,
    iteration: Cell<usize>,
}

impl Energy for Replay<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let iteration = self.iteration.replace(self.iteration.get() + 1);
        let (shape, official) = self.fixture.tensor("out.action_traj");
        assert_eq!(shape[1..], [sequences.samples(), sequences.horizon(), 7]);
        let size: usize = shape[1..].iter().product();
        let official = &official[iteration * size..][..size];
        let off = max_abs(sequences.values().iter().map(|v| f64::from(*v)), official);
        let name = &self.fixture.name;
        assert!(
            off <= TOLERANCE,
            "{name}: candidates of iteration {iteration} off by {off:e}"
        );
        let energies = self.fixture.f32("out.energies");
        Ok(energies[iteration * shape[1]..][..shape[1]].to_vec())
    }
}

/// `mpc_args` with the defaults of the official `cem`.
fn config(fixture: &Fixture) -> CemConfig {
    CemConfig {
        samples: fixture.arg("samples", 100.0) as usize,
        iterations: fixture.arg("cem_steps", 100.0) as usize,
        topk: fixture.arg("topk", 10.0) as usize,
        horizon: fixture.arg("rollout", 1.0) as usize,
        momentum: Momentum {
            mean: fixture.arg("momentum_mean", 0.25),
            std: fixture.arg("momentum_std", 0.95),
        },
        momentum_gripper: Momentum {
            mean: fixture.arg("momentum_mean_gripper", 0.15),
            std: fixture.arg("momentum_std_gripper", 0.15),
        },
        space: SearchSpace::translation_and_gripper(fixture.arg("maxnorm", 0.05)),
        ..CemConfig::notebook()
    }
}

fn constraints(fixture: &Fixture) -> Constraints {
    let mut constraints = Constraints::default();
    let searched = [Component::X, Component::Y, Component::Z, Component::Gripper];
    if let Some(axes) = fixture.json["mpc_args"]["axis"].as_object() {
        for (axis, value) in axes {
            let axis: usize = axis.parse().expect("an axis number");
            let value = value.as_f64().expect("a number") as f32;
            constraints.fixed[searched[axis].index()] = Some(value);
        }
    }
    let close = fixture.json["close_gripper"].as_u64();
    constraints.close_gripper_from = close.map(|step| step as usize);
    constraints
}

#[test]
fn parity_05_cem_with_recorded_noise_and_energies() {
    for fixture in all("05_cem") {
        let name = &fixture.name;
        let config = config(&fixture);
        assert_eq!(config.faults(), [], "{name}");
        let mut noise = Recorded {
            values: fixture.f32("in.noise"),
            at: 0,
        };
        let energy = Replay {
            fixture: &fixture,
            iteration: Cell::new(0),
        };
        let mut search = config.begin(&constraints(&fixture));
        let plan = solve(search.as_mut(), &energy, &mut noise).expect("a plan");
        assert_eq!(noise.at, noise.values.len(), "{name}: noise left over");
        assert_eq!(plan.evaluations, config.samples * config.iterations);

        let indices = fixture.tensor("out.topk_indices").1;
        let elites = plan
            .iterations
            .iter()
            .flat_map(|i| i.elites.iter().map(|e| *e as f64));
        assert_eq!(max_abs(elites, &indices), 0.0, "{name}: elites differ");

        // The official distribution has the searched components only.
        let searched = [0, 1, 2, 6];
        for (what, ours) in [("out.mean", 0), ("out.std", 1)] {
            let values = plan.iterations.iter().flat_map(|i| {
                let steps = if ours == 0 { &i.mean } else { &i.std };
                steps.iter().flat_map(|a| searched.map(|c| f64::from(a[c])))
            });
            let off = max_abs(values, &fixture.tensor(what).1);
            assert!(off <= TOLERANCE, "{name}: {what} off by {off:e}");
        }
        let actions = plan.actions.iter().flat_map(|a| a.to_array());
        let off = max_abs(actions, &fixture.tensor("out.action").1);
        assert!(off <= TOLERANCE, "{name}: action off by {off:e}");
    }
}
