//! Unit tests of `src/aligned.rs`.

use super::*;

#[test]
fn buffers_and_their_copies_start_on_a_line() {
    for len in [1, 7, 1000, 100_000] {
        let mut buffer = Aligned::<f32>::zeros(len);
        buffer[len - 1] = 3.0;
        let copy = buffer.clone();
        assert_eq!(buffer.as_ptr() as usize % LINE, 0);
        assert_eq!(copy.as_ptr() as usize % LINE, 0);
        assert_eq!(copy[..], buffer[..]);
    }
}
