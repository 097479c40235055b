//! Unit tests of `src/checkpoint/safetensors_file.rs`.

use super::*;

fn header(json: &str, data: u64) -> Result<BTreeMap<String, Entry>, String> {
    match parse(json.as_bytes(), 8 + json.len() as u64, data, 0) {
        Ok((entries, _)) => Ok(entries),
        Err(HeaderFault::Damaged(problem) | HeaderFault::Type(problem)) => Err(problem),
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let good = r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
    assert_eq!(header(good, 24).unwrap()["a"].shape, [2, 3]);
    assert!(header(good, 23).unwrap_err().contains("cut short"));
    for bad in [
        r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[24,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[18446744073709551615,3],"data_offsets":[0,24]}}"#,
        r#"{"a":{"dtype":"Q7","shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        r#"{"a":7}"#,
        "[]",
        "{",
    ] {
        assert!(header(bad, 24).is_err(), "{bad}");
    }
}
