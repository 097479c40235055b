//! The search on energies whose minimum is known.

use foresight_planner::{
    solve, Action, ActionSequences, CemConfig, Component, Constraints, Energy, EnergyError,
    GradientRefinement, Gradients, MppiConfig, Plan, PlanError, PlannerConfig, RandomActions,
    SearchMethod, SearchSpace, SeededNoise, StandStill, SuccessiveHalving, WarmStart,
};

/// Squared distance of the summed actions to a wanted change.
struct Quadratic([f32; 7]);

impl Energy for Quadratic {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energy = |s| {
            let total = |i: usize| -> f32 {
                (0..sequences.horizon())
                    .map(|h| sequences.action(s, h)[i])
                    .sum()
            };
            (0..7).map(|i| (total(i) - self.0[i]).powi(2)).sum()
        };
        Ok((0..sequences.samples()).map(energy).collect())
    }
}

fn plan(config: &CemConfig, energy: &dyn Energy, seed: u64) -> foresight_planner::Plan {
    let mut search = config.begin(&Constraints::default());
    solve(search.as_mut(), energy, &mut SeededNoise::new(seed, 0)).expect("a plan")
}

#[test]
fn paper_preset_finds_the_minimum() {
    let wanted = [0.05, -0.03, 0.02, 0.0, 0.0, 0.0, 0.6];
    let plan = plan(&CemConfig::paper(), &Quadratic(wanted), 1);
    assert_eq!((plan.actions.len(), plan.evaluations), (1, 8000));
    for (a, w) in plan.actions[0].to_array().iter().zip(wanted) {
        assert!((a - f64::from(w)).abs() < 2e-3, "{:?}", plan.actions[0]);
    }
    let energies: Vec<f32> = plan
        .iterations
        .iter()
        .map(|i| i.elite_energies[0])
        .collect();
    assert!(energies[9] < energies[0] * 0.1, "{energies:?}");
    assert!(plan.iterations.iter().all(|i| i.elite_energies.is_sorted()));
}

#[test]
fn samples_stay_in_the_box_and_small_gripper_changes_are_dropped() {
    let wanted = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1];
    let plan = plan(&CemConfig::paper(), &Quadratic(wanted), 1);
    let action = plan.actions[0];
    assert!(action.translation_m[0] <= 0.075 && action.translation_m[0] > 0.07);
    assert_eq!(action.gripper, 0.0);
}

#[test]
fn all_seven_components_can_be_searched() {
    let wanted = [0.03, 0.01, -0.05, 0.1, -0.15, 0.05, -0.5];
    let config = CemConfig {
        space: SearchSpace::of(&Component::ALL, 0.075, 0.2),
        ..CemConfig::paper()
    };
    let plan = plan(&config, &Quadratic(wanted), 5);
    for (a, w) in plan.actions[0].to_array().iter().zip(wanted) {
        assert!((a - f64::from(w)).abs() < 2e-2, "{:?}", plan.actions[0]);
    }
}

#[test]
fn one_elite_gives_numbers() {
    let config = CemConfig {
        topk: 1,
        samples: 50,
        ..CemConfig::notebook()
    };
    let plan = plan(&config, &Quadratic([0.02; 7]), 2);
    let values = plan
        .iterations
        .iter()
        .flat_map(|i| i.mean.iter().chain(&i.std).flatten());
    assert!(values.copied().all(f32::is_finite));
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
    let energy = Quadratic([0.02, 0.03, 0.04, 0.0, 0.0, 0.0, 0.5]);
    let config = CemConfig::notebook();
    assert_eq!(plan(&config, &energy, 9), plan(&config, &energy, 9));
    assert_ne!(plan(&config, &energy, 9), plan(&config, &energy, 10));
}

#[test]
fn mean_candidates_and_kept_elites_never_lose_the_best() {
    let config = CemConfig {
        samples: 20,
        iterations: 8,
        keep_elites: 5,
        mean_is_candidate: true,
        ..CemConfig::paper()
    };
    let plan = plan(
        &config,
        &Quadratic([0.06, 0.06, 0.06, 0.0, 0.0, 0.0, 0.7]),
        3,
    );
    let best: Vec<f32> = plan
        .iterations
        .iter()
        .map(|i| i.elite_energies[0])
        .collect();
    assert!(best.is_sorted_by(|a, b| a >= b), "{best:?}");
}

