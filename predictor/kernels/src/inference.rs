//! A transformer block of packed weights, forwards only: what plans are made with.
//!
//! The steps are those of the official code:
//!
//! ```text
//! x += proj(attention(norm1(x)))        queries and keys turned by RoPE
//! x += fc2(gelu(fc1(norm2(x))))
//! ```
//!
//! The residual stream `x`, norms and softmax are f32; operands of matrix products are `E`.

use rayon::prelude::*;

use crate::aligned::Aligned;
use crate::block_parameters::{BlockShape, BlockWeights, LayerParameters, EPS};
use crate::elementwise::{self, RunningSoftmax};
use crate::instruction_set::InstructionSet;
use crate::packed::{
    matmul, matmul_in, matmul_parallel, Epilogue, LeftOperand, PackedMatrix, Rows,
};
use crate::profile::{KernelStage, Laps};
use crate::rope::RopeTable;
use crate::tile::{Element, Scope};

/// A linear layer, its weights packed.
#[derive(Debug, Clone)]
pub struct PackedLinear<E: Element> {
    weight: PackedMatrix<E>,
    bias: Vec<f32>,
}

impl<E: Element> PackedLinear<E> {
    /// From weights `[outputs, inputs]` and a bias per output.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let inputs = weight.len() / bias.len().max(1);
        PackedLinear {
            weight: PackedMatrix::from_weights(weight, bias.len(), inputs),
            bias: bias.to_vec(),
        }
    }

    /// `dst = x·wᵀ + b`.
    pub fn set(&self, execution: ExecutionContext, x: LeftOperand<E>, dst: &mut [f32]) {
        let out = Epilogue::Set(dst, self.bias.len(), &self.bias);
        execution.product(x, &self.weight, out);
    }

    /// `dst += x·wᵀ + b`.
    pub(crate) fn add(&self, execution: ExecutionContext, x: LeftOperand<E>, dst: &mut [f32]) {
        let out = Epilogue::Add(dst, self.bias.len(), &self.bias);
        execution.product(x, &self.weight, out);
    }

    /// `dst = gelu(x·wᵀ + b)`.
    pub fn gelu(&self, execution: ExecutionContext, x: LeftOperand<E>, dst: &mut Rows<E>) {
        let stride = dst.stride();
        let out = Epilogue::Gelu(dst.values_mut(), stride, &self.bias);
        execution.product(x, &self.weight, out);
    }
}

/// Where products are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionContext {
    /// What multiplies.
    pub instruction_set: InstructionSet,
    /// Whether one product is shared by the cores: for a few samples of a large model. Many
    /// samples are cheaper shared out whole.
    pub parallel: bool,
}

impl ExecutionContext {
    fn product<E: Element>(self, left: LeftOperand<E>, right: &PackedMatrix<E>, out: Epilogue<E>) {
        if self.parallel {
            matmul_parallel(self.instruction_set, left, right, out);
        } else {
            matmul(self.instruction_set, left, right, out);
        }
    }
}

/// A block's weights, packed.
#[derive(Debug, Clone)]
pub struct PackedBlock<E: Element> {
    shape: BlockShape,
    norm1: [Vec<f32>; 2],
    qkv: PackedLinear<E>,
    proj: PackedLinear<E>,
    norm2: [Vec<f32>; 2],
    fc1: PackedLinear<E>,
    fc2: PackedLinear<E>,
}

/// Rotated keys, and values, of the tokens one sample has seen: one pair of packed operands a
/// head, keys as outputs and values as inner dimension. A ring: once full, what comes takes the place
/// of the oldest. Attention asks for no order, and the keys are turned to where they were.
#[derive(Debug, Clone)]
pub struct KvCache<E: Element> {
    heads: Vec<(PackedMatrix<E>, PackedMatrix<E>)>,
    capacity: usize,
    tokens: usize,
    /// Where the next token goes.
    next: usize,
}

