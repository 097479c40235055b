//! Unit tests of `src/monitor/fit.rs`.

use super::*;

#[test]
fn the_threshold_is_the_conformal_order_statistic() {
    let maxima = |n: usize| (1..=n).rev().map(|i| i as f64).collect::<Vec<f64>>();
    // ⌈0.95 · 20⌉ = 19 of 19; ⌈0.95 · 101⌉ = 96 of 100.
    assert_eq!(conformal_threshold(maxima(19), 0.05), Some(19.0));
    assert_eq!(conformal_threshold(maxima(100), 0.05), Some(96.0));
    assert_eq!(conformal_threshold(maxima(18), 0.05), None);
    assert_eq!(conformal_threshold(vec![1.0, f64::NAN], 0.5), None);
}

#[test]
fn one_in_twenty_further_episodes_at_most_exceeds_it() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut draw = |n: usize| (0..n).map(|_| rng.random::<f64>()).collect::<Vec<f64>>();
    let (mut above, trials) = (0, 20_000);
    for _ in 0..trials {
        let threshold = conformal_threshold(draw(39), 0.05).expect("enough");
        above += usize::from(draw(1)[0] > threshold);
    }
    let rate = above as f64 / f64::from(trials);
    assert!((0.044..=0.056).contains(&rate), "{rate}");
}
