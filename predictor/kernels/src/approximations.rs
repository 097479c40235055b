//! `exp`, `erf` and GELU of one value, without branches so that loops vectorise; the errors of `exp`
//! and `erf` are a few units in the last place of f32, asserted below against the standard library
//! and a series.

/// `eˣ` for `x ≤ 0` and moderate positive `x` (Cephes' `expf`: `2ⁿ · polynomial`).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits: Rust's own
    // conversion to an integer checks its range value by value and would keep loops scalar.
    const ROUNDING: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_2e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
        + 1.666_666_5e-1)
        * r
        + 0.5;
    let y = p * r * r + r + 1.0;
    y * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// `erf(x)` as an odd rational function on `[-4, 4]`, ±1 outside.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = ((((((-2.726_142_3e-10 * s + 2.770_681_4e-8) * s - 2.101_024e-6) * s
        - 5.692_506_4e-5)
        * s
        - 7.349_906e-4)
        * s
        - 2.954_6e-3)
        * s
        - 1.609_603_3e-2)
        * x;
    let q = (((-1.456_607_2e-5 * s - 2.133_740_6e-4) * s - 1.682_827e-3) * s - 7.373_329e-3) * s
        - 1.426_474_1e-2;
    p / q
}

/// Exact (erf) GELU of one value.
#[inline(always)]
pub(crate) fn gelu_exact(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// GELU to within 2e-4 + 2e-5·|x|, a fraction of what rounding to bf16 costs (4e-3 of a value
/// around 1): an odd polynomial for the normal distribution function, without a division.
#[inline(always)]
pub(crate) fn gelu_for_bf16(x: f32) -> f32 {
    const EDGE: f32 = 3.9;
    let t = x.clamp(-EDGE, EDGE);
    let s = t * t;
    let p = (((((2.627_130_6e-8 * s - 1.770_486_3e-6) * s + 5.123_71e-5) * s - 8.445_103e-4) * s
        + 8.913_779e-3)
        * s
        - 6.486_946e-2)
        * s
        + 3.980_856e-1;
    x * (0.5 + (p * t).clamp(-0.5, 0.5))
}

#[cfg(test)]
#[path = "../tests/unit/approximations.rs"]
mod tests;