impl<E: Element> KvCache<E> {
    /// Room for `capacity` tokens: whole steps of those that are added together.
    pub fn new(shape: BlockShape, capacity: usize) -> Self {
        let head = || {
            (
                PackedMatrix::zeros(capacity, shape.head_dim()),
                PackedMatrix::zeros(shape.head_dim(), capacity),
            )
        };
        KvCache {
            heads: (0..shape.heads).map(|_| head()).collect(),
            capacity,
            tokens: 0,
            next: 0,
        }
    }

    /// Forgets everything; the room stays. Rows of the inner dimension beyond what is
    /// remembered meet weights of exactly zero, so old values there do no harm.
    pub fn clear(&mut self) {
        self.tokens = 0;
        self.next = 0;
    }
}

/// Buffers of one thread, reused from block to block.
#[derive(Debug)]
pub struct InferenceWorkspace<E: Element> {
    normed: Rows<E>,
    qkv: Aligned<f32>,
    queries: Rows<E>,
    attended: Rows<E>,
    hidden: Rows<E>,
    attention: AttentionWorkspace<E>,
}

/// Buffers of attention, one set a thread.
#[derive(Debug)]
struct AttentionWorkspace<E: Element> {
    logits: Aligned<f32>,
    weights: Rows<E>,
    running: Vec<RunningSoftmax>,
    sums: Aligned<f32>,
}

/// Keys that one softmax takes at once. More come block by block, so that scores stay in the
/// second-level cache however long a clip is.
const KEYS: usize = 512;
/// Queries that go through all keys together where either are many.
const QUERIES: usize = 128;

impl<E: Element> Default for InferenceWorkspace<E> {
    fn default() -> Self {
        InferenceWorkspace {
            normed: Rows::new(),
            qkv: Aligned::new(),
            queries: Rows::new(),
            attended: Rows::new(),
            hidden: Rows::new(),
            attention: AttentionWorkspace::new(),
        }
    }
}

impl<E: Element> AttentionWorkspace<E> {
    fn new() -> Self {
        AttentionWorkspace {
            logits: Aligned::new(),
            weights: Rows::new(),
            running: Vec::new(),
            sums: Aligned::new(),
        }
    }
}

impl<E: Element> PackedBlock<E> {
    /// Packs a block's weights.
    pub fn new(shape: BlockShape, w: &BlockWeights) -> Self {
        let linear = |l: LayerParameters<&[f32]>| PackedLinear::new(l.weight, l.bias);
        let norm = |l: LayerParameters<&[f32]>| [l.weight.to_vec(), l.bias.to_vec()];
        PackedBlock {
            shape,
            norm1: norm(w.norm1),
            qkv: linear(w.qkv),
            proj: linear(w.proj),
            norm2: norm(w.norm2),
            fc1: linear(w.fc1),
            fc2: linear(w.fc2),
        }
    }

    /// `x [B·n, D]` through the block in place, `n = rope.tokens()`, for as many samples as
    /// there are `caches`: the tokens' keys and values are added to them, and queries see all
    /// that is remembered.
    pub fn forward(
        &self,
        execution: ExecutionContext,
        x: &mut [f32],
        rope: &RopeTable,
        caches: &mut [KvCache<E>],
        workspace: &mut InferenceWorkspace<E>,
    ) {
        let d = self.shape.dim;
        let rows = x.len() / d;
        let mut laps = Laps::start();
        workspace.normed.reshape(rows, d);
        norm(execution, &self.norm1, x, &mut workspace.normed);
        laps.mark(KernelStage::Norm);
        workspace.qkv.reserve_zeroed(rows * 3 * d);
        self.qkv.set(
            execution,
            workspace.normed.all(),
            &mut workspace.qkv[..rows * 3 * d],
        );
        laps.mark(KernelStage::Products);
        self.attend(execution, rope, caches, workspace);
        laps.mark(KernelStage::Attention);
        self.proj.add(execution, workspace.attended.all(), x);
        laps.mark(KernelStage::Products);
        norm(execution, &self.norm2, x, &mut workspace.normed);
        laps.mark(KernelStage::Norm);
        workspace.hidden.reshape(rows, self.shape.hidden);
        let (normed, hidden) = (&workspace.normed, &mut workspace.hidden);
        self.fc1.gelu(execution, normed.all(), hidden);
        self.fc2.add(execution, workspace.hidden.all(), x);
        laps.mark(KernelStage::Products);
    }

