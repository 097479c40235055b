//! Fused element-wise passes, compiled for AVX-512, AVX2 and the baseline and chosen at run
//! time.
//!
//! `exp` and `erf` are rational approximations so that loops vectorise; their error is a few
//! units in the last place of f32, asserted below against the standard library and a series.

use multiversion::multiversion;

use super::tile::{Element, Tile, COLUMNS};

/// `eˣ` for `x ≤ 0` and moderate positive `x` (Cephes' `expf`: `2ⁿ · polynomial`).
#[inline(always)]
fn exp(x: f32) -> f32 {
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
fn erf(x: f32) -> f32 {
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
pub(super) fn gelu_exact(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// GELU to within 2e-4 + 2e-5·|x|, a fraction of what rounding to bf16 costs (4e-3 of a value
/// around 1): an odd polynomial for the normal distribution function, without a division.
#[inline(always)]
pub(super) fn gelu_for_bf16(x: f32) -> f32 {
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

/// Exact (erf) GELU of `x` into `y`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn gelu(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = gelu_exact(*x);
    }
}

/// Multiplies `dy` by the derivative of GELU at `x`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn gelu_backward(x: &[f32], dy: &mut [f32]) {
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
    for (dy, x) in dy.iter_mut().zip(x) {
        let cdf = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        *dy *= cdf + x * FRAC_1_SQRT_2PI * exp(-0.5 * x * x);
    }
}

/// `y += x`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn add(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// Mean and reciprocal standard deviation of one row, summed in sixteen lanes so that the order
/// is fixed whatever the vector width.
#[inline(always)]
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = lane_sum(row, |v| v) / n;
    let variance = lane_sum(row, |v| (v - mean) * (v - mean)) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// Lanes brought together two by two: an order that vectors keep.
#[inline(always)]
fn fold(mut lanes: [f32; 16], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

/// Sum of `f` over a row in sixteen interleaved lanes.
#[inline(always)]
fn lane_sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    let chunks = row.chunks_exact(16);
    for v in chunks.remainder() {
        lanes[0] += f(*v);
    }
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(*v);
        }
    }
    fold(lanes, |a, b| a + b)
}

/// Sum of products of two rows in sixteen interleaved lanes.
#[inline(always)]
fn lane_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 16];
    let whole = a.len() / 16 * 16;
    for (x, y) in a[whole..].iter().zip(&b[whole..]) {
        lanes[0] += x * y;
    }
    for (x, y) in a[..whole].chunks_exact(16).zip(b[..whole].chunks_exact(16)) {
        for i in 0..16 {
            lanes[i] += x[i] * y[i];
        }
    }
    fold(lanes, |a, b| a + b)
}

/// Layer normalisation of rows as wide as `weight`: `y = x̂·weight + bias`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let d = weight.len();
    for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
        let (mean, rstd) = moments(x, eps);
        for i in 0..d {
            y[i] = (x[i] - mean) * rstd * weight[i] + bias[i];
        }
    }
}

/// Layer normalisation without weights, in place, of rows `d` wide.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn normalise_rows(x: &mut [f32], d: usize, eps: f32) {
    for row in x.chunks_exact_mut(d) {
        let (mean, rstd) = moments(row, eps);
        for v in row {
            *v = (*v - mean) * rstd;
        }
    }
}

/// As [`layer_norm`], keeping `x̂` and `1/σ` for the backward pass.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn layer_norm_saved(
    x: &[f32],
    (weight, bias): (&[f32], &[f32]),
    eps: f32,
    y: &mut [f32],
    xhat: &mut [f32],
    rstds: &mut [f32],
) {
    let d = weight.len();
    for (((x, y), xhat), rstd_out) in x
        .chunks_exact(d)
        .zip(y.chunks_exact_mut(d))
        .zip(xhat.chunks_exact_mut(d))
        .zip(rstds)
    {
        let (mean, rstd) = moments(x, eps);
        *rstd_out = rstd;
        for i in 0..d {
            xhat[i] = (x[i] - mean) * rstd;
            y[i] = xhat[i] * weight[i] + bias[i];
        }
    }
}

/// `y = x̂·weight + bias`, again from what [`layer_norm_saved`] kept.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn affine(xhat: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let d = weight.len();
    for (xhat, y) in xhat.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
        for i in 0..d {
            y[i] = xhat[i] * weight[i] + bias[i];
        }
    }
}

