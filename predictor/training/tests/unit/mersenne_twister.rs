//! Unit tests of `src/mersenne_twister.rs`.

use super::*;

#[test]
fn numbers_are_those_of_the_reference() {
    // The reference implementation's first numbers with its default seed.
    let mut generator = MersenneTwister::new(5489);
    let first: Vec<u32> = (0..3).map(|_| generator.next_u32()).collect();
    assert_eq!(first, [3_499_211_612, 581_869_302, 3_890_346_734]);
    let last = (3..10_000).map(|_| generator.next_u32()).last();
    assert_eq!(last, Some(4_123_659_995));
}
