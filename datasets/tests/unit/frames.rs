//! Unit tests of `src/frames.rs`.

use super::*;

fn stack() -> FrameStack {
    let mut stack = FrameStack::new(3, 2);
    for t in 0..4_u8 {
        let frame: Vec<u8> = (0..18).map(|i| t * 18 + i).collect();
        stack.push(&frame).expect("right size");
    }
    stack
}

#[test]
fn round_trip() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.rgb8");
    stack().write(&path).expect("written");
    let read = FrameStack::read(&path).expect("read");
    assert_eq!(read, stack());
    assert_eq!(read.frame(2)[0], 36);
    let some = FrameStack::read_some(&path, &[3, 1]).expect("read");
    assert_eq!(
        (some.frame(0), some.frame(1)),
        (read.frame(3), read.frame(1))
    );
    assert!(FrameStack::read_some(&path, &[4]).is_err());
    let shape = FrameStack::read_shape(&path).expect("header");
    assert_eq!((shape.frames, shape.height, shape.width), (4, 2, 3));
    assert!(stack().push(&[0; 17]).is_err());
}

#[test]
fn every_truncation_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("cut.rgb8");
    stack().write(&path).expect("written");
    let whole = fs::read(&path).expect("bytes");
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("truncated");
        let error = FrameStack::read(&path).expect_err("cut short");
        assert!(error.to_string().contains("cut.rgb8"), "{error}");
        assert!(FrameStack::read_shape(&path).is_err());
    }
    let mut huge = whole.clone();
    huge[12..24].fill(0xff);
    fs::write(&path, &huge).expect("written");
    assert!(FrameStack::read(&path).is_err());
}
