//! A transformer block that an action modulates (AdaLN-zero), forwards only, over a window of a few
//! one-token steps of many samples.
//!
//! ```text
//! x += gate₁ · proj(attention(norm(bare(x)·(1 + scale₁) + shift₁)))      causal
//! x += gate₂ · fc2(gelu(fc1(norm(bare(x)·(1 + scale₂) + shift₂))))
//! ```
//!
//! Rows lie step by step, all samples of a step together, so that a step that is remembered needs no
//! products and the last one can be taken alone.

use multiversion::multiversion;

use crate::approximations::exp;
use crate::elementwise::moments;
use crate::inference::{ExecutionContext, PackedLinear};
use crate::number::Number;
use crate::packed::{LeftOperand, Rows};
use crate::tile::Element;

/// Epsilons of the norm without weights and of the one with them.
const EPS: [f32; 2] = [1e-6, 1e-5];

/// Sizes of a modulated block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModulatedShape {
    /// Width of a row, `D`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Hidden width of the MLP.
    pub hidden: usize,
}

/// What a block is made of, values row-major: weights `[outputs, inputs]` and biases.
#[derive(Debug, Clone, Copy)]
pub struct ModulatedWeights<'a> {
    /// From the action's embedding to shift, scale and gate of both halves, `[6·D, D]`.
    pub ada: [&'a [f32]; 2],
    /// Weights and bias of the first norm.
    pub norm1: [&'a [f32]; 2],
    /// Queries, keys and values, `[3·W, D]`.
    pub qkv: [&'a [f32]; 2],
    /// After the attention, `[D, W]`.
    pub out: [&'a [f32]; 2],
    /// Weights and bias of the second norm.
    pub norm2: [&'a [f32]; 2],
    /// Into the MLP.
    pub fc1: [&'a [f32]; 2],
    /// Out of it.
    pub fc2: [&'a [f32]; 2],
}

/// A block's weights, packed.
#[derive(Debug, Clone)]
pub struct ModulatedBlock<E: Element> {
    shape: ModulatedShape,
    ada: PackedLinear<E>,
    norm1: [Vec<f32>; 2],
    queries: PackedLinear<E>,
    /// Keys, then values.
    kept: PackedLinear<E>,
    out: PackedLinear<E>,
    norm2: [Vec<f32>; 2],
    fc1: PackedLinear<E>,
    fc2: PackedLinear<E>,
}

/// Memory that blocks pass on.
#[derive(Debug)]
pub struct ModulatedWorkspace<E: Element> {
    normed: Rows<E>,
    queries: Vec<f32>,
    seen: Rows<E>,
    hidden: Rows<E>,
    added: Vec<f32>,
}

impl<E: Element> Default for ModulatedWorkspace<E> {
    fn default() -> Self {
        ModulatedWorkspace {
            normed: Rows::new(),
            queries: Vec::new(),
            seen: Rows::new(),
            hidden: Rows::new(),
            added: Vec::new(),
        }
    }
}

/// The steps of a window that a block takes.
#[derive(Debug, Clone, Copy)]
pub struct WindowSteps<'a> {
    /// Samples.
    pub samples: usize,
    /// Place of the first of them in the window; those before it are remembered.
    pub first: usize,
    /// Shift, scale and gate of each, `[samples, 6·D]`.
    pub modulations: &'a [&'a [f32]],
    /// Whether only the last of them goes on: nothing after this block asks for the others.
    pub only_last: bool,
}

impl<E: Element> ModulatedBlock<E> {
    /// Packs weights.
    pub fn new(shape: ModulatedShape, weights: &ModulatedWeights) -> Self {
        let linear = |[weight, bias]: [&[f32]; 2]| PackedLinear::new(weight, bias);
        let inner = shape.heads * shape.head_dim;
        let [qkv, qkv_bias] = weights.qkv;
        let (queries, kept) = qkv.split_at(inner * shape.width);
        let (queries_bias, kept_bias) = qkv_bias.split_at(inner);
        ModulatedBlock {
            shape,
            ada: linear(weights.ada),
            norm1: weights.norm1.map(<[f32]>::to_vec),
            queries: linear([queries, queries_bias]),
            kept: linear([kept, kept_bias]),
            out: linear(weights.out),
            norm2: weights.norm2.map(<[f32]>::to_vec),
            fc1: linear(weights.fc1),
            fc2: linear(weights.fc2),
        }
    }

    /// Shift, scale and gate `[samples, 6·D]` that embedded actions ask for.
    pub fn modulation(&self, execution: ExecutionContext, told: LeftOperand<E>, dst: &mut [f32]) {
        self.ada.set(execution, told, dst);
    }

    /// `x` `[steps·samples, D]` through the block. `kept` holds keys and values `[places·samples, 2·W]` of
    /// the whole window; those of these steps are written there.
    pub fn forward(
        &self,
        execution: ExecutionContext,
        x: &mut [f32],
        steps: WindowSteps,
        kept: &mut [f32],
        workspace: &mut ModulatedWorkspace<E>,
    ) {
        let ModulatedShape {
            width: d,
            heads,
            head_dim,
            hidden,
        } = self.shape;
        let (samples, count) = (steps.samples, steps.modulations.len());
        let inner = heads * head_dim;
        let ws = workspace;
        norm_each(x, steps.modulations, [0, d], &self.norm1, &mut ws.normed);
        let at = steps.first * samples * 2 * inner;
        let own = &mut kept[at..at + count * samples * 2 * inner];
        self.kept.set(execution, ws.normed.all(), own);
        // From here on, only those that go on.
        let skipped = if steps.only_last { count - 1 } else { 0 };
        let rows = (count - skipped) * samples;
        let x = &mut x[skipped * samples * d..];
        let modulations = &steps.modulations[skipped..];
        ws.queries.resize(rows * inner, 0.0);
        let going = ws.normed.part(skipped * samples, rows, 0);
        self.queries.set(execution, going, &mut ws.queries);
        ws.seen.reshape(rows, inner);
        let stride = ws.seen.stride();
        let seen = ws.seen.values_mut().chunks_exact_mut(stride);
        for (row, (query, seen)) in ws.queries.chunks_exact(inner).zip(seen).enumerate() {
            let (place, sample) = (steps.first + skipped + row / samples, row % samples);
            attend(query, kept, [sample, samples, place + 1], head_dim, seen);
        }
        ws.added.resize(rows * d, 0.0);
        self.out.set(execution, ws.seen.all(), &mut ws.added);
        add_each(x, &ws.added, modulations, 2 * d, d);
        norm_each(x, modulations, [3 * d, 4 * d], &self.norm2, &mut ws.normed);
        ws.hidden.reshape(rows, hidden);
        self.fc1.gelu(execution, ws.normed.all(), &mut ws.hidden);
        self.fc2.set(execution, ws.hidden.all(), &mut ws.added);
        add_each(x, &ws.added, modulations, 5 * d, d);
    }
}

fn norm_each<E: Element>(
    x: &[f32],
    modulations: &[&[f32]],
    places: [usize; 2],
    norm: &[Vec<f32>; 2],
    normed: &mut Rows<E>,
) {
    let d = norm[0].len();
    normed.reshape(x.len() / d, d);
    let stride = normed.stride();
    let rows = modulations.first().map_or(0, |m| m.len() / (6 * d));
    let steps = x.chunks_exact(rows * d).zip(modulations);
    let out = normed.values_mut().chunks_exact_mut(rows * stride);
    for ((x, modulation), y) in steps.zip(out) {
        modulated_norm(x, modulation, places, [&norm[0], &norm[1]], y, stride);
    }
}

fn add_each(x: &mut [f32], added: &[f32], modulations: &[&[f32]], gate: usize, d: usize) {
    let rows = modulations.first().map_or(0, |m| m.len() / (6 * d));
    let steps = x
        .chunks_exact_mut(rows * d)
        .zip(added.chunks_exact(rows * d));
    for ((x, added), modulation) in steps.zip(modulations) {
        add_gated(x, added, modulation, gate, d);
    }
}

/// `norm(bare(x)·(1 + scale) + shift)` of rows `[samples, D]`, rounded into rows `stride` apart; shift and
/// scale lie at `places` in each row of `modulation` `[samples, 6·D]`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
fn modulated_norm<E: Number>(
    x: &[f32],
    modulation: &[f32],
    [shift, scale]: [usize; 2],
    [weight, bias]: [&[f32]; 2],
    y: &mut [E],
    stride: usize,
) {
    let d = weight.len();
    let mut between = vec![0.0; d];
    let rows = x.chunks_exact(d).zip(modulation.chunks_exact(6 * d));
    for ((x, modulation), y) in rows.zip(y.chunks_exact_mut(stride)) {
        let (mean, rstd) = moments(x, EPS[0]);
        let (shift, scale) = (&modulation[shift..][..d], &modulation[scale..][..d]);
        for (((b, x), shift), scale) in between.iter_mut().zip(x).zip(shift).zip(scale) {
            *b = (x - mean) * rstd * (1.0 + scale) + shift;
        }
        let (mean, rstd) = moments(&between, EPS[1]);
        for (((y, x), w), b) in y.iter_mut().zip(&between).zip(weight).zip(bias) {
            *y = E::round((x - mean) * rstd * w + b);
        }
    }
}

/// `x += gate · added`; the gate lies at `gate` in each row of `modulation`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
fn add_gated(x: &mut [f32], added: &[f32], modulation: &[f32], gate: usize, d: usize) {
    let rows = x.chunks_exact_mut(d).zip(added.chunks_exact(d));
    for ((x, added), modulation) in rows.zip(modulation.chunks_exact(6 * d)) {
        for ((x, added), gate) in x.iter_mut().zip(added).zip(&modulation[gate..][..d]) {
            *x += gate * added;
        }
    }
}

/// What one query `[W]` sees of the first places of its window: `kept` is `[places, samples, 2·W]`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma"))]
fn attend<E: Number>(
    query: &[f32],
    kept: &[f32],
    [sample, samples, places]: [usize; 3],
    head_dim: usize,
    seen: &mut [E],
) {
    let inner = query.len();
    let scale = 1.0 / (head_dim as f32).sqrt();
    let row = |place: usize| &kept[(place * samples + sample) * 2 * inner..][..2 * inner];
    let (mut weights, mut sums) = (vec![0.0f32; places], vec![0.0f32; head_dim]);
    for at in (0..inner).step_by(head_dim) {
        let query = &query[at..at + head_dim];
        for (place, weight) in weights.iter_mut().enumerate() {
            let key = &row(place)[at..at + head_dim];
            *weight = scale * lane_dot(query, key);
        }
        let highest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        weights.iter_mut().for_each(|w| *w = exp(*w - highest));
        let whole: f32 = weights.iter().sum();
        sums.fill(0.0);
        for (place, weight) in weights.iter().enumerate() {
            let (values, weight) = (&row(place)[inner + at..][..head_dim], weight / whole);
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
        for (seen, sum) in seen[at..at + head_dim].iter_mut().zip(&sums) {
            *seen = E::round(*sum);
        }
    }
}

/// Sum of products in sixteen interleaved lanes.
#[inline(always)]
fn lane_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (whole, rest) = (a.chunks_exact(16), a.len() / 16 * 16);
    for (a, b) in whole.zip(b.chunks_exact(16)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(&a[rest..]).zip(&b[rest..]) {
        *lane += a * b;
    }
    lanes.iter().sum()
}
