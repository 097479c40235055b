//! Unit tests of `src/array_file.rs`.

use super::*;
use crate::npz::{ArrayValues, Npz};

fn written(path: &Path, fail: bool) -> Result<(), CheckpointError> {
    let plan = |name: &str, dtype, shape: &[usize]| Planned {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
    };
    let arrays = [
        plan("features", DType::F32, &[2, 3]),
        plan("source", DType::I64, &[2]),
    ];
    write(path, &arrays, "{\"a\": 1}", |array, to| {
        if fail {
            return Err(CheckpointError::damaged(Path::new("film"), "no frame"));
        }
        let bytes: Vec<u8> = match array.dtype {
            DType::F32 => (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect(),
            _ => [7i64, -8].iter().flat_map(|i| i.to_le_bytes()).collect(),
        };
        to.write_all(&bytes)
            .map_err(CheckpointError::io(path, "writing"))
    })
}

#[test]
fn comes_back_from_either_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.npz");
    written(&path, false).unwrap();
    let mut npz = Npz::open(&path).unwrap();
    let features = npz.array("features").unwrap();
    assert_eq!(features.shape, [2, 3]);
    let values = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(features.values, ArrayValues::F32(values.clone()));
    assert_eq!(
        npz.array("source").unwrap().values,
        ArrayValues::I64(vec![7, -8])
    );
    let about = npz.array(ABOUT).unwrap().values;
    assert_eq!(about, ArrayValues::U8(b"{\"a\": 1}".to_vec()));

    let path = folder.path().join("features.safetensors");
    written(&path, false).unwrap();
    let (entries, metadata) = safetensors_file::open(&path, 0).unwrap();
    assert_eq!(metadata[ABOUT], "{\"a\": 1}");
    assert_eq!(entries["features"].shape, [2, 3]);
    let mut read = [0.0; 6];
    entries["features"].read_into(&path, &mut read).unwrap();
    assert_eq!(read[..], values[..]);
    assert_eq!(entries["source"].dtype, DType::I64);
}

#[test]
fn failures_are_told_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.npz", "a.safetensors"] {
        let path = folder.path().join(name);
        let error = written(&path, true).unwrap_err().to_string();
        assert!(error.contains("film"), "{error}");
        assert!(!path.exists());
    }
    let error = written(&folder.path().join("a.csv"), false).unwrap_err();
    assert!(error.to_string().contains(".npz"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