#[test]
fn constraints_hold_in_every_candidate() {
    struct Held;
    impl Energy for Held {
        fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
            for s in 0..sequences.samples() {
                assert_eq!(sequences.action(s, 0)[6], -1.0);
                assert_eq!(sequences.action(s, 0)[4], 0.1);
            }
            Ok(vec![0.0; sequences.samples()])
        }
    }
    let mut constraints = Constraints::with_gripper(-1.0);
    constraints.fixed[4] = Some(0.1);
    let mut search = CemConfig::paper().begin(&constraints);
    let plan = solve(search.as_mut(), &Held, &mut SeededNoise::new(0, 0)).expect("a plan");
    assert_eq!(plan.actions[0].gripper, -1.0);
    assert!((plan.actions[0].rotation_rad[1] - 0.1).abs() < 1e-7);
}

#[test]
fn not_a_number_loses_and_only_not_a_number_is_an_error() {
    struct Some(bool);
    impl Energy for Some {
        fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
            let value = |s| {
                if self.0 && s % 2 == 0 {
                    s as f32
                } else {
                    f32::NAN
                }
            };
            Ok((0..sequences.samples()).map(value).collect())
        }
    }
    let result = plan(&CemConfig::paper(), &Some(true), 0);
    assert_eq!(result.iterations[0].elites[..3], [0, 2, 4]);
    let mut search = CemConfig::paper().begin(&Constraints::default());
    let error = solve(search.as_mut(), &Some(false), &mut SeededNoise::new(0, 0));
    assert!(matches!(error, Err(PlanError::NotFinite(800))));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let broken = |change: fn(&mut CemConfig)| {
        let mut config = CemConfig::paper();
        change(&mut config);
        let faults: Vec<String> = config.faults().iter().map(|f| f.to_string()).collect();
        assert!(!faults.is_empty(), "must be refused");
        faults.join("\n")
    };
    assert!(broken(|c| c.topk = 900).contains("topk"));
    assert!(broken(|c| c.samples = 0).contains("samples"));
    assert!(broken(|c| c.momentum.std = 1.0).contains("momentum"));
    assert!(broken(|c| c.space.dimensions.clear()).contains("dimension"));
    assert!(broken(|c| c.space.dimensions.push(c.space.dimensions[0])).contains("twice"));
    assert!(broken(|c| c.space.dimensions[1].bound = f64::NAN).contains("Y"));
    assert_eq!(CemConfig::paper().faults(), []);
    assert_eq!(CemConfig::notebook().faults(), []);
}

#[test]
fn baselines_compute_no_energies() {
    let random = RandomActions {
        space: SearchSpace::translation_and_gripper(0.075),
    };
    let methods: [&dyn SearchMethod; 2] = [&StandStill, &random];
    for (method, moves) in methods.into_iter().zip([false, true]) {
        let mut search = method.begin(&Constraints::with_gripper(0.0));
        let noise = &mut SeededNoise::new(4, 2);
        let plan = solve(search.as_mut(), &Quadratic([0.0; 7]), noise).expect("a plan");
        assert_eq!((plan.evaluations, plan.energy()), (0, None));
        assert_eq!(plan.actions[0].translation_m != [0.0; 3], moves);
        assert_eq!(plan.actions[0].gripper, 0.0);
    }
}

/// The quadratic with its derivatives, and previews that are right up to a constant factor.
struct Smooth(Quadratic);

impl Energy for Smooth {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        self.0.energies(sequences)
    }

    fn previews(&self, sequences: &ActionSequences, _: f64) -> Result<Vec<f32>, EnergyError> {
        let energies = self.0.energies(sequences)?;
        Ok(energies.into_iter().map(|e| 10.0 * e).collect())
    }

    fn gradients(&self, sequences: &ActionSequences) -> Result<Gradients, EnergyError> {
        let mut values = Vec::new();
        for s in 0..sequences.samples() {
            for _ in 0..sequences.horizon() {
                for i in 0..7 {
                    let total: f32 = (0..sequences.horizon())
                        .map(|h| sequences.action(s, h)[i])
                        .sum();
                    values.push(2.0 * (total - self.0 .0[i]));
                }
            }
        }
        Ok(Gradients {
            energies: self.energies(sequences)?,
            values,
        })
    }
}

const WANTED: [f32; 7] = [0.05, -0.03, 0.02, 0.0, 0.0, 0.0, 0.6];

