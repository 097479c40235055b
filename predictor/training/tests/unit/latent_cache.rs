//! Unit tests of `src/latent_cache.rs`.

use super::*;
use foresight_predictor::checkpoint::preset;

fn open(root: &Path, sha: &str, storage: LatentStorage) -> LatentCache {
    let encoder = preset("tiny").unwrap().encoder;
    let transform = FrameTransform::AsRecorded(encoder.img_size);
    LatentCache::open(root, &encoder, sha, &transform, storage).unwrap()
}

#[test]
fn comes_back_as_stored_and_only_to_its_own_key() {
    let root = tempfile::tempdir().unwrap();
    for storage in [LatentStorage::F16, LatentStorage::F32] {
        let cache = open(root.path(), "a", storage);
        let frame = cache.frame;
        let mut latents: Vec<f32> = (0..3 * frame).map(|i| (i as f32 * 0.37).sin()).collect();
        assert!(cache.get("episode 1", &[0]).unwrap().is_none());
        cache.put("episode 1", &latents).unwrap();
        storage.round(&mut latents);
        let got = cache.get("episode 1", &[2, 0]).unwrap().unwrap();
        assert_eq!(got[..frame], latents[2 * frame..]);
        assert_eq!(got[frame..], latents[..frame]);
        assert!(cache.get("episode 2", &[0]).unwrap().is_none());
        assert!(open(root.path(), "b", storage)
            .get("episode 1", &[0])
            .unwrap()
            .is_none());
        let error = cache.get("episode 1", &[3]).unwrap_err().to_string();
        assert!(error.contains("no frame 3"), "{error}");
    }
}

#[test]
fn damaged_files_are_named() {
    let root = tempfile::tempdir().unwrap();
    let cache = open(root.path(), "a", LatentStorage::F16);
    let frame = cache.frame;
    cache.put("episode", &vec![0.5; 2 * frame]).unwrap();
    let path = cache.path("episode");
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 7, 30, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = open(root.path(), "a", LatentStorage::F16)
            .get("episode", &[1])
            .unwrap_err()
            .to_string();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(error.contains(&name), "{error}");
    }
    // A file under another's name.
    cache.put("other", &vec![0.5; frame]).unwrap();
    std::fs::copy(cache.path("other"), &path).unwrap();
    let error = open(root.path(), "a", LatentStorage::F16).get("episode", &[0]);
    assert!(error.unwrap_err().to_string().contains("not of episode"));
}