    /// `attended = softmax(q·kᵀ/√head_dim)·v` for every sample and head.
    fn attend(
        &self,
        execution: ExecutionContext,
        rope: &RopeTable,
        caches: &mut [KvCache<E>],
        workspace: &mut InferenceWorkspace<E>,
    ) {
        let (shape, n) = (self.shape, rope.tokens());
        let (d, rows) = (shape.dim, caches.len() * n);
        let head_stride = shape.head_dim().next_multiple_of(E::INNER);
        workspace.queries.reshape(rows, shape.heads * head_stride);
        workspace.attended.reshape(rows, d);
        let (query_stride, attended_stride) =
            (workspace.queries.stride(), workspace.attended.stride());
        let samples = workspace.qkv[..rows * 3 * d]
            .chunks_exact_mut(n * 3 * d)
            .zip(
                workspace
                    .queries
                    .values_mut()
                    .chunks_exact_mut(n * query_stride),
            )
            .zip(caches.iter_mut());
        for ((qkv, queries), cache) in samples {
            append(execution, shape, rope, qkv, queries, query_stride, cache);
        }
        let queries = &workspace.queries;
        let attended = workspace.attended.values_mut();
        let seen = caches.first().map_or(0, |cache| cache.tokens);
        let together = if execution.parallel || n * seen > QUERIES * 1024 {
            QUERIES
        } else {
            n
        };
        // Pieces of queries, each a sample's number and that of its first query.
        let samples = attended.chunks_exact_mut(n * attended_stride).enumerate();
        let pieces = samples.flat_map(|(sample, out)| {
            let pieces = out.chunks_mut(together * attended_stride).enumerate();
            pieces.map(move |(i, out)| (sample, i * together, out))
        });
        let caches = &*caches;
        let one = |s: &mut AttentionWorkspace<E>, piece: (usize, usize, &mut [E])| {
            let (sample, first, out) = piece;
            let rows = out.len() / attended_stride;
            let scope = Scope::enter(execution.instruction_set);
            for head in 0..shape.heads {
                let q = queries.part(sample * n + first, rows, head * head_stride);
                let out = &mut out[head * shape.head_dim()..];
                let out = (out, attended_stride);
                attend_head(&scope, shape, q, rows, &caches[sample], head, out, s);
            }
        };
        if execution.parallel {
            let pieces: Vec<_> = pieces.collect();
            let pieces = pieces.into_par_iter();
            pieces.for_each_init(AttentionWorkspace::new, one);
        } else {
            for piece in pieces {
                one(&mut workspace.attention, piece);
            }
        }
    }
}

