//! Unit tests of `src/checkpoint/architecture.rs`.

use super::*;

#[test]
fn mlp_ratios_give_the_hidden_width_back() {
    assert_eq!(mlp_ratio(6144, 1408), 48.0 / 11.0);
    assert_eq!(mlp_ratio(4096, 1024), 4.0);
    for width in 1..200usize {
        for hidden in 1..400usize {
            let ratio = mlp_ratio(hidden, width);
            assert_eq!((width as f64 * ratio) as usize, hidden, "{width} {hidden}");
        }
    }
}
