//! Unit tests of `src/utc.rs`.

use super::*;

#[test]
fn moments_are_written_as_ever() {
    let t = OffsetDateTime::from_unix_timestamp(951_827_696).expect("a moment");
    assert_eq!(compact(t), "20000229-123456");
    assert_eq!(readable(t), "2000-02-29 12:34:56 UTC");
}
