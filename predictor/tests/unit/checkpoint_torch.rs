//! Unit tests of `src/checkpoint/torch.rs`.

use super::*;

fn at(offset: usize, shape: &[usize], strides: &[usize]) -> Result<Entry, String> {
    let storage = Storage {
        offset: 100,
        bytes: 4 * 12,
    };
    locate(
        DType::F32,
        storage,
        offset,
        shape.to_vec(),
        strides.to_vec(),
    )
}

#[test]
fn views_of_a_shared_storage_are_located_and_bounded() {
    let entry = at(4, &[2, 4], &[4, 1]).unwrap();
    let span = Span {
        file: 0,
        offset: 116,
        length: 32,
    };
    assert_eq!(entry.pieces, [Piece::Dense(span)]);
    assert!(matches!(
        at(0, &[3, 4], &[1, 3]).unwrap().pieces[0],
        Piece::Strided { .. }
    ));
    assert!(at(5, &[2, 4], &[4, 1]).is_err());
    assert!(at(usize::MAX, &[2], &[1]).is_err());
    assert!(at(0, &[usize::MAX, 2], &[1, 1]).is_err());
    assert!(at(0, &[1 << 30, 1 << 20], &[0, 0]).is_err());
    assert_eq!(at(12, &[0, 4], &[4, 1]).unwrap().elements(), 0);
    let empty = at(0, &[0, 1 << 40, 1 << 40], &[1, 1, 1]).unwrap();
    assert_eq!(empty.elements(), 0);
}
