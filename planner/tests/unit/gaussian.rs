//! Unit tests of `src/gaussian.rs`.

use super::*;
use crate::noise::SeededNoise;

/// Correlation of successive actions, and the standard deviation, over many samples.
fn statistics(colour: f64) -> (f64, f64) {
    let space = SearchSpace::translation_and_gripper(1.0);
    let mut wide = space.clone();
    wide.dimensions.iter_mut().for_each(|d| d.bound = 100.0);
    let mut gaussian = Gaussian::new(&wide, &Constraints::default(), 6);
    gaussian.colour(colour);
    let samples = 4000;
    let drawn = gaussian.sample(samples, &mut SeededNoise::new(5, 0));
    let (mut product, mut square) = (0.0, 0.0);
    for s in 0..samples {
        for step in 0..5 {
            let (a, b) = (drawn.action(s, step)[0], drawn.action(s, step + 1)[0]);
            product += f64::from(a * b);
            square += f64::from(a * a);
        }
    }
    (product / square, (square / (5 * samples) as f64).sqrt())
}

#[test]
fn coloured_noise_goes_on_in_one_direction_with_the_same_spread() {
    let (white, std) = statistics(0.0);
    assert!(
        white.abs() < 0.03 && (std - 1.0).abs() < 0.03,
        "{white} {std}"
    );
    let (red, std) = statistics(2.0);
    assert!(red > 0.4 && (std - 1.0).abs() < 0.05, "{red} {std}");
}

#[test]
fn equal_weights_give_the_unbiased_deviation() {
    let values = [1.0, 2.0, 4.0];
    let (mean, std) = mean_and_std(values.into_iter(), &[1.0; 3]);
    let wanted = (7.0f64 / 3.0, (7.0f64 / 3.0).sqrt());
    assert!((mean - wanted.0).abs() < 1e-12 && (std - wanted.1).abs() < 1e-12);
    assert_eq!(mean_and_std([3.0].into_iter(), &[1.0]), (3.0, 0.0));
}
