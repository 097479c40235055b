//! Unit tests of `src/video.rs`.

use super::*;

#[test]
fn selections_join_neighbours() {
    assert_eq!(
        selection("n", &runs(&[0, 1, 2, 7, 9])),
        "between(n\\,0\\,2)+between(n\\,7\\,7)+between(n\\,9\\,9)"
    );
}

#[test]
fn a_missing_program_is_explained() {
    let error = unavailable(std::io::Error::from(ErrorKind::NotFound));
    assert!(matches!(error, DatasetError::Decoder(_)));
    assert!(error.to_string().contains("apt-get install ffmpeg"));
}

#[test]
fn a_file_that_is_no_video_is_an_error_with_a_reason() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"not a video").expect("written");
    let error = frames_at(file.path(), &[0]).expect_err("no video");
    assert!(error.to_string().contains("ffmpeg"), "{error}");
    if available().is_ok() {
        let words = error.to_string();
        assert!(
            words.contains("Invalid data") || words.contains("moov"),
            "{words}"
        );
    }
}

#[test]
fn another_size_of_pictures_is_told_from_other_changes() {
    let line = |side: u32, more: &str| {
        format!(
            "[graph 0 input] [info] filter context - w: 64 h: 48 fmt: 12{more}, incoming frame - \
             w: {side} h: 48 fmt: 0{more} pts_time: 1.5"
        )
    };
    let colours = " csp: bt709 range: tv";
    assert_eq!(another_size(&line(64, "")), None);
    for more in ["", colours] {
        let found = another_size(&line(96, more));
        assert_eq!(found, Some(([64, 48], [96, 48], 1.5)));
    }
}
