//! Unit tests of `src/probe/linear.rs`.

use super::*;

#[test]
fn ridge_finds_a_linear_map() {
    let x = DMatrix::from_fn(50, 4, |r, c| match c {
        3 => 1.0,
        c => ((r * (c + 2)) as f64 * 0.7).sin(),
    });
    let map = DMatrix::from_fn(4, 2, |r, c| (r as f64) - 1.5 * c as f64);
    let found = ridge(&x, &(&x * &map)).expect("a solution");
    let off = (&x * found - &x * map).abs().max();
    assert!(off < 0.02, "{off}");
}
