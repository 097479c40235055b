#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("list.csv");
    std::fs::write(&path, bytes).expect("written");
    let _ = foresight_datasets::open(&path);
});
