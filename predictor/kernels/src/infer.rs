//! A transformer block of packed weights, forwards only: what plans are made with.
//!
//! The steps are those of [`super::block::forward`] and of the official code:
//!
//! ```text
//! x += proj(attention(norm1(x)))        queries and keys turned by RoPE
//! x += fc2(gelu(fc1(norm2(x))))
//! ```
//!
//! The residual stream `x`, norms and softmax are f32; operands of matrix products are `E`.

use rayon::prelude::*;

use super::aligned::Aligned;
use super::block::{BlockShape, BlockWeights, EPS};
use super::elementwise;
use super::packed::{matmul, matmul_in, matmul_spread, Left, Out, Packed, Rows};
use super::profile::{Laps, Part};
use super::tile::{Element, Scope, Unit};
use super::rope::RopeTable;

/// A linear layer.
#[derive(Debug, Clone)]
pub struct Linear<E: Element> {
    weight: Packed<E>,
    bias: Vec<f32>,
}

impl<E: Element> Linear<E> {
    /// From weights `[outputs, inputs]` and a bias per output.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let inputs = weight.len() / bias.len().max(1);
        Linear {
            weight: Packed::from_weights(weight, bias.len(), inputs),
            bias: bias.to_vec(),
        }
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `dst = x·wᵀ + b`.
    pub fn set(&self, on: On, x: Left<E>, dst: &mut [f32]) {
        let out = Out::Set(dst, self.bias.len(), &self.bias);
        on.product(x, &self.weight, out);
    }

    /// `dst += x·wᵀ + b`.
    pub fn add(&self, on: On, x: Left<E>, dst: &mut [f32]) {
        let out = Out::Add(dst, self.bias.len(), &self.bias);
        on.product(x, &self.weight, out);
    }

    /// `dst = gelu(x·wᵀ + b)`.
    pub fn gelu(&self, on: On, x: Left<E>, dst: &mut Rows<E>) {
        let stride = dst.stride();
        let out = Out::Gelu(dst.values_mut(), stride, &self.bias);
        on.product(x, &self.weight, out);
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.weight.bytes() + size_of_val(&self.bias[..])
    }
}

/// Where products are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct On {
    /// The unit.
    pub unit: Unit,
    /// Whether one product is spread over the cores: for a few samples of a large model. Many
    /// samples are cheaper spread whole.
    pub spread: bool,
}

impl On {
    fn product<E: Element>(self, left: Left<E>, right: &Packed<E>, out: Out<E>) {
        if self.spread {
            matmul_spread(self.unit, left, right, out);
        } else {
            matmul(self.unit, left, right, out);
        }
    }
}

/// A block's weights, packed.
#[derive(Debug, Clone)]
pub struct PackedBlock<E: Element> {
    shape: BlockShape,
    norm1: [Vec<f32>; 2],
    qkv: Linear<E>,
    proj: Linear<E>,
    norm2: [Vec<f32>; 2],
    fc1: Linear<E>,
    fc2: Linear<E>,
}

/// Rotated keys, and values, of the tokens one sample has seen: one pair of packed operands a
/// head, keys as outputs and values as inner dimension.
#[derive(Debug, Clone)]
pub struct Remembered<E: Element> {
    heads: Vec<(Packed<E>, Packed<E>)>,
    tokens: usize,
}

impl<E: Element> Remembered<E> {
    /// Room for `capacity` tokens.
    pub fn new(shape: BlockShape, capacity: usize) -> Self {
        let head = || {
            (
                Packed::zeros(capacity, shape.head_dim()),
                Packed::zeros(shape.head_dim(), capacity),
            )
        };
        Remembered {
            heads: (0..shape.heads).map(|_| head()).collect(),
            tokens: 0,
        }
    }

    /// Forgets everything; the room stays. Rows of the inner dimension beyond what is
    /// remembered meet weights of exactly zero, so old values there do no harm.
    pub fn clear(&mut self) {
        self.tokens = 0;
    }
}