fn decide(method: &dyn SearchMethod, constraints: &Constraints) -> Plan {
    let mut search = method.begin(constraints);
    let energy = Smooth(Quadratic(WANTED));
    solve(search.as_mut(), &energy, &mut SeededNoise::new(3, 0)).expect("a plan")
}

#[test]
fn every_method_finds_the_minimum_with_far_fewer_evaluations() {
    let halved = SuccessiveHalving {
        method: CemConfig::fast(),
        preview_share: 0.25,
        kept_share: 0.25,
    };
    let refined = GradientRefinement {
        method: CemConfig::fast(),
        space: CemConfig::fast().space,
        starts: 3,
        steps: 6,
        step_share: 0.1,
    };
    let mppi = MppiConfig::default();
    let icem = PlannerConfig::preset("icem").expect("a preset").cem();
    let fast = CemConfig::fast();
    let methods: [(&str, &dyn SearchMethod); 5] = [
        ("fast", &fast),
        ("icem", &icem),
        ("mppi", &mppi),
        ("halved", &halved),
        ("refined", &refined),
    ];
    for (name, method) in methods {
        let plan = decide(method, &Constraints::default());
        for (i, (a, w)) in plan.actions[0].to_array().iter().zip(WANTED).enumerate() {
            let close = if i == 6 { 0.1 } else { 0.012 };
            assert!(
                (a - f64::from(w)).abs() < close,
                "{name}: {:?}",
                plan.actions[0]
            );
        }
        assert!(plan.cost < 800.0, "{name}: {}", plan.cost);
        assert_eq!(plan, decide(method, &Constraints::default()), "{name}");
        let held = decide(method, &Constraints::with_gripper(-1.0));
        assert_eq!(held.actions[0].gripper, -1.0, "{name}");
    }
}

#[test]
fn previews_cost_less_and_gradients_more() {
    let halved = SuccessiveHalving {
        method: CemConfig::fast(),
        preview_share: 0.25,
        kept_share: 0.25,
    };
    let plan = decide(&halved, &Constraints::default());
    let fast = decide(&CemConfig::fast(), &Constraints::default());
    assert!(plan.cost < 0.6 * fast.cost, "{} {}", plan.cost, fast.cost);
    let refined = GradientRefinement {
        method: CemConfig::fast(),
        space: CemConfig::fast().space,
        starts: 2,
        steps: 5,
        step_share: 0.1,
    };
    let plan = decide(&refined, &Constraints::default());
    // Five gradients of two sequences, and their last energies.
    assert_eq!(plan.cost, fast.cost + 5.0 * 2.0 * 3.0 + 2.0);
    let reached = |plan: &Plan| {
        let mut actions = ActionSequences::zeros(1, 1);
        let action = plan.actions[0].to_array().map(|v| v as f32);
        actions.action_mut(0, 0).copy_from_slice(&action);
        Quadratic(WANTED).energies(&actions).expect("an energy")[0]
    };
    assert!(reached(&plan) <= reached(&fast));
}

#[test]
fn a_warm_start_begins_where_the_last_plan_led() {
    let config = CemConfig {
        iterations: 1,
        mean_is_candidate: true,
        warm_start: WarmStart::Narrow(0.01),
        ..CemConfig::fast()
    };
    let ahead = [Action::from_array(WANTED.map(f64::from))];
    let energy = Smooth(Quadratic(WANTED));
    let decide = |ahead: &[Action]| {
        let mut search = config.resume(&Constraints::with_gripper(0.6), ahead);
        solve(search.as_mut(), &energy, &mut SeededNoise::new(3, 0)).expect("a plan")
    };
    let (warm, cold) = (decide(&ahead).energy(), decide(&[]).energy());
    assert!(warm < Some(1e-6) && cold > Some(1e-6), "{warm:?} {cold:?}");
}

#[test]
fn energies_without_gradients_say_so() {
    let refined = GradientRefinement {
        method: CemConfig::fast(),
        space: CemConfig::fast().space,
        starts: 1,
        steps: 1,
        step_share: 0.1,
    };
    let mut search = refined.begin(&Constraints::default());
    let energy = Quadratic(WANTED);
    let error = solve(search.as_mut(), &energy, &mut SeededNoise::new(0, 0));
    assert!(error
        .expect_err("no gradients")
        .to_string()
        .contains("gradients"));
}
