#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("a.rgb8");
    std::fs::write(&path, bytes).expect("written");
    let _ = foresight_datasets::FrameStack::read(&path);
    let _ = foresight_datasets::FrameStack::read_some(&path, &[0, 3]);
});
