//! Noise is reproducible.

use foresight_planner::{Noise, SeededNoise};

#[test]
fn noise_is_a_function_of_seed_and_decision() {
    let draw = |seed, decision| {
        let mut values = vec![0.0; 1000];
        SeededNoise::new(seed, decision).fill(&mut values);
        values
    };
    assert_eq!(draw(3, 7), draw(3, 7));
    assert_ne!(draw(3, 7), draw(3, 8));
    assert_ne!(draw(3, 7), draw(4, 7));
    let values = draw(1, 0);
    let mean = values.iter().sum::<f32>() / 1000.0;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 999.0;
    assert!(mean.abs() < 0.15, "mean {mean}");
    assert!((variance - 1.0).abs() < 0.2, "variance {variance}");
}
