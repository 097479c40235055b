//! Unit tests of `src/checkpoint/entry.rs`.

use super::*;

#[test]
fn gathers_transposed_and_repeated_elements() {
    let mut out = Vec::new();
    gather(&[0, 1, 2, 3, 4, 5], 1, &[3, 2], &[1, 3], &mut out);
    assert_eq!(out, [0, 3, 1, 4, 2, 5]);
    out.clear();
    gather(&[7, 8], 2, &[2], &[0], &mut out);
    assert_eq!(out, [7, 8, 7, 8]);
    out.clear();
    gather(&[9], 1, &[], &[], &mut out);
    assert_eq!(out, [9]);
}
