#![no_main]

use foresight_predictor::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("temporary folder");
    for name in ["a.pt", "a.safetensors"] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let Ok(checkpoint) = Checkpoint::open(&path) else {
            continue;
        };
        let Ok(architecture) = checkpoint.architecture() else {
            continue;
        };
        for part in checkpoint.parts() {
            let _ = checkpoint.tensors(part, &architecture.layout(part));
        }
    }
});
