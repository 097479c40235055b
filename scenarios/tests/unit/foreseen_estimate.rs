//! Unit tests of `src/foreseen/estimate.rs`.

use super::*;

#[test]
fn the_interval_of_a_mean_is_that_of_its_standard_error() {
    let mut sums = Sums::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for scene in 0..400 {
        sums.add(scene, [1.0, rng.random::<f64>()]);
    }
    let mean = sums.estimate(7, |[n, x]| x / n).expect("finite");
    // 1.96 standard errors of a uniform variable's mean.
    let half = 1.96 * (1.0f64 / 12.0 / 400.0).sqrt();
    let [low, high] = mean.ci95;
    assert!((mean.value - low - half).abs() < 0.2 * half, "{mean:?}");
    assert!((high - mean.value - half).abs() < 0.2 * half, "{mean:?}");
    assert_eq!(Sums::<2>::new().estimate(7, |[n, x]| x / n), None);
}
