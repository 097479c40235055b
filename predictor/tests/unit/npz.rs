//! Unit tests of `src/npz.rs`.

use super::*;

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn reads_arrays_and_refuses_what_does_not_fit() {
    let array = parse(&npy("<f4", "(2,)", &[0, 0, 128, 63, 0, 0, 0, 64])).unwrap();
    assert_eq!(array.shape, [2]);
    assert_eq!(array.values, ArrayValues::F32(vec![1.0, 2.0]));
    assert_eq!(parse(&npy("|u1", "()", &[7])).unwrap().shape, [0usize; 0]);
    for bad in [
        npy("<f4", "(3,)", &[0; 8]),
        npy("<c8", "(1,)", &[0; 8]),
        npy(">f4", "(2,)", &[0; 8]),
        npy("<f4", "(18446744073709551615, 2)", &[0; 8]),
        b"\x93NUMPY\x01\x00\xff\xff".to_vec(),
        Vec::new(),
    ] {
        assert!(parse(&bad).is_err());
    }
}