/// Buffers of one thread, reused from block to block.
#[derive(Debug)]
pub struct Scratch<E: Element> {
    normed: Rows<E>,
    qkv: Aligned<f32>,
    queries: Rows<E>,
    attended: Rows<E>,
    hidden: Rows<E>,
    heads: Vec<HeadScratch<E>>,
}

/// Buffers of attention, one set a thread.
#[derive(Debug)]
struct HeadScratch<E: Element> {
    logits: Aligned<f32>,
    weights: Rows<E>,
}

impl<E: Element> Default for Scratch<E> {
    fn default() -> Self {
        Scratch {
            normed: Rows::new(),
            qkv: Aligned::new(),
            queries: Rows::new(),
            attended: Rows::new(),
            hidden: Rows::new(),
            heads: Vec::new(),
        }
    }
}

impl<E: Element> HeadScratch<E> {
    fn new() -> Self {
        HeadScratch {
            logits: Aligned::new(),
            weights: Rows::new(),
        }
    }
}

impl<E: Element> PackedBlock<E> {
    /// Packs a block's weights.
    pub fn new(shape: BlockShape, w: &BlockWeights) -> Self {
        PackedBlock {
            shape,
            norm1: [w.norm1_weight.to_vec(), w.norm1_bias.to_vec()],
            qkv: Linear::new(w.qkv_weight, w.qkv_bias),
            proj: Linear::new(w.proj_weight, w.proj_bias),
            norm2: [w.norm2_weight.to_vec(), w.norm2_bias.to_vec()],
            fc1: Linear::new(w.fc1_weight, w.fc1_bias),
            fc2: Linear::new(w.fc2_weight, w.fc2_bias),
        }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let layers = [&self.qkv, &self.proj, &self.fc1, &self.fc2];
        layers.iter().map(|l| l.bytes()).sum::<usize>() + 16 * self.shape.dim
    }

    /// `x [B·n, D]` through the block in place, `n = rope.tokens()`, for as many samples as
    /// there are `memories`: the tokens' keys and values are added to them, and queries see all
    /// that is remembered.
    pub fn forward(
        &self,
        on: On,
        x: &mut [f32],
        rope: &RopeTable,
        memories: &mut [Remembered<E>],
        scratch: &mut Scratch<E>,
    ) {
        let d = self.shape.dim;
        let rows = x.len() / d;
        let mut laps = Laps::start();
        scratch.normed.reshape(rows, d);
        norm(&self.norm1, x, &mut scratch.normed);
        laps.mark(Part::Norm);
        scratch.qkv.reserve_zeroed(rows * 3 * d);
        self.qkv
            .set(on, scratch.normed.all(), &mut scratch.qkv[..rows * 3 * d]);
        laps.mark(Part::Products);
        self.attend(on, rope, memories, scratch);
        laps.mark(Part::Attention);
        self.proj.add(on, scratch.attended.all(), x);
        laps.mark(Part::Products);
        norm(&self.norm2, x, &mut scratch.normed);
        laps.mark(Part::Norm);
        scratch.hidden.reshape(rows, self.shape.hidden);
        let (normed, hidden) = (&scratch.normed, &mut scratch.hidden);
        self.fc1.gelu(on, normed.all(), hidden);
        self.fc2.add(on, scratch.hidden.all(), x);
        laps.mark(Part::Products);
    }

