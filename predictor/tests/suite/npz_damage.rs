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

fn archive(states: &[f64; 14], shade: u8) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let states: Vec<u8> = states.iter().flat_map(|v| v.to_le_bytes()).collect();
    let arrays = [
        (
            "observations.npy",
            npy("|u1", "(1, 2, 4, 4, 3)", &[shade; 96]),
        ),
        ("states.npy", npy("<f8", "(1, 2, 7)", &states)),
    ];
    for (name, bytes) in arrays {
        zip.start_file(name, options).expect("started");
        zip.write_all(&bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

/// Two poses in m, rad and closedness.
const STATES: [f64; 14] = [
    0.4, 0.1, 0.2, 3.1, 0.0, -0.5, 0.0, 0.45, 0.1, 0.2, -3.1, 0.0, -0.5, 1.0,
];

#[test]
fn states_in_other_units_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("example.npz");
    let read = |at: usize, value: f64| {
        let mut states = STATES;
        states[at] = value;
        std::fs::write(&path, archive(&states, 7)).expect("written");
        Trajectory::read(&path)
    };
    let good = read(0, 0.4).expect("m, rad and closedness");
    assert_eq!(good.states[1].to_array(), STATES[7..]);
    for (at, value, words) in [
        (7, 467.0, "millimetres"),
        (10, -179.26, "degrees"),
        (13, 80.0, "percent"),
    ] {
        let error = read(at, value).expect_err(words).to_string();
        assert!(
            error.contains("frame 1") && error.contains(words),
            "{error}"
        );
    }
}

#[test]
fn pictures_from_0_to_1_are_none() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("example.npz");
    std::fs::write(&path, archive(&STATES, 1)).expect("written");
    let error = Trajectory::read(&path).expect_err("black").to_string();
    assert!(error.contains("no value above 1"), "{error}");
}

#[test]
fn damaged_archives_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("example.npz");
    let whole = archive(&STATES, 7);
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