/// Backward of layer normalisation: `dx += …`, and the gradients of weight and bias. `dy` is
/// used as scratch.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn layer_norm_backward(
    dy: &mut [f32],
    xhat: &[f32],
    rstds: &[f32],
    weight: &[f32],
    (weight_grad, bias_grad): (&mut [f32], &mut [f32]),
    dx: &mut [f32],
) {
    let d = weight.len();
    for (((dy, xhat), rstd), dx) in dy
        .chunks_exact_mut(d)
        .zip(xhat.chunks_exact(d))
        .zip(rstds)
        .zip(dx.chunks_exact_mut(d))
    {
        for i in 0..d {
            weight_grad[i] += dy[i] * xhat[i];
            bias_grad[i] += dy[i];
            dy[i] *= weight[i];
        }
        let mean = lane_sum(dy, |v| v) / d as f32;
        let along = lane_dot(dy, xhat) / d as f32;
        for i in 0..d {
            dx[i] += rstd * (dy[i] - mean - xhat[i] * along);
        }
    }
}

/// Softmax of `scale · x` over each row of `columns`, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn softmax_rows(x: &mut [f32], columns: usize, scale: f32) {
    for row in x.chunks_exact_mut(columns) {
        let highest = row.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
        for v in row.iter_mut() {
            *v = exp((*v - highest) * scale);
        }
        let inverse = 1.0 / lane_sum(row, |v| v);
        for v in row {
            *v *= inverse;
        }
    }
}

/// Backward of softmax: `dp` becomes `p · (dp − Σ dp·p)` row by row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn softmax_backward(p: &[f32], dp: &mut [f32], columns: usize) {
    for (p, dp) in p.chunks_exact(columns).zip(dp.chunks_exact_mut(columns)) {
        let along = lane_dot(p, dp);
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = p * (*dp - along);
        }
    }
}

/// Turns one row of heads by one token's tables, in place; the row is `heads · head_dim` wide.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn rotate(row: &mut [f32], cos: &[f32], sin: &[f32]) {
    for head in row.chunks_exact_mut(cos.len()) {
        for ((x, c), s) in head
            .chunks_exact_mut(2)
            .zip(cos.chunks_exact(2))
            .zip(sin.chunks_exact(2))
        {
            let (a, b) = (x[0], x[1]);
            x[0] = a * c[0] - b * s[0];
            x[1] = b * c[1] + a * s[1];
        }
    }
}

/// The transpose of [`rotate`]: gradients back through it.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn rotate_backward(row: &mut [f32], cos: &[f32], sin: &[f32]) {
    for head in row.chunks_exact_mut(cos.len()) {
        for ((g, c), s) in head
            .chunks_exact_mut(2)
            .zip(cos.chunks_exact(2))
            .zip(sin.chunks_exact(2))
        {
            let (a, b) = (g[0], g[1]);
            g[0] = a * c[0] + b * s[1];
            g[1] = b * c[1] - a * s[0];
        }
    }
}

/// `f(dst, sum, column)` for the first `rows × columns` sums of a tile and destinations `stride`
/// apart. A whole panel's columns, by far the most common case, have their number known to the
/// compiler.
#[inline(always)]
fn tile_each<T>(
    tile: &Tile,
    [rows, columns]: [usize; 2],
    dst: &mut [T],
    stride: usize,
    f: impl Fn(&mut T, f32, usize),
) {
    let rows = tile.0.chunks_exact(COLUMNS).take(rows);
    for (row, dst) in rows.zip(dst.chunks_mut(stride.max(1))) {
        if columns == COLUMNS {
            for (x, (dst, sum)) in dst[..COLUMNS].iter_mut().zip(row).enumerate() {
                f(dst, *sum, x);
            }
        } else {
            for (x, (dst, sum)) in dst[..columns].iter_mut().zip(row).enumerate() {
                f(dst, *sum, x);
            }
        }
    }
}

/// `dst = tile + bias` for `rows` rows of `bias.len()` columns, `stride` apart.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn tile_set(tile: &Tile, rows: usize, dst: &mut [f32], stride: usize, bias: &[f32]) {
    let bias = &padded_bias(bias);
    tile_each(tile, [rows, bias.1], dst, stride, |y, sum, x| {
        *y = sum + bias.0[x]
    });
}

/// `dst += tile + bias`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn tile_add(tile: &Tile, rows: usize, dst: &mut [f32], stride: usize, bias: &[f32]) {
    let bias = &padded_bias(bias);
    tile_each(tile, [rows, bias.1], dst, stride, |y, sum, x| {
        *y += sum + bias.0[x]
    });
}

