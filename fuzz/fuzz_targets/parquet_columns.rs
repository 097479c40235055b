#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).expect("written");
    if let Ok(columns) = foresight_datasets::lerobot::columns::Columns::open(&path) {
        let rows = 0..columns.rows().min(64);
        let _ = columns.numbers("a", 6, rows.clone());
        let _ = columns.texts("tasks", rows);
    }
});
