//! Fused element-wise passes, compiled for AVX-512, AVX2 and the baseline and chosen at run
//! time.

use multiversion::multiversion;

use crate::approximations::{erf, exp, gelu_exact};
use crate::block_parameters::LayerParameters;
use crate::number::Number;
use crate::tile::{Tile, COLUMNS};

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

/// Mean and reciprocal standard deviation of one row, summed in sixteen lanes so that the order
/// is fixed whatever the vector width.
#[inline(always)]
pub(crate) fn moments(row: &[f32], eps: f32) -> (f32, f32) {
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
    layer: LayerParameters<&[f32]>,
    eps: f32,
    y: &mut [f32],
    xhat: &mut [f32],
    rstds: &mut [f32],
) {
    let LayerParameters { weight, bias } = layer;
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
pub(crate) fn affine(xhat: &[f32], layer: LayerParameters<&[f32]>, y: &mut [f32]) {
    let LayerParameters { weight, bias } = layer;
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
    layer: LayerParameters<&[f32]>,
    gradient: &mut LayerParameters<&mut [f32]>,
    dx: &mut [f32],
) {
    let (weight, d) = (layer.weight, layer.weight.len());
    let (weight_grad, bias_grad) = (&mut *gradient.weight, &mut *gradient.bias);
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
pub(crate) fn softmax_rows(x: &mut [f32], columns: usize, scale: f32) {
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
pub(crate) fn softmax_backward(p: &[f32], dp: &mut [f32], columns: usize) {
    for (p, dp) in p.chunks_exact(columns).zip(dp.chunks_exact_mut(columns)) {
        let along = lane_dot(p, dp);
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = p * (*dp - along);
        }
    }
}

/// Turns one row of heads by one token's tables, in place; the row is `heads · head_dim` wide.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub(crate) fn rotate(row: &mut [f32], cos: &[f32], sin: &[f32]) {
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
pub(crate) fn rotate_backward(row: &mut [f32], cos: &[f32], sin: &[f32]) {
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
pub(crate) fn tile_set(tile: &Tile, rows: usize, dst: &mut [f32], stride: usize, bias: &[f32]) {
    let bias = &padded_bias(bias);
    tile_each(tile, [rows, bias.1], dst, stride, |y, sum, x| {
        *y = sum + bias.0[x]
    });
}

/// `dst += tile + bias`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub(crate) fn tile_add(tile: &Tile, rows: usize, dst: &mut [f32], stride: usize, bias: &[f32]) {
    let bias = &padded_bias(bias);
    tile_each(tile, [rows, bias.1], dst, stride, |y, sum, x| {
        *y += sum + bias.0[x]
    });
}

/// `dst = gelu(tile + bias)`, rounded.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub(crate) fn tile_gelu<E: Number>(
    tile: &Tile,
    rows: usize,
    dst: &mut [E],
    stride: usize,
    bias: &[f32],
) {
    let bias = &padded_bias(bias);
    tile_each(tile, [rows, bias.1], dst, stride, |y, sum, x| {
        *y = E::round(E::gelu(sum + bias.0[x]))
    });
}

/// `dst = tile`, rounded, for `rows` rows of `columns`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub(crate) fn tile_rounded<E: Number>(
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
pub fn layer_norm_rounded<E: Number>(
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
pub fn round_rows<E: Number>(x: &[f32], width: usize, y: &mut [E], stride: usize) {
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(stride)) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = E::round(*x);
        }
    }
}

/// Softmax of `scale · x` over the first `columns` of rows `stride` apart, rounded into `y` of
/// the same shape; columns beyond get a weight of nothing.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub(crate) fn softmax_rounded<E: Number>(
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

/// What is known of a softmax whose columns come block by block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RunningSoftmax {
    highest: f32,
    sum: f32,
}

impl RunningSoftmax {
    /// Of no columns yet.
    pub(crate) const NOTHING: Self = RunningSoftmax {
        highest: f32::NEG_INFINITY,
        sum: 0.0,
    };
}

/// One block of columns of a softmax of `scale · x`: as [`softmax_rounded`], but weights are relative
/// to the highest of each row so far, `running` remembers that and their sum, and what the blocks
/// before gave, rows of `sums` as wide as `width`, is brought to the new highest.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn softmax_block<E: Number>(
    x: &mut [f32],
    stride: usize,
    columns: usize,
    scale: f32,
    y: &mut [E],
    running: &mut [RunningSoftmax],
    sums: &mut [f32],
    width: usize,
) {
    let padded = columns.next_multiple_of(16).min(stride);
    let rows = x.chunks_exact_mut(stride).zip(y.chunks_exact_mut(stride));
    for (((x, y), running), sums) in rows.zip(running).zip(sums.chunks_exact_mut(width)) {
        let row = &mut x[..padded];
        row[columns..].fill(f32::NEG_INFINITY);
        let highest = lane_max(row).max(running.highest);
        for v in row.iter_mut() {
            *v = exp((*v - highest) * scale);
        }
        row[columns..].fill(0.0);
        if running.highest < highest {
            let factor = exp((running.highest - highest) * scale);
            running.sum *= factor;
            for sum in sums {
                *sum *= factor;
            }
        }
        *running = RunningSoftmax {
            highest,
            sum: running.sum + lane_sum(row, |v| v),
        };
        for (y, v) in y.iter_mut().zip(row.iter()) {
            *y = E::round(*v);
        }
        y[padded..].fill(E::ZERO);
    }
}

/// Rows of `sums`, as wide as `width`, over what their weights add up to, rounded into rows `stride`
/// apart.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
pub(crate) fn softmax_finished<E: Number>(
    sums: &[f32],
    width: usize,
    running: &[RunningSoftmax],
    out: &mut [E],
    stride: usize,
) {
    let rows = sums.chunks_exact(width).zip(out.chunks_mut(stride));
    for ((sums, out), running) in rows.zip(running) {
        let inverse = 1.0 / running.sum;
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = E::round(sum * inverse);
        }
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
#[path = "../tests/unit/elementwise.rs"]
mod tests;
