//! Unit tests of `src/model/inspect.rs`.

use super::thousands;

#[test]
fn digits_come_in_groups_of_three() {
    assert_eq!(thousands(0), "0");
    assert_eq!(thousands(999), "999");
    assert_eq!(thousands(1_012_173_952), "1,012,173,952");
}