/// Turns queries and keys, rounds the queries into `queries [n, heads·head_stride]` and adds
/// keys and values to `cache`.
fn append<E: Element>(
    execution: ExecutionContext,
    shape: BlockShape,
    rope: &RopeTable,
    qkv: &mut [f32],
    queries: &mut [E],
    query_stride: usize,
    cache: &mut KvCache<E>,
) {
    let (d, h) = (shape.dim, shape.head_dim());
    let head_stride = h.next_multiple_of(E::INNER);
    let turn = |(token, (row, queries)): (usize, (&mut [f32], &mut [E]))| {
        let at = token * h..(token + 1) * h;
        let (cos, sin) = (&rope.cos()[at.clone()], &rope.sin()[at]);
        elementwise::rotate(&mut row[..2 * d], cos, sin);
        elementwise::round_rows(&row[..d], h, queries, head_stride);
    };
    if execution.parallel {
        let rows = qkv.par_chunks_exact_mut(3 * d);
        let rows = rows.zip(queries.par_chunks_exact_mut(query_stride));
        rows.enumerate().with_min_len(16).for_each(turn);
    } else {
        let rows = qkv.chunks_exact_mut(3 * d);
        let rows = rows.zip(queries.chunks_exact_mut(query_stride));
        rows.enumerate().for_each(turn);
    }
    let (qkv, first) = (&*qkv, cache.next);
    let keep = |(head, (keys, values)): (usize, &mut (PackedMatrix<E>, PackedMatrix<E>))| {
        for (token, row) in qkv.chunks_exact(3 * d).enumerate() {
            let (k, v) = (&row[d + head * h..][..h], &row[2 * d + head * h..][..h]);
            keys.set_output(first + token, k);
            values.set_inner(first + token, v);
        }
    };
    if execution.parallel {
        cache.heads.par_iter_mut().enumerate().for_each(keep);
    } else {
        cache.heads.iter_mut().enumerate().for_each(keep);
    }
    cache.tokens = (cache.tokens + rope.tokens()).min(cache.capacity);
    cache.next = (cache.next + rope.tokens()) % cache.capacity;
}

#[allow(clippy::too_many_arguments)]
fn attend_head<E: Element>(
    scope: &Scope,
    shape: BlockShape,
    queries: LeftOperand<E>,
    n: usize,
    cache: &KvCache<E>,
    head: usize,
    (out, stride): (&mut [E], usize),
    workspace: &mut AttentionWorkspace<E>,
) {
    let (keys, values) = &cache.heads[head];
    let (seen, h) = (cache.tokens, shape.head_dim());
    let scale = (h as f32).powf(-0.5);
    let blocks = seen > KEYS;
    let AttentionWorkspace {
        logits,
        weights,
        running,
        sums,
    } = workspace;
    weights.reshape(n, seen.min(KEYS));
    let wide = weights.stride();
    logits.reserve_zeroed(n * wide);
    if blocks {
        running.clear();
        running.resize(n, RunningSoftmax::NOTHING);
        sums.reserve_zeroed(n * h);
        sums[..n * h].fill(0.0);
    }
    for first in (0..seen).step_by(KEYS) {
        let here = first..seen.min(first + KEYS);
        let plain = Epilogue::Plain(logits, wide);
        matmul_in(scope, queries, keys, here.clone(), 0..h, plain);
        let (x, y) = (&mut logits[..n * wide], weights.values_mut());
        if blocks {
            let sums = &mut sums[..n * h];
            elementwise::softmax_block(x, wide, here.len(), scale, y, running, sums, h);
            let out = Epilogue::Accumulate(sums, h);
            matmul_in(scope, weights.all(), values, 0..h, here, out);
        } else {
            elementwise::softmax_rounded(x, wide, seen, scale, y);
            let out = Epilogue::Rounded(&mut *out, stride);
            matmul_in(scope, weights.all(), values, 0..h, here, out);
        }
    }
    if blocks {
        elementwise::softmax_finished(&sums[..n * h], h, running, out, stride);
    }
}

fn norm<E: Element>(
    execution: ExecutionContext,
    [weight, bias]: &[Vec<f32>; 2],
    x: &[f32],
    y: &mut Rows<E>,
) {
    const ROWS: usize = 32;
    let stride = y.stride();
    let norm = |x: &[f32], y: &mut [E]| {
        elementwise::layer_norm_rounded(x, weight, bias, EPS, y, stride);
    };
    if execution.parallel {
        let x = x.par_chunks(ROWS * weight.len());
        let y = y.values_mut().par_chunks_mut(ROWS * stride);
        x.zip(y).for_each(|(x, y)| norm(x, y));
    } else {
        norm(x, y.values_mut());
    }
}
