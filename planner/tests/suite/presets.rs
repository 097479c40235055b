//! Presets are what they were when they were code.

use foresight_planner::{
    Baseline, CemConfig, Component, MppiConfig, PlannerConfig, RefitMethod, SearchSpace, PRESETS,
};
use foresight_settings::Change;
use serde_json::{json, Value};

/// The search of a preset as JSON: counts `[samples, iterations, topk, horizon, keep_elites]`.
fn search(
    [samples, iterations, topk, horizon, keep_elites]: [usize; 5],
    box_m: f64,
    [momentum, momentum_gripper]: [[f64; 2]; 2],
    [population_decay, noise_colour]: [f64; 2],
    mean_is_candidate: bool,
    warm_start: &str,
) -> Value {
    let pair = |[mean, std]: [f64; 2]| json!({"mean": mean, "std": std});
    let axis = |name: &str| json!({"component": name, "std": box_m, "bound": box_m});
    let gripper = json!({"component": "gripper", "std": 1.0, "bound": 0.75});
    let released = !mean_is_candidate;
    json!({
        "samples": samples, "iterations": iterations, "topk": topk, "horizon": horizon,
        "momentum": pair(momentum), "momentum_gripper": pair(momentum_gripper),
        "space": {"dimensions": [axis("x"), axis("y"), axis("z"), gripper]},
        "gripper_deadband": 0.25, "mean_is_candidate": mean_is_candidate,
        "keep_elites": keep_elites, "population_decay": population_decay,
        "noise_colour": noise_colour, "warm_start": warm_start, "execute_best": false,
        // What was added since and is as released, unless a preset says otherwise.
        "objective": if released { json!("last") } else { json!({"all": 0.5}) },
        "within_steps_left": !released,
    })
}

const RELEASED: [[f64; 2]; 2] = [[0.15, 0.15]; 2];

#[test]
fn presets_have_the_numbers_they_always_had() {
    let white = [1.0, 0.0];
    let paper = search([800, 10, 10, 1, 0], 0.075, RELEASED, white, false, "cold");
    let icem = |topk| {
        let counts = [128, 6, topk, 1, 3];
        search(counts, 0.075, RELEASED, [0.8, 2.0], true, "mean")
    };
    let quick = [[0.0, 0.2], [0.0, 0.0]];
    let wanted = [
        ("paper", paper.clone(), "800 × 10, horizon 1"),
        (
            "notebook",
            search([400, 10, 10, 2, 0], 0.05, RELEASED, white, false, "cold"),
            "400 × 10, horizon 2",
        ),
        (
            "fast",
            search([64, 5, 8, 1, 4], 0.075, quick, white, true, "cold"),
            "64 × 5, horizon 1",
        ),
        (
            "hierarchical",
            search([64, 5, 8, 1, 4], 0.075, quick, white, true, "cold"),
            "macro-actions 16 × 1, horizon 6, then 64 × 5, horizon 1",
        ),
        ("icem", icem(10), "128 × 6, horizon 1"),
        ("mppi", icem(64), "128 × 6, horizon 1"),
        ("stand_still", paper.clone(), "standing still"),
        ("random", paper, "random actions"),
    ];
    assert!(PRESETS.names().eq(wanted.iter().map(|(name, ..)| *name)));
    for (name, search, words) in wanted {
        let preset = PlannerConfig::preset(name).expect(name);
        assert_eq!(preset.faults(), [], "{name}");
        assert_eq!(
            (preset.preset.as_str(), preset.describe()),
            (name, words.into())
        );
        assert_eq!(
            serde_json::to_value(preset.cem()).expect("JSON"),
            search,
            "{name}"
        );
        // What was no part of a preset, and had one value for all of them.
        let others = PlannerConfig {
            preset: "paper".into(),
            baseline: None,
            method: RefitMethod::Cem,
            warm_start: None,
            ..preset.clone()
        };
        let others = PlannerConfig {
            temperature: 0.1,
            rotation_rad: 0.15,
            preview_share: None,
            preview_kept: 0.25,
            refine_steps: 0,
            refine_starts: 4,
            refine_step_share: 0.2,
            residual_power: 0.0,
            deadline_s: 120.0,
            warm_start_std: None,
            dimensions: vec![Component::X, Component::Y, Component::Z, Component::Gripper],
            ..others
        };
        let same = PlannerConfig {
            preset: others.preset.clone(),
            baseline: None,
            method: RefitMethod::Cem,
            warm_start: None,
            ..preset
        };
        assert_eq!(same, others, "{name}");
    }
}

