//! Unit tests of `src/index.rs`.

use super::first_fields;

#[test]
fn lists_are_read_as_pandas_reads_them() {
    let text = "/data/a 0\n\n  /data/b\n\"/data/a b\" 0\r\n";
    let fields = first_fields(text).unwrap();
    assert_eq!(fields, ["/data/a", "/data/b", "/data/a b"]);
    assert!(first_fields("").unwrap().is_empty());
}
