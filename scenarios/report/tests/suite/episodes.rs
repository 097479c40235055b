//! Whole episodes in virtual time, imagined by the oracle: everything but the networks.

use std::path::Path;

use foresight_planner::PlannerConfig;
use foresight_report::{run, RunOptions};
use foresight_scenarios::env::Env;
use foresight_scenarios::episode::{EpisodeStep, Observer};
use foresight_scenarios::{
    evaluate, EpisodeSpec, EvaluationOptions, LoadedScenario, ModelSource, RunError, Variation,
};

fn bundled(name: &str) -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{name}.toml"));
    let mut loaded = LoadedScenario::read(&file).expect("a valid scenario");
    loaded.scenario.planner.samples = 200;
    loaded.scenario.planner.iterations = 6;
    loaded
}

fn options(episodes: u64, jobs: usize) -> EvaluationOptions {
    EvaluationOptions {
        episodes,
        seed: 100,
        jobs,
        variation: Variation::Plain,
    }
}

#[test]
fn the_oracle_achieves_every_episode_of_the_bundled_tasks() {
    const EPISODES: u64 = 16;
    for name in ["reach", "reach_with_object", "grasp", "pick_and_place"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{name}.toml"));
        // As the model card has it, with the scenario's own search.
        let loaded = LoadedScenario::read(&file).expect("a valid scenario");
        let options = EvaluationOptions {
            seed: 3000,
            ..options(EPISODES, 2)
        };
        let evaluation =
            evaluate(&loaded, &ModelSource::Oracle, &options, |_| {}).expect("an evaluation");
        assert_eq!(evaluation.successes, EPISODES, "{name}: {evaluation:#?}");
        assert_eq!(evaluation.refused_targets, 0, "{name}");
    }
}

#[test]
fn every_failure_has_a_kind() {
    let mut loaded = bundled("grasp");
    // Too few candidates to find anything.
    loaded.scenario.planner.samples = 4;
    loaded.scenario.planner.iterations = 1;
    loaded.scenario.planner.topk = 2;
    let evaluation =
        evaluate(&loaded, &ModelSource::Oracle, &options(4, 2), |_| {}).expect("an evaluation");
    let failures: u64 = evaluation.failures.values().sum();
    assert!(failures > 0, "{evaluation:#?}");
    assert_eq!(failures, 4 - evaluation.successes, "{evaluation:#?}");
}

#[test]
fn standing_still_and_random_actions_don_t() {
    for preset in ["stand_still", "random"] {
        for name in ["grasp", "pick_and_place"] {
            let mut loaded = bundled(name);
            loaded.scenario.planner = PlannerConfig::preset(preset).expect(preset);
            let evaluation = evaluate(&loaded, &ModelSource::Oracle, &options(4, 2), |_| {})
                .expect("an evaluation");
            assert_eq!(evaluation.successes, 0, "{name} {preset}: {evaluation:#?}");
        }
    }
}

#[test]
fn the_number_of_jobs_changes_nothing_but_time() {
    let loaded = bundled("grasp");
    let play = |jobs| {
        let mut e = evaluate(&loaded, &ModelSource::Oracle, &options(3, jobs), |_| {})
            .expect("an evaluation");
        e.seconds_per_action = 0.0;
        e.runs.iter_mut().for_each(|r| r.seconds_per_action = 0.0);
        e
    };
    assert_eq!(play(1), play(3));
}

#[test]
fn only_evaluation_seeds_are_evaluated() {
    let options = EvaluationOptions {
        episodes: 2,
        seed: 999_999,
        jobs: 1,
        variation: Variation::Plain,
    };
    let error = evaluate(&bundled("reach"), &ModelSource::Oracle, &options, |_| {});
    assert!(matches!(error, Err(RunError::Input(_))), "{error:?}");
}

#[test]
fn displaced_objects_move_after_the_goal_images_were_taken() {
    let plain = EpisodeSpec::new(&bundled("grasp"), 7);
    let mut loaded = bundled("grasp");
    Variation::Displaced2Cm.apply(&mut loaded.scenario);
    let displaced = EpisodeSpec::new(&loaded, 7);
    let images = |i: &EpisodeSpec| i.goal_images().expect("goal images");
    assert_eq!(images(&plain), images(&displaced));
    let at = |i: &EpisodeSpec| i.scene.as_ref().expect("a scene").object.position_m;
    let moved = (at(&plain)[0] - at(&displaced)[0]).hypot(at(&plain)[1] - at(&displaced)[1]);
    assert!((moved - 0.02).abs() < 1e-9, "{moved}");
}

#[test]
fn parked_hands_leave_only_the_object_to_tell_goals_apart() {
    let plain = EpisodeSpec::new(&bundled("pick_and_place"), 7);
    let mut loaded = bundled("pick_and_place");
    Variation::SameArmGoal.apply(&mut loaded.scenario);
    let parked = EpisodeSpec::new(&loaded, 7);
    assert_eq!(parked.goal_states.len(), plain.goal_states.len());
    for (parked, plain) in parked.goal_states.iter().zip(&plain.goal_states) {
        let (parked, plain) = (
            parked.as_ref().expect("posed"),
            plain.as_ref().expect("posed"),
        );
        assert_eq!(parked.arm.position_m, [0.50, 0.0, 0.26]);
        assert_eq!(parked.arm.gripper, 0.0);
        assert_eq!(parked.object, plain.object);
        assert!(!parked.grasping);
    }
    parked.goal_images().expect("every state can be posed");
}

