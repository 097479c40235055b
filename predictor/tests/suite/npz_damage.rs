//! Damaged `.npz` files are refused by name; none panics.

use crate::mutate;
use std::io::Write;

use foresight_predictor::npz::Trajectory;

fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn archive() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let states: Vec<u8> = (0..14).flat_map(|i| f64::from(i).to_le_bytes()).collect();
    let arrays = [
        ("observations.npy", npy("|u1", "(1, 2, 4, 4, 3)", &[7; 96])),
        ("states.npy", npy("<f8", "(1, 2, 7)", &states)),
    ];
    for (name, bytes) in arrays {
        zip.start_file(name, options).expect("started");
        zip.write_all(&bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

#[test]
fn damaged_archives_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("example.npz");
    let whole = archive();
    std::fs::write(&path, &whole).expect("written");
    let read = Trajectory::read(&path).expect("the good archive");
    assert_eq!((read.frames.len(), read.states.len()), (2, 2));
    let mut refused = 0;
    mutate::each(&whole, 7, |n, bytes| {
        std::fs::write(&path, bytes).expect("written");
        if let Err(error) = Trajectory::read(&path) {
            refused += 1;
            assert!(error.to_string().contains("example.npz"), "{n}: {error}");
        }
    });
    assert!(refused > 100, "{refused}");
}
