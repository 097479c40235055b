//! The bundled scenarios and the schema.

use std::path::{Path, PathBuf};

use foresight_scenarios::reference::markdown;
use foresight_scenarios::schema::json_schema;
use foresight_scenarios::{EpisodeSpec, LoadedScenario, Scenario};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bundled() -> Vec<PathBuf> {
    let names = [
        "reach",
        "grasp",
        "reach_with_object",
        "pick_and_place",
        "pick_and_place_two_objects",
    ];
    names
        .iter()
        .map(|name| folder().join(format!("{name}.toml")))
        .collect()
}

#[test]
fn bundled_scenarios_are_valid_and_named_like_their_files() {
    for file in bundled() {
        let loaded = LoadedScenario::read(&file).expect("a valid scenario");
        let stem = file.file_stem().and_then(|s| s.to_str());
        assert_eq!(Some(loaded.scenario.name.as_str()), stem);
    }
}

#[test]
fn goal_images_differ_from_each_other_and_between_seeds() {
    for file in bundled() {
        let loaded = LoadedScenario::read(&file).expect("a valid scenario");
        let images = EpisodeSpec::new(&loaded, 4)
            .goal_images()
            .expect("goal images");
        assert_eq!(images.len(), loaded.scenario.subgoal.len());
        for pair in images.windows(2) {
            assert_ne!(pair[0], pair[1], "{}", file.display());
        }
        let again = EpisodeSpec::new(&loaded, 4)
            .goal_images()
            .expect("goal images");
        let other = EpisodeSpec::new(&loaded, 5)
            .goal_images()
            .expect("goal images");
        assert_eq!(images, again, "the same seed must give the same goals");
        assert_ne!(images, other, "another seed must give other goals");
    }
}

#[test]
fn the_committed_schema_and_reference_are_the_generated_ones() {
    let schema = folder().join("scenario.schema.json");
    let reference = folder().join("../docs/scenario-reference.md");
    for (file, text) in [(schema, json_schema()), (reference, markdown())] {
        if std::env::var_os("FORESIGHT_UPDATE_SCHEMA").is_some() {
            std::fs::write(&file, &text).expect("written");
        }
        let committed = std::fs::read_to_string(&file).expect("the committed file");
        assert!(
            committed == text,
            "{} is out of date; run: FORESIGHT_UPDATE_SCHEMA=1 cargo test --release -p foresight-scenarios schema",
            file.display()
        );
    }
}

#[test]
fn a_turned_camera_leaves_borders_in_z_alone() {
    let text = r#"
        name = "reach"
        [model]
        dir = "models/tabletop"
        [safety.workspace]
        min_m = [0.35, -0.22, 0.0]
        max_m = [0.65, 0.22, 0.35]
        [[subgoal]]
        name = "there"
        steps = 2
        state = "at_object"
        [success.grasp]
        height_m = 0.03
    "#;
    let mut scenario: Scenario = toml::from_str(text).expect("a scenario");
    let straight = scenario.workspace_bounds();
    assert_eq!(straight.max_m, [0.65, 0.22, 0.35]);
    assert!(straight.min_m[2] > 0.0, "the table has a clearance");
    scenario.robot.action_map_xy = Some([[0.0, -1.0], [1.0, 0.0]]);
    let turned = scenario.workspace_bounds();
    assert_eq!(turned.max_m, [f64::INFINITY, f64::INFINITY, 0.35]);
    assert_eq!(turned.min_m[2], straight.min_m[2]);
}

#[test]
fn every_section_that_is_linked_exists() {
    let page = markdown();
    for link in page.split("](#").skip(1) {
        let name = link.split(')').next().unwrap();
        let heading = page
            .lines()
            .filter_map(|l| l.strip_prefix("## "))
            .any(|h| h.to_lowercase() == name);
        assert!(heading, "{name}");
    }
    assert!(page.contains("| `workspace` |") && page.contains("**required**"));
}
