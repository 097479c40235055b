//! Unit tests of `src/approximations.rs`.

use super::*;

/// erf by its Maclaurin series in f64, for |x| ≤ 4.
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn approximations_are_as_good_as_f32() {
    for i in -800..=800 {
        let x = i as f32 * 0.005;
        assert!(
            (erf(x) as f64 - erf_series(x as f64)).abs() < 6e-7,
            "erf({x})"
        );
        let e = (x * 10.0) as f64;
        assert!(
            (exp(x * 10.0) as f64 / e.exp() - 1.0).abs() < 4e-6,
            "exp({e})"
        );
    }
    assert_eq!(erf(9.0), erf(4.0));
    assert!((erf(4.0) - 1.0).abs() < 1e-6);
    assert!(exp(-1000.0) < 1e-37);
}

#[test]
fn the_quick_gelu_is_far_below_what_bf16_resolves() {
    for i in -4000..=4000 {
        let x = i as f32 * 0.005;
        let (quick, exact) = (gelu_for_bf16(x), gelu_exact(x));
        let bound = 2e-4 + 2e-5 * x.abs();
        assert!((quick - exact).abs() < bound, "gelu({x}): {quick} {exact}");
    }
}
