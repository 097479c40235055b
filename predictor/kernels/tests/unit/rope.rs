//! Unit tests of `src/rope.rs`.

use super::*;

#[test]
fn what_is_left_over_and_what_has_no_place_is_not_rotated() {
    let token = Position {
        depth: 3.0,
        place: None,
    };
    let table = RopeTable::new(&[token], 26, RopeVariant::Tiled);
    // 26 dimensions: segments of 8, 2 left over; only the first 8 turn without a place.
    assert!(table.sin()[..8].iter().any(|s| *s != 0.0));
    assert!(table.sin()[8..].iter().all(|s| *s == 0.0));
    assert!(table.cos()[8..].iter().all(|c| *c == 1.0));
}