#[test]
fn a_push_starts_beside_the_object_and_its_goal_moves_only_the_object() {
    let loaded = bundled("push");
    for seed in 0..20 {
        let instance = EpisodeSpec::new(&loaded, seed);
        let env = Env::in_virtual_time(&instance).expect("a env");
        let truth = env.truth().expect("a simulator");
        let goal = instance.goal_states[0].as_ref().expect("a goal state");
        let object = goal.object.expect("a moved object").position_m;
        let [x, y, _] = truth.object_position_m;
        let to_go = (object[0] - x).hypot(object[1] - y);
        assert!((0.045..0.085).contains(&to_go), "seed {seed}: {to_go}");
        assert!(!truth.touching_gripper, "seed {seed}");
        let Env::Virtual(arm) = &env else {
            panic!("not in virtual time");
        };
        let hand = arm.simulator().arm().tcp.translation.vector;
        for axis in 0..3 {
            let off = (hand[axis] - goal.arm.position_m[axis]).abs();
            assert!(off < 2e-3, "seed {seed}: the hand is off by {off} m");
        }
    }
}

/// Keeps what must hold in every step.
#[derive(Default)]
struct Checks {
    steps: u32,
}

impl Observer for Checks {
    fn step(&mut self, step: &EpisodeStep<'_>) {
        self.steps += 1;
        let execution = &step.execution.execution;
        assert!(
            step.observation.settled,
            "planned from a frame of a moving arm"
        );
        assert_eq!(execution.refused, 0);
        let [x, y, z] = execution.reached_pose.position_m;
        assert!(
            (0.34..0.66).contains(&x) && (-0.23..0.23).contains(&y),
            "{x} {y}"
        );
        assert!((0.008..0.36).contains(&z), "{z}");
    }
}

fn play(loaded: &LoadedScenario, seed: u64, out: &Path) -> foresight_runs::record::RunResult {
    let options = RunOptions {
        seed,
        out: out.to_owned(),
        virtual_time: true,
    };
    let mut checks = Checks::default();
    let result = run(loaded, &ModelSource::Oracle, &options, &mut checks).expect("a run");
    assert_eq!(checks.steps, result.steps);
    result
}

fn lines(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("plan.jsonl")).expect("plan.jsonl");
    text.lines()
        .map(|l| serde_json::from_str(l).expect("a JSON line"))
        .collect()
}

#[test]
fn a_run_folder_tells_the_whole_story_and_can_be_repeated() {
    let out = tempfile::tempdir().expect("a folder");
    let loaded = bundled("pick_and_place");
    let result = play(&loaded, 2, out.path());
    assert_eq!((result.steps, result.subgoals_reached), (23, 6));
    let plan = lines(&result.run_dir);
    assert_eq!(plan.len(), 23);
    assert_eq!(
        plan[0]["plan"]["iterations"].as_array().map(Vec::len),
        Some(6)
    );
    assert_eq!(plan[22]["subgoal"], "release");
    for (i, _) in plan.iter().enumerate() {
        let frame = result.run_dir.join(format!("frames/{i:04}.png"));
        let frame = image::open(&frame).expect("a frame");
        assert_eq!((frame.width(), frame.height()), (64, 64));
    }
    assert!(result.run_dir.join("goals/0-hover.png").is_file());
    let gif = std::fs::read(result.run_dir.join("episode.gif")).expect("the animation");
    assert!(gif.starts_with(b"GIF89a"));
    let text = std::fs::read_to_string(result.run_dir.join("result.json")).expect("result.json");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["result"]["seed"], 2);

    let resolved = result.run_dir.join("scenario.resolved.toml");
    let again = LoadedScenario::read(&resolved).expect("the resolved scenario is a scenario");
    assert_eq!(again.scenario.seed, 2);
    let repeated = play(&again, again.scenario.seed, out.path());
    assert_ne!(repeated.run_dir, result.run_dir);
    let actions = |plan: &[serde_json::Value]| -> Vec<serde_json::Value> {
        plan.iter()
            .flat_map(|l| [l["action"].clone(), l["reached_pose"].clone()])
            .collect()
    };
    assert_eq!(actions(&plan), actions(&lines(&repeated.run_dir)));
}

#[test]
fn goal_images_may_be_files_but_not_for_the_oracle() {
    let out = tempfile::tempdir().expect("a folder");
    let first = play(&bundled("grasp"), 3, out.path());
    let mut loaded = bundled("grasp");
    for (i, goal) in loaded.scenario.subgoal.iter_mut().enumerate() {
        let image = first.run_dir.join(format!("goals/{i}-{}.png", goal.name));
        assert!(image.is_file());
        (goal.state, goal.image) = (None, Some(image));
    }
    let images = foresight_scenarios::EpisodeSpec::new(&loaded, 3)
        .goal_images()
        .expect("images");
    let rendered = foresight_scenarios::EpisodeSpec::new(&bundled("grasp"), 3).goal_images();
    assert_eq!(images, rendered.expect("images"));
    let error = evaluate(&loaded, &ModelSource::Oracle, &options(1, 1), |_| {});
    assert!(matches!(error, Err(RunError::Input(_))), "{error:?}");
}

#[test]
fn an_episode_in_hand_starts_with_the_object_held() {
    let instance = foresight_scenarios::EpisodeSpec::new(&bundled("reach_with_object"), 8);
    let env = Env::in_virtual_time(&instance).expect("a env");
    let truth = env.truth().expect("the truth");
    assert!(truth.held && truth.lifted, "{truth:?}");
}
