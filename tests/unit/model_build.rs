//! Unit tests of `src/model/build.rs`.

use super::*;

#[test]
fn the_recipes_here_are_whole() {
    for model in ["tabletop", "two_views"] {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let file = models.join(model).join("build.toml");
        let recipe = super::read(&file).unwrap();
        let beside = file.parent().unwrap();
        let scenario = crate::overrides::read(&beside.join(&recipe.recordings));
        let scenario = scenario.unwrap().scenario;
        assert!(scenario.demonstrations.push > 0.0);
        let encoder: PretrainRecipe = read_recipe(&beside.join(&recipe.encoder), &[]).unwrap();
        encoder.objectives.check().unwrap();
        // As many cameras are recorded as the encoder takes, and their pictures at its size.
        let encoder = encoder.encoder;
        assert_eq!(encoder.views(), 1 + scenario.scene.other_cameras.len());
        assert_eq!(encoder.picture_size(), [recipe.image_px as usize; 2]);
        let predictor = Settings::recipe(&beside.join(&recipe.predictor), &[]).unwrap();
        predictor.check(1).unwrap();
    }
}

#[test]
fn recipes_of_later_stages_are_read_before_anything_is_recorded() {
    let tabletop = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let folder = tempfile::tempdir().unwrap();
    let args = BuildArgs {
        recipe: folder.path().join("build.toml"),
        out: folder.path().join("out"),
    };
    let files = [
        "build.toml",
        "recordings.toml",
        "pretrain.toml",
        "train.toml",
    ];
    for (there, missing) in [(2, "pretrain.toml"), (3, "train.toml")] {
        for name in &files[..there] {
            std::fs::copy(tabletop.join(name), folder.path().join(name)).unwrap();
        }
        let error = run(&args).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
        assert!(!args.out.exists());
    }
}

#[test]
fn impossible_numbers_of_episodes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("build.toml");
    let text = "recordings = \"a\"\nimage_px = 64\nencoder = \"b\"\npredictor = \"c\"\n\
                    [episodes]\nencoder = 5\npredictor = 4\nvalidation = 1\n";
    std::fs::write(&file, text).unwrap();
    let error = super::read(&file).unwrap_err().to_string();
    assert!(error.contains("at least as"), "{error}");
    std::fs::write(&file, text.replace("image_px", "image")).unwrap();
    let error = super::read(&file).unwrap_err().to_string();
    assert!(error.contains("build.toml:2"), "{error}");
}