/// `dst = gelu(tile + bias)`, rounded.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn tile_gelu<E: Element>(tile: &Tile, rows: usize, dst: &mut [E], stride: usize, bias: &[f32]) {
    let bias = &padded_bias(bias);
    tile_each(tile, [rows, bias.1], dst, stride, |y, sum, x| {
        *y = E::round(E::gelu(sum + bias.0[x]))
    });
}

/// `dst = tile`, rounded, for `rows` rows of `columns`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn tile_rounded<E: Element>(
    tile: &Tile,
    rows: usize,
    dst: &mut [E],
    stride: usize,
    columns: usize,
) {
    tile_each(tile, [rows, columns], dst, stride, |y, sum, _| {
        *y = E::round(sum)
    });
}

/// A panel's biases at full width, and how many there are.
#[inline(always)]
fn padded_bias(bias: &[f32]) -> ([f32; COLUMNS], usize) {
    let mut padded = [0.0; COLUMNS];
    padded[..bias.len()].copy_from_slice(bias);
    (padded, bias.len())
}

/// [`layer_norm`] of rows as wide as `weight`, rounded into rows `stride` apart.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn layer_norm_rounded<E: Element>(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    y: &mut [E],
    stride: usize,
) {
    let d = weight.len();
    for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(stride)) {
        let (mean, rstd) = moments(x, eps);
        for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
            *y = E::round((x - mean) * rstd * w + b);
        }
    }
}

/// Values rounded, rows `width` wide into rows `stride` apart.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn round_rows<E: Element>(x: &[f32], width: usize, y: &mut [E], stride: usize) {
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(stride)) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = E::round(*x);
        }
    }
}

/// Softmax of `scale · x` over the first `columns` of rows `stride` apart, rounded into `y` of
/// the same shape; columns beyond get a weight of nothing.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn softmax_rounded<E: Element>(
    x: &mut [f32],
    stride: usize,
    columns: usize,
    scale: f32,
    y: &mut [E],
) {
    let padded = columns.next_multiple_of(16).min(stride);
    for (x, y) in x.chunks_exact_mut(stride).zip(y.chunks_exact_mut(stride)) {
        // Whole vectors: what pads them must neither be the highest nor add to the sum.
        let row = &mut x[..padded];
        row[columns..].fill(f32::NEG_INFINITY);
        let highest = lane_max(row);
        for v in row.iter_mut() {
            *v = exp((*v - highest) * scale);
        }
        row[columns..].fill(0.0);
        let inverse = 1.0 / lane_sum(row, |v| v);
        for (y, v) in y.iter_mut().zip(row.iter()) {
            *y = E::round(v * inverse);
        }
        y[padded..].fill(E::ZERO);
    }
}

/// Largest of a row, in sixteen interleaved lanes.
#[inline(always)]
fn lane_max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = row.chunks_exact(16);
    for v in chunks.remainder() {
        lanes[0] = lanes[0].max(*v);
    }
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = if *v > *lane { *v } else { *lane };
        }
    }
    fold(lanes, f32::max)
}

/// Mean absolute difference of two slices, summed in f64.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub fn mean_abs_difference(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = 0f64;
    let n = a.len().min(b.len());
    for (a, b) in a[..n].chunks(512).zip(b[..n].chunks(512)) {
        let mut lanes = [0f32; 16];
        let whole = a.len() / 16 * 16;
        for (x, y) in a[whole..].iter().zip(&b[whole..]) {
            lanes[0] += (x - y).abs();
        }
        for (x, y) in a[..whole].chunks_exact(16).zip(b[..whole].chunks_exact(16)) {
            for i in 0..16 {
                lanes[i] += (x[i] - y[i]).abs();
            }
        }
        sum += lanes.iter().sum::<f32>() as f64;
    }
    (sum / n.max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn rotate_backward_is_the_transpose() {
        let cos: Vec<f32> = (0..6).map(|i| (i as f32).cos()).collect();
        let sin: Vec<f32> = (0..6).map(|i| (i as f32 * 1.3).sin()).collect();
        let x: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
        let g: Vec<f32> = (0..12).map(|i| (i as f32 * 0.4).cos()).collect();
        let (mut y, mut back) = (x.clone(), g.clone());
        rotate(&mut y, &cos, &sin);
        rotate_backward(&mut back, &cos, &sin);
        let forward: f32 = y.iter().zip(&g).map(|(a, b)| a * b).sum();
        let backward: f32 = x.iter().zip(&back).map(|(a, b)| a * b).sum();
        assert!((forward - backward).abs() < 1e-5);
    }
}
