//! Unit tests of `src/json_text.rs`.

use super::*;

#[test]
fn numbers_that_are_none_are_null_and_texts_stay() {
    let text = b"\xef\xbb\xbf{\"a\": [NaN, -Infinity, 1], \"NaN \\\" NaN\": Infinity}";
    let value = parse(text).unwrap();
    assert_eq!(value["a"], serde_json::json!([null, null, 1]));
    assert_eq!(value["NaN \" NaN"], Value::Null);
    assert!(parse(b"{\"a\": nan}").is_err());
    assert!(parse(b"\"\\").is_err());
}
