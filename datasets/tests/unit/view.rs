//! Unit tests of `src/view.rs`.

use super::*;

#[test]
fn views_are_read_as_they_are_written() {
    for text in [
        "left",
        "wrist:stereo-right",
        "22008760",
        "front:stereo-left",
    ] {
        let view: View = text.parse().expect("a view");
        assert_eq!(view.to_string(), text);
    }
    let official: View = "right_mp4_path".parse().expect("a view");
    assert_eq!(official.to_string(), "right");
    assert!("left:both".parse::<View>().is_err());
    assert!("".parse::<View>().is_err());
}
