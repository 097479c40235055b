#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("metadata_a.json");
    std::fs::write(&path, bytes).expect("written");
    let _ = foresight_datasets::Metadata::read(&path);
});
