//! Unit tests of `src/checkpoint/audit.rs`.

use super::*;

#[test]
fn the_nearest_name_is_the_one_with_fewest_edits() {
    let names = ["blocks.0.attn.qkv.weight", "blocks.0.norm1.weight"];
    assert_eq!(
        nearest("block.0.attn.qkv.weight", &names).as_deref(),
        Some(names[0])
    );
    assert_eq!(nearest("cls", &names), None);
    assert_eq!(distance(b"kitten", b"sitting"), 3);
}