#[test]
fn old_keys_go_on_working_without_a_scenario() {
    let change = Change::parse("planner.unresolved_power=2").expect("a change");
    let (planner, hints) = PlannerConfig::changed(&[change]).expect("settings");
    assert_eq!(planner.residual_power, 2.0);
    assert_eq!(hints.len(), 1);
    let table = "preset = \"fast\"\nunresolved_power = 2.0\n";
    let file = PlannerConfig::from_table("planner.toml".as_ref(), table).expect("settings");
    assert_eq!(file, planner);
    // What belongs to the model is no key of such a command.
    let device = Change::parse("planner.device=cuda").expect("a change");
    let error = PlannerConfig::changed(&[device]).expect_err("refused");
    assert!(error.to_string().contains("device"), "{error}");
}

#[test]
fn methods_are_those_of_their_presets() {
    let of = |name: &str| PlannerConfig::preset(name).expect("a preset");
    assert_eq!(of("stand_still").baseline, Some(Baseline::StandStill));
    assert_eq!(of("random").baseline, Some(Baseline::Random));
    assert_eq!(of("icem").method, RefitMethod::Cem);
    assert_eq!(of("mppi").method, RefitMethod::Mppi);
    assert_eq!(MppiConfig::default(), of("mppi").mppi());
    assert_eq!(MppiConfig::default().temperature, 0.1);
    let quick = [CemConfig::fast(), PlannerConfig::default().cem()];
    assert_eq!(quick[0], quick[1]);
    let space = SearchSpace::translation_and_gripper(0.05);
    assert_eq!(CemConfig::notebook().space, space);
}

#[test]
fn every_fault_is_told_with_its_key() {
    type Break = fn(&mut PlannerConfig);
    let changes: [(&str, Break); 23] = [
        ("iterations", |c| c.iterations = 0),
        ("topk", |c| c.topk = 900),
        ("horizon", |c| c.horizon = 65),
        ("box_m", |c| c.box_m = 0.0),
        ("rotation_rad", |c| c.rotation_rad = f64::NAN),
        ("dimensions", |c| c.dimensions.clear()),
        ("gripper_deadband", |c| c.gripper_deadband = -0.1),
        ("momentum_mean", |c| c.momentum_mean = 1.0),
        ("momentum_std", |c| c.momentum_std = -0.1),
        ("momentum_mean_gripper", |c| c.momentum_mean_gripper = 1.0),
        ("momentum_std_gripper", |c| c.momentum_std_gripper = 1.0),
        ("keep_elites", |c| c.keep_elites = 1000),
        ("population_decay", |c| c.population_decay = 0.0),
        ("noise_colour", |c| c.noise_colour = 9.0),
        ("warm_start_std", |c| c.warm_start_std = Some(0.0)),
        ("temperature", |c| c.temperature = 0.0),
        ("preview_share", |c| c.preview_share = Some(1.5)),
        ("preview_kept", |c| c.preview_kept = 0.0),
        ("refine_steps", |c| c.refine_steps = 1001),
        ("residual_power", |c| c.residual_power = 8.5),
        ("deadline_s", |c| c.deadline_s = 0.0),
        ("discount", |c| c.discount = 0.0),
        ("samples", |c| c.samples = 0),
    ];
    let mut all = PlannerConfig::default();
    for (key, change) in changes {
        let mut config = PlannerConfig::default();
        change(&mut config);
        let faults = config.faults();
        assert_eq!(
            faults.first().map(|f| f.path.as_str()),
            Some(key),
            "{faults:?}"
        );
        assert!(!faults[0].remedy.is_empty(), "{faults:?}");
        // With all that came before still wrong.
        change(&mut all);
        assert!(all.faults().iter().any(|f| f.path == key), "{key}");
    }
}
