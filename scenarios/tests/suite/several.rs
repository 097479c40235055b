//! Scenes with several objects: which one a goal is about, and what becomes of a wrong one.

use std::path::Path;

use foresight_planner::Pose;
use foresight_scenarios::success::{FailureKind, SuccessDetector};
use foresight_scenarios::{EpisodeSpec, LoadedScenario};
use foresight_sim::{GoalState, Simulator};

const FILE: &str = "pick_and_place_two_objects.toml";

fn text() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    std::fs::read_to_string(file).expect("a scenario")
}

fn parse(text: &str) -> LoadedScenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    LoadedScenario::parse(text, &file).expect("a valid scenario")
}

/// The scenario with every sub-goal about another object and disc.
fn about(object: u32, target: u32) -> LoadedScenario {
    let named = format!("gripper = \"hold\"\nobject = {object}\ntarget = {target}");
    let text = text().replace("gripper = \"hold\"", &named);
    let named = |rule: &str| format!("gripper = \"{rule}\"\nobject = {object}\ntarget = {target}");
    let text = text.replace("gripper = \"close\"", &named("close"));
    parse(&text.replace("gripper = \"open\"", &named("open")))
}

/// What an episode that ends like this is judged.
fn judged(spec: &EpisodeSpec, end: &GoalState) -> (Option<bool>, Option<FailureKind>, String) {
    let scenario = &spec.loaded.scenario;
    let mut simulator = Simulator::new(spec.scene.as_ref().unwrap()).unwrap();
    let goal = spec.goal_states.last().cloned().flatten();
    let start = simulator.truth();
    let mut judge = SuccessDetector::new(scenario.success.unwrap(), goal, Some(&start));
    let mut carried = start;
    (carried.held, carried.lifted) = (true, true);
    judge.follow(
        &Pose::from_array([0.5, 0.0, 0.1, 3.1, 0.0, 0.0, 0.4]),
        &carried,
    );
    simulator.set_goal_state(end).unwrap();
    simulator.advance(1.0);
    let (hand, truth) = (simulator.pose(), simulator.truth());
    judge.follow(&hand, &truth);
    let verdict = judge.verdict(&hand, &truth);
    (verdict.success, verdict.failure, verdict.reason)
}

#[test]
fn goals_are_about_the_object_and_the_disc_they_name() {
    let (first, second) = (parse(&text()), about(1, 1));
    for seed in [4, 5] {
        let (first, second) = (
            EpisodeSpec::new(&first, seed),
            EpisodeSpec::new(&second, seed),
        );
        let (one, two) = (
            first.scene.as_ref().unwrap(),
            second.scene.as_ref().unwrap(),
        );
        assert_eq!(two.object, one.others[0]);
        assert_eq!(two.others[0], one.object);
        assert_eq!(two.target, one.other_targets[0]);
        let hover = |spec: &EpisodeSpec| spec.goal_states[0].as_ref().unwrap().arm.position_m;
        assert_eq!(hover(&first)[..2], one.object.position_m);
        assert_eq!(hover(&second)[..2], one.others[0].position_m);
        let (a, b) = (first.goal_images().unwrap(), second.goal_images().unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| a != b));
        // Both begin with the same picture: nothing but the goal says which object is meant.
        let begins = |spec: &EpisodeSpec| {
            Simulator::new(spec.scene.as_ref().unwrap())
                .unwrap()
                .render(64, 64)
        };
        assert_eq!(begins(&first), begins(&second));
    }
}

#[test]
fn placing_the_named_object_achieves_it_and_placing_another_is_told() {
    for (object, target) in [(0, 0), (1, 0), (1, 1)] {
        let loaded = about(object, target);
        let other = about(1 - object, target);
        for seed in [4, 5, 6] {
            let spec = EpisodeSpec::new(&loaded, seed);
            let placed = spec.goal_states.last().cloned().flatten().unwrap();
            let (success, failure, reason) = judged(&spec, &placed);
            assert_eq!(
                (success, failure),
                (Some(true), None),
                "seed {seed}: {reason}"
            );
            // The same with the other object, in this episode's order of objects.
            let wrong = EpisodeSpec::new(&other, seed);
            let wrong = wrong.goal_states.last().cloned().flatten().unwrap();
            let end = GoalState {
                object: None,
                others: vec![wrong.object],
                ..wrong
            };
            let (success, failure, reason) = judged(&spec, &end);
            assert_eq!(success, Some(false));
            assert_eq!(
                failure,
                Some(FailureKind::WrongObject),
                "seed {seed}: {reason}"
            );
            let name = spec.scene.as_ref().unwrap().others[0].name();
            assert!(reason.contains(&name), "{reason}");
        }
    }
}

#[test]
fn a_later_goal_shows_where_an_earlier_one_put_its_object() {
    let goals = r#"
        [[subgoal]]
        name = "one"
        steps = 2
        state = "placed"
        [[subgoal]]
        name = "two"
        steps = 2
        state = "above_object"
        object = 1
    "#;
    let whole = text();
    let (head, tail) = whole.split_once("[[subgoal]]").unwrap();
    let (_, tail) = tail.split_once("[success.place]").unwrap();
    let loaded = parse(&format!("{head}{goals}\n[success.place]{tail}"));
    let spec = EpisodeSpec::new(&loaded, 4);
    let scene = spec.scene.as_ref().unwrap();
    let states: Vec<&GoalState> = spec.goal_states.iter().flatten().collect();
    // The task is about the last goal's object, so the first goal moves one of the others.
    assert_eq!(states[0].object, None);
    let [x, y, _] = states[0].others[0].unwrap().position_m;
    assert_eq!([x, y], scene.target.position_m);
    assert_eq!(states[1].arm.position_m[..2], scene.object.position_m);
    assert_eq!(states[1].others[0], states[0].others[0]);
    assert_eq!(spec.goal_images().unwrap().len(), 2);
}

#[test]
fn an_object_that_not_every_scene_has_is_refused() {
    let file = Path::new("dir/test.toml");
    for (line, words) in [
        ("object = 2", ["about object 2", "scene.objects.count"]),
        ("target = 2", ["about target 2", "scene.targets.count"]),
    ] {
        let text = text().replacen(
            "gripper = \"hold\"",
            &format!("gripper = \"hold\"\n{line}"),
            1,
        );
        let at = text.lines().position(|l| l == line).unwrap() + 1;
        let said = LoadedScenario::parse(&text, file).unwrap_err().to_string();
        assert!(said.contains(&format!("test.toml:{at}")), "{said}");
        assert!(words.iter().all(|w| said.contains(w)), "{said}");
    }
    let text = text().replace("count = [2, 3]", "count = [2, 9]");
    let said = LoadedScenario::parse(&text, file).unwrap_err().to_string();
    assert!(
        said.contains("objects.count") && said.contains("1..=6"),
        "{said}"
    );
    let text = self::text().replace("\"green\", \"white\"", "\"green\", \"mauve\"");
    let said = LoadedScenario::parse(&text, file).unwrap_err().to_string();
    assert!(said.contains("mauve"), "{said}");
}
