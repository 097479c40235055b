//! Unit tests of `src/link/mod.rs`.

use super::plain;

#[test]
fn places_in_others_source_are_left_out() {
    let words = "JSON error: unknown field `peer` at /home/b/src/lib.rs:1484. - Caused by a lost file at /x.rs:7.";
    let left = "JSON error: unknown field `peer`. - Caused by a lost file.";
    assert_eq!(plain(words), left);
    for whole in ["", "main.rs: no number", "at line 3 of main.rs:12 twice"] {
        assert_eq!(plain(whole), whole);
    }
}
