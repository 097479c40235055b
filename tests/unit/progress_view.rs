//! Unit tests of `src/progress_view.rs`.

use super::*;
use foresight_runs::trace;

/// Steps of a short run of the oracle.
fn episode() -> EpisodeProgress {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/reach.toml");
    let mut loaded = LoadedScenario::read(file.as_ref()).unwrap();
    loaded.scenario.planner.samples = 20;
    loaded.scenario.planner.iterations = 3;
    let out = tempfile::tempdir().unwrap();
    let options = foresight_report::RunOptions {
        seed: 900_001,
        out: out.path().to_owned(),
        virtual_time: true,
    };
    let mut nobody = foresight_scenarios::episode::Unwatched;
    let source = foresight_scenarios::ModelSource::Oracle;
    let run = foresight_report::run(&loaded, &source, &options, &mut nobody).unwrap();
    let goals = loaded.scenario.subgoal.iter();
    EpisodeProgress {
        goals: goals.map(|g| (g.name.clone(), g.steps)).collect(),
        thinking: None,
        steps: trace::read(&run.run_dir.join("plan.jsonl")).unwrap(),
    }
}

#[test]
fn the_block_shows_everything_and_fits() {
    let mut episode = episode();
    for columns in [200, 80, 40] {
        let block = episode.block(columns, 10);
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(lines.len(), 6, "{block}");
        assert!(lines.iter().all(|l| l.chars().count() < columns), "{block}");
    }
    let block = episode.block(100, 10);
    for word in ["8/8", "distance", "energy", "gripper", "at rest", "plan"] {
        assert!(block.contains(word), "{word}: {block}");
    }
    episode.thinking = Some((0, 3));
    let back = episode.block(100, 10);
    assert!(back.contains("reach 4/8  looking and planning"));
    // A run that went back has five of the sub-goal's eight steps left.
    assert!(back.contains("8/13"), "{back}");
    assert!(episode.line().starts_with("step   8  reach 8/8  distance"));
    let last = episode.steps.last_mut().unwrap();
    last.pose = [0.5, 0.1, 0.2, 3.1, 0.0, 0.0, 0.0];
    last.plan.macro_actions = vec![
        [0.1, 0.0, -0.18, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ];
    let block = episode.block(100, 10);
    assert!(
        block.contains("waypoints 60 10 2 cm → 60 10 2 cm closes"),
        "{block}"
    );
    episode.steps.clear();
    assert_eq!(episode.block(80, 10).lines().count(), 1);
}

#[test]
fn bars_take_any_number() {
    assert_eq!(sparkline(&[1.0, 2.0, 3.0]), "▁▅█");
    assert_eq!(sparkline(&[2.0, 2.0]), "▁▁");
    assert_eq!(sparkline(&[]), "");
    assert_eq!(sparkline(&[f32::NAN, 1.0]).chars().count(), 2);
    assert_eq!(gauge(7.0, 4), "▕████▏");
    assert_eq!(gauge(f64::NAN, 4).chars().count(), 6);
}
