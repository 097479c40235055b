//! Unit tests of `src/origin.rs`.

use super::*;
use crate::state::STATE_FILE;

fn origin(changes: &[&str]) -> Origin {
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    Origin {
        program_version: "1".into(),
        inputs: Inputs {
            model: "model".into(),
            model_sha256: "abc".into(),
            data: "data".into(),
            episodes: 9,
            validation: "by name".into(),
            validation_episodes: 1,
        },
        settings: Settings::resolve(None, &changes).unwrap(),
    }
}

#[test]
fn a_path_is_the_same_however_it_was_typed() {
    for (typed, written) in [
        ("data/train/", "data/train"),
        ("./data/./train", "data/train"),
        ("/data/train//", "/data/train"),
        ("../train", "../train"),
        (".", "."),
    ] {
        assert_eq!(plain(Path::new(typed)).to_str(), Some(written));
    }
}

#[test]
fn a_run_goes_on_only_as_itself() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    assert!(!origin(&[]).enter(&folder, false).unwrap());
    // Nothing was saved yet: beginning again, or going on, is the same.
    assert!(!origin(&[]).enter(&folder, true).unwrap());
    std::fs::write(folder.join(STATE_FILE), "").unwrap();
    let error = origin(&[]).enter(&folder, false).unwrap_err().to_string();
    assert!(error.contains("--resume"), "{error}");
    assert!(origin(&["data.workers=7"]).enter(&folder, true).unwrap());
    let other = origin(&["data.fps=5", "optimisation.clip_norm=1.0"]);
    let error = other.enter(&folder, true).unwrap_err().to_string();
    for part in ["fps was 4.0, now 5.0", "clip_norm was unset, now 1.0"] {
        assert!(error.contains(part), "{error}");
    }
    let cut = std::fs::read_to_string(folder.join(FILE)).unwrap();
    std::fs::write(folder.join(FILE), &cut[..cut.len() / 2]).unwrap();
    let error = format!("{:#}", origin(&[]).enter(&folder, true).unwrap_err());
    assert!(error.contains(FILE), "{error}");
    std::fs::remove_file(folder.join(FILE)).unwrap();
    assert!(origin(&[]).enter(&folder, true).is_err());
    // A run of `train` from before it wrote that down goes on all the same.
    let mut trained = origin(&[]);
    trained.settings.predictor = Some(crate::settings::NewPredictor {
        predictor_embed_dim: 8,
        depth: 1,
        num_heads: 1,
        euler_around_rad: None,
        context_steps: None,
        start_at_persistence: false,
        action_space: Default::default(),
    });
    assert!(trained.enter(&folder, false).is_err());
    assert!(trained.enter(&folder, true).unwrap());
    assert!(folder.join(FILE).exists());
    assert!(trained.enter(&folder, true).unwrap());
}