    /// `attended = softmax(q·kᵀ/√head_dim)·v` for every sample and head.
    fn attend(
        &self,
        on: On,
        rope: &RopeTable,
        memories: &mut [Remembered<E>],
        scratch: &mut Scratch<E>,
    ) {
        let (shape, n) = (self.shape, rope.tokens());
        let (d, rows) = (shape.dim, memories.len() * n);
        let head_stride = shape.head_dim().next_multiple_of(E::INNER);
        scratch.queries.reshape(rows, shape.heads * head_stride);
        scratch.attended.reshape(rows, d);
        let (query_stride, attended_stride) = (scratch.queries.stride(), scratch.attended.stride());
        let samples = scratch.qkv[..rows * 3 * d]
            .chunks_exact_mut(n * 3 * d)
            .zip(
                scratch
                    .queries
                    .values_mut()
                    .chunks_exact_mut(n * query_stride),
            )
            .zip(memories.iter_mut());
        for ((qkv, queries), memory) in samples {
            remember(shape, rope, qkv, queries, query_stride, memory);
        }
        let queries = &scratch.queries;
        let attended = scratch.attended.values_mut();
        let samples = attended
            .chunks_exact_mut(n * attended_stride)
            .zip(memories.iter())
            .enumerate();
        let one = |sample: usize, out: &mut [E], memory: &Remembered<E>, s: &mut HeadScratch<E>| {
            let scope = Scope::enter(on.unit);
            for head in 0..shape.heads {
                let q = queries.part(sample * n, n, head * head_stride);
                let out = &mut out[head * shape.head_dim()..];
                attend_head(&scope, shape, q, n, memory, head, (out, attended_stride), s);
            }
        };
        if on.spread {
            samples.par_bridge().for_each(|(sample, (out, memory))| {
                one(sample, out, memory, &mut HeadScratch::new())
            });
        } else {
            if scratch.heads.is_empty() {
                scratch.heads.push(HeadScratch::new());
            }
            for (sample, (out, memory)) in samples {
                one(sample, out, memory, &mut scratch.heads[0]);
            }
        }
    }
}

/// Turns queries and keys, rounds the queries into `queries [n, heads·head_stride]` and adds
/// keys and values to `memory`.
fn remember<E: Element>(
    shape: BlockShape,
    rope: &RopeTable,
    qkv: &mut [f32],
    queries: &mut [E],
    query_stride: usize,
    memory: &mut Remembered<E>,
) {
    let (d, h) = (shape.dim, shape.head_dim());
    let head_stride = h.next_multiple_of(E::INNER);
    let rows = qkv.chunks_exact_mut(3 * d);
    for (token, (row, queries)) in rows.zip(queries.chunks_exact_mut(query_stride)).enumerate() {
        let (cos, sin) = (
            &rope.cos()[token * h..(token + 1) * h],
            &rope.sin()[token * h..(token + 1) * h],
        );
        elementwise::rotate(&mut row[..2 * d], cos, sin);
        let (q, rest) = row.split_at(d);
        let (k, v) = rest.split_at(d);
        elementwise::round_rows(q, h, queries, head_stride);
        for (head, (keys, values)) in memory.heads.iter_mut().enumerate() {
            let at = memory.tokens + token;
            keys.set_output(at, &k[head * h..(head + 1) * h]);
            values.set_inner(at, &v[head * h..(head + 1) * h]);
        }
    }
    memory.tokens += rope.tokens();
}

#[allow(clippy::too_many_arguments)]
fn attend_head<E: Element>(
    scope: &Scope,
    shape: BlockShape,
    queries: Left<E>,
    n: usize,
    memory: &Remembered<E>,
    head: usize,
    (out, stride): (&mut [E], usize),
    scratch: &mut HeadScratch<E>,
) {
    let (keys, values) = &memory.heads[head];
    let (seen, h) = (memory.tokens, shape.head_dim());
    scratch.weights.reshape(n, seen);
    let wide = scratch.weights.stride();
    scratch.logits.reserve_zeroed(n * wide);
    let logits = Out::Plain(&mut scratch.logits, wide);
    matmul_in(scope, queries, keys, [seen, h], logits);
    let scale = (h as f32).powf(-0.5);
    let weights = scratch.weights.values_mut();
    elementwise::softmax_rounded(&mut scratch.logits[..n * wide], wide, seen, scale, weights);
    let weights = scratch.weights.all();
    matmul_in(scope, weights, values, [h, seen], Out::Rounded(out, stride));
}

fn norm<E: Element>([weight, bias]: &[Vec<f32>; 2], x: &[f32], y: &mut Rows<E>) {
    let stride = y.stride();
    elementwise::layer_norm_rounded(x, weight, bias, EPS, y.values_mut(), stride);
}
