//! Fixture 05 end to end: recorded noise, our search, our rollouts; official choices.

use crate::support::{close, of_kind, Fixture};
use candle_core::DType;
use foresight_planner::{
    solve, ActionSequences, CemConfig, Component, Constraints, Energy, EnergyError, Momentum,
    Noise, Pose, SearchMethod, SearchSpace,
};
use foresight_predictor::backend::{Backend, CpuBackend, LatentPredictor};
use foresight_predictor::goal_distance::GoalDistance;
use foresight_predictor::rollout::{Budget, RolloutStart};
use foresight_predictor::{Precision, PredictorConfig};

const BOUND: f32 = 2e-6;

struct Recorded(Vec<f32>);

impl Noise for Recorded {
    fn fill(&mut self, out: &mut [f32]) {
        let rest = self.0.split_off(out.len());
        out.copy_from_slice(&self.0);
        self.0 = rest;
    }
}

struct LastLatent<'a> {
    predictor: &'a dyn LatentPredictor,
    start: RolloutStart<'a>,
    goal: &'a [f32],
}

impl Energy for LastLatent<'_> {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let (budget, depth) = (Budget::default(), self.predictor.config().depth);
        let distance = GoalDistance::plain(self.goal);
        self.predictor
            .energies(&self.start, sequences, depth, &distance, budget)
            .map_err(|e| EnergyError(Box::new(e)))
    }
}

fn cem(fixture: &Fixture) -> (CemConfig, Constraints) {
    let args = &fixture.json["mpc_args"];
    let number = |key: &str, default: f64| args[key].as_f64().unwrap_or(default);
    let config = CemConfig {
        samples: number("samples", 100.0) as usize,
        iterations: number("cem_steps", 100.0) as usize,
        topk: number("topk", 10.0) as usize,
        horizon: number("rollout", 1.0) as usize,
        momentum: Momentum {
            mean: number("momentum_mean", 0.25),
            std: number("momentum_std", 0.95),
        },
        momentum_gripper: Momentum {
            mean: number("momentum_mean_gripper", 0.15),
            std: number("momentum_std_gripper", 0.15),
        },
        space: SearchSpace::translation_and_gripper(number("maxnorm", 0.05)),
        ..CemConfig::notebook()
    };
    let mut constraints = Constraints::default();
    let searched = [Component::X, Component::Y, Component::Z, Component::Gripper];
    for (axis, value) in args["axis"].as_object().into_iter().flatten() {
        let component = searched[axis.parse::<usize>().unwrap()];
        constraints.fixed[component.index()] = Some(value.as_f64().unwrap() as f32);
    }
    constraints.close_gripper_from = fixture.json["close_gripper"].as_u64().map(|s| s as usize);
    (config, constraints)
}

#[test]
fn parity_cem_with_the_network() {
    for fixture in of_kind("05_cem", "cem") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let backend = CpuBackend::new(Precision::F32);
        let predictor = backend.predictor(&config, &weights).unwrap();
        let (context, goal) = (fixture.vec("in.context_rep"), fixture.vec("in.goal_rep"));
        let pose = fixture.vec("in.pose");
        let energy = LastLatent {
            predictor: predictor.as_ref(),
            start: RolloutStart {
                latent: &context,
                pose: Pose::from_array(std::array::from_fn(|i| f64::from(pose[i]))),
                extrinsics: None,
            },
            goal: &goal,
        };
        let (cem, constraints) = cem(&fixture);
        let mut search = cem.begin(&constraints);
        let mut noise = Recorded(fixture.vec("in.noise"));
        let plan = solve(search.as_mut(), &energy, &mut noise).unwrap();
        let label = |what: &str| format!("{} {what}", fixture.path.display());

        let official: Vec<i64> = fixture
            .get("out.topk_indices")
            .to_dtype(DType::I64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let elites: Vec<i64> = plan
            .iterations
            .iter()
            .flat_map(|i| i.elites.iter().map(|e| *e as i64))
            .collect();
        assert_eq!(elites, official, "{}", label("elites"));
        let all = fixture.vec("out.energies");
        let wanted: Vec<f32> = official
            .chunks(cem.topk)
            .zip(all.chunks(cem.samples))
            .flat_map(|(elites, energies)| elites.iter().map(|e| energies[*e as usize]))
            .collect();
        let got: Vec<f32> = plan
            .iterations
            .iter()
            .flat_map(|i| i.elite_energies.clone())
            .collect();
        close(&label("elite energies"), &got, &wanted, BOUND);
        let got: Vec<f32> = plan
            .actions
            .iter()
            .flat_map(|a| a.to_array().map(|v| v as f32))
            .collect();
        close(&label("action"), &got, &fixture.vec("out.action"), BOUND);
    }
}
