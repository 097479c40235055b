//! Unit tests of `src/lerobot/summary.rs`.

use super::*;

#[test]
fn statistics_are_those_of_the_rows() {
    let mut summary = Summary::default();
    for x in [1.0, 2.0, 6.0] {
        summary.add("a", &[x, -x]);
    }
    summary.look("c", &[0, 255, 0, 255, 255, 0]);
    let json = summary.json();
    assert_eq!(json["a"]["mean"], json!([3.0, -3.0]));
    assert_eq!(json["a"]["min"], json!([1.0, -6.0]));
    assert_eq!(json["a"]["count"], json!([3]));
    assert_eq!(json["c"]["mean"], json!([[[0.5]], [[1.0]], [[0.0]]]));
}
