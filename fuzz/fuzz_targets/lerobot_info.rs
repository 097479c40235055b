#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(folder.path().join("meta")).expect("made");
    std::fs::write(folder.path().join("meta/info.json"), bytes).expect("written");
    let _ = foresight_datasets::lerobot::store::LeRobotStore::open(folder.path());
});
