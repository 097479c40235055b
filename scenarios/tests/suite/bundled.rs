//! The bundled scenarios and the schema.

use std::path::{Path, PathBuf};

use foresight_scenarios::schema::json_schema;
use foresight_scenarios::{EpisodeSpec, LoadedScenario};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bundled() -> Vec<PathBuf> {
    let names = ["reach", "grasp", "reach_with_object", "pick_and_place"];
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
fn the_committed_schema_is_the_generated_one() {
    let file = folder().join("scenario.schema.json");
    if std::env::var_os("FORESIGHT_UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, json_schema()).expect("the schema is written");
    }
    let committed = std::fs::read_to_string(&file).expect("the committed schema");
    assert!(
        committed == json_schema(),
        "{} is out of date; run: FORESIGHT_UPDATE_SCHEMA=1 cargo test --release -p foresight-scenarios schema",
        file.display()
    );
}
