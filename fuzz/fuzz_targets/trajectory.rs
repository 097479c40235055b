#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("trajectory.h5");
    std::fs::write(&path, bytes).expect("written");
    if let Ok(read) = foresight_datasets::Trajectory::read(&path) {
        let _ = foresight_datasets::extrinsics::read(&path, "a", None, read.len());
    }
    let _ = foresight_datasets::trajectory::read_commanded(&path, 2);
});
