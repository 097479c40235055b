//! Unit tests of `src/calibrate.rs`.

use super::*;

/// Moves a model sees turned by `angle` and `scale` times as long.
fn turned(angle: f64, scale: f64, noise_m: f64, count: u32) -> Vec<Move> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut draw = |range: f64| rng.random_range(-range..=range);
    (0..count)
        .map(|_| {
            let (x, y) = (draw(0.05), draw(0.05));
            let (sin, cos) = angle.sin_cos();
            let seen = [cos * x + sin * y, cos * y - sin * x];
            Move {
                true_m: [x, y],
                inferred_m: seen.map(|v| v / scale + draw(noise_m.max(1e-12))),
            }
        })
        .collect()
}

#[test]
fn a_turned_camera_is_found_and_undone() {
    let fit = fit(&turned(0.3, 1.25, 0.002, 40)).expect("a map");
    assert!((fit.rotation_error_rad - 0.3).abs() < 0.02, "{fit:?}");
    assert!((fit.condition_number - 1.0).abs() < 0.1, "{fit:?}");
    let [[a, b], [c, d]] = fit.action_map_xy;
    assert!(((a * d - b * c).sqrt() - 1.25).abs() < 0.05, "{fit:?}");
    assert!(fit.mapped_error_m < 0.003 && fit.error_m > 0.01, "{fit:?}");
}

#[test]
fn moves_along_a_line_determine_nothing() {
    let mut moves = turned(0.1, 1.0, 0.0, 10);
    for seen in &mut moves {
        seen.inferred_m = [seen.inferred_m[0], 0.0];
    }
    assert_eq!(fit(&moves), None);
    assert_eq!(fit(&[]), None);
    let broken = Move {
        true_m: [0.0, 0.0],
        inferred_m: [f64::NAN, 0.0],
    };
    assert_eq!(fit(&[broken; 8]), None);
}
