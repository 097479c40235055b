//! Poses and actions of a DROID episode written by h5py (chunked, resizable) equal the official
//! loader's (`app/vjepa_droid/droid.py`): poses to the last bit, actions within 1e-12.
//!
//! Fixtures come from the folder in `FORESIGHT_FIXTURES`, by default the project's own.

use std::fs;
use std::path::{Path, PathBuf};

use foresight_datasets::{Metadata, Trajectory};
use foresight_planner::Pose;
use safetensors::SafeTensors;

fn fixtures() -> Vec<PathBuf> {
    let root = std::env::var_os("FORESIGHT_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures"),
        PathBuf::from,
    );
    let folder = root.join("11_droid");
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixture in {}", folder.display());
    found
}

fn doubles(tensors: &SafeTensors, name: &str) -> Vec<f64> {
    let tensor = tensors.tensor(name).expect(name);
    tensor
        .data()
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")))
        .collect()
}

#[test]
fn parity_droid_states_and_actions() {
    for json in fixtures() {
        let text = fs::read_to_string(&json).expect("readable");
        let about: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let bytes = fs::read(json.with_extension("safetensors")).expect("readable");
        let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
        let episode = json
            .parent()
            .expect("a folder")
            .join(about["episode_dir"].as_str().expect("episode_dir"));

        let trajectory = Trajectory::read(&episode.join("trajectory.h5")).expect("DROID's file");
        let indices: Vec<usize> = tensors
            .tensor("out.indices")
            .expect("out.indices")
            .data()
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().expect("eight bytes")) as usize)
            .collect();
        let states: Vec<Pose> = indices.iter().map(|i| trajectory.states[*i]).collect();
        let flat: Vec<f64> = states.iter().flat_map(|s| s.to_array()).collect();
        assert_eq!(flat, doubles(&tensors, "out.states_f64"));

        let actions: Vec<f64> = states
            .windows(2)
            .flat_map(|pair| pair[0].action_to(&pair[1]).to_array())
            .collect();
        let expected = doubles(&tensors, "out.actions_f64");
        assert_eq!(actions.len(), expected.len());
        for (ours, official) in actions.iter().zip(&expected) {
            assert!((ours - official).abs() <= 1e-12, "{ours} {official}");
        }

        let metadata = fs::read_dir(&episode)
            .expect("listed")
            .filter_map(Result::ok)
            .find(|e| e.file_name().to_string_lossy().starts_with("metadata_"))
            .expect("metadata");
        let metadata = Metadata::read(&metadata.path()).expect("DROID's metadata");
        assert_eq!(metadata.trajectory_length as usize, trajectory.len());
        assert_eq!(metadata.foresight, None);
    }
}
