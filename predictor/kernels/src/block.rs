//! One transformer block for training, over a batch of samples: forwards and backwards.

use gemm::Parallelism;

use crate::attention::{attend, attend_backward, StridedRows, Visibility};
use crate::block_parameters::{BlockGradients, BlockShape, BlockWeights, EPS};
use crate::elementwise;
use crate::matmul::{linear, linear_backward, Store};
use crate::rope::RopeTable;

/// Buffers one thread reuses from block to block.
#[derive(Debug)]
pub struct Workspace {
    parallelism: Parallelism,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    weights: Vec<f32>,
    attended: Vec<f32>,
    hidden: Vec<f32>,
    activated: Vec<f32>,
    kv: Vec<f32>,
}

impl Workspace {
    /// Matrix products use `parallelism`: none where samples are shared by the cores already.
    pub fn new(parallelism: Parallelism) -> Self {
        Workspace {
            parallelism,
            normed: Vec::new(),
            qkv: Vec::new(),
            weights: Vec::new(),
            attended: Vec::new(),
            hidden: Vec::new(),
            activated: Vec::new(),
            kv: Vec::new(),
        }
    }
}

/// What the backward pass of one block needs.
#[derive(Debug, Default)]
pub struct Saved {
    xhat1: Vec<f32>,
    rstd1: Vec<f32>,
    qkv: Vec<f32>,
    /// Keys and values of what came before and of the tokens themselves, `[B, seen, 2·D]`; empty
    /// where nothing came before.
    kv: Vec<f32>,
    weights: Vec<f32>,
    attended: Vec<f32>,
    xhat2: Vec<f32>,
    rstd2: Vec<f32>,
    hidden: Vec<f32>,
}

fn resize(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Saved {
    /// Queries, keys and values of a sample of `n` tokens `d` wide.
    fn attention(&self, sample: usize, n: usize, d: usize) -> [StridedRows<'_>; 3] {
        let qkv = &self.qkv[sample * n * 3 * d..(sample + 1) * n * 3 * d];
        let own = |i: usize| StridedRows {
            data: &qkv[i * d..],
            rows: n,
            stride: 3 * d,
        };
        if self.kv.is_empty() {
            return [own(0), own(1), own(2)];
        }
        let rows = self.kv.len() / (self.qkv.len() / (3 * d) / n) / (2 * d);
        let kv = &self.kv[sample * rows * 2 * d..(sample + 1) * rows * 2 * d];
        let seen = |i: usize| StridedRows {
            data: &kv[i * d..],
            rows,
            stride: 2 * d,
        };
        [own(0), seen(0), seen(1)]
    }

    /// Keys and values of the first `seen` tokens of all that were seen, `[B, seen, 2·D]`, for tokens that
    /// come after; `n` tokens a sample went through, `d` wide.
    pub fn keys_and_values(&self, seen: usize, n: usize, d: usize) -> Vec<f32> {
        let samples = self.qkv.len() / (n * 3 * d);
        let mut kept = Vec::with_capacity(samples * seen * 2 * d);
        for sample in 0..samples {
            let [_, k, v] = self.attention(sample, n, d);
            for row in 0..seen {
                kept.extend_from_slice(&k.data[row * k.stride..][..d]);
                kept.extend_from_slice(&v.data[row * v.stride..][..d]);
            }
        }
        kept
    }
}

/// Turns the query and key thirds of `qkv` rows, `n` tokens a sample.
fn rotate_qk(qkv: &mut [f32], d: usize, rope: &RopeTable, turn: fn(&mut [f32], &[f32], &[f32])) {
    let (n, h) = (rope.tokens(), rope.head_dim());
    for (row, qkv) in qkv.chunks_exact_mut(3 * d).enumerate() {
        let at = (row % n) * h;
        let (cos, sin) = (&rope.cos()[at..at + h], &rope.sin()[at..at + h]);
        turn(&mut qkv[..2 * d], cos, sin);
    }
}

/// `x [B·n, D]` through the block in place, `n = rope.tokens()`, keeping what [`backward`] needs.
/// Tokens also see those that came before, whose keys and values are `past [B, earlier, 2·D]`. The
/// memory of a `saved` that is no longer needed, or of a new one, is used.
#[allow(clippy::too_many_arguments)]
pub fn forward_saved(
    shape: BlockShape,
    w: &BlockWeights,
    x: &mut [f32],
    rope: &RopeTable,
    visibility: Visibility,
    past: &[f32],
    mut saved: Saved,
    ws: &mut Workspace,
) -> Saved {
    let parallelism = ws.parallelism;
    let (d, n, m) = (shape.dim, rope.tokens(), shape.hidden);
    let rows = x.len() / d;
    let samples = rows / n;
    let earlier = past.len() / (samples * 2 * d).max(1);
    let seen = earlier + n;
    // What is there is written over: only what grows needs zeros.
    for (buffer, len) in [
        (&mut saved.xhat1, rows * d),
        (&mut saved.rstd1, rows),
        (&mut saved.qkv, rows * 3 * d),
        (&mut saved.weights, samples * shape.heads * n * seen),
        (&mut saved.attended, rows * d),
        (&mut saved.xhat2, rows * d),
        (&mut saved.rstd2, rows),
        (&mut saved.hidden, rows * m),
    ] {
        buffer.resize(len, 0.0);
    }
    saved.kv.clear();
    let normed = resize(&mut ws.normed, rows * d);
    let (xhat, rstd) = (&mut saved.xhat1, &mut saved.rstd1);
    elementwise::layer_norm_saved(x, w.norm1, EPS, normed, xhat, rstd);
    linear(&mut saved.qkv, normed, w.qkv, Store::Set, parallelism);
    rotate_qk(&mut saved.qkv, d, rope, elementwise::rotate);
    if earlier > 0 {
        saved.kv.reserve_exact(samples * seen * 2 * d);
        let tokens = saved.qkv.chunks_exact(n * 3 * d);
        for (past, qkv) in past.chunks_exact(earlier * 2 * d).zip(tokens) {
            saved.kv.extend_from_slice(past);
            for token in qkv.chunks_exact(3 * d) {
                saved.kv.extend_from_slice(&token[d..]);
            }
        }
    }
    let per_sample = shape.heads * n * seen;
    let (mut weights, mut attended) = (
        std::mem::take(&mut saved.weights),
        std::mem::take(&mut saved.attended),
    );
    for (sample, (weights, out)) in weights
        .chunks_exact_mut(per_sample)
        .zip(attended.chunks_exact_mut(n * d))
        .enumerate()
    {
        let [q, k, v] = saved.attention(sample, n, d);
        let (heads, head_dim) = (shape.heads, shape.head_dim());
        attend(q, k, v, heads, head_dim, visibility, weights, out);
    }
    (saved.weights, saved.attended) = (weights, attended);
    linear(x, &saved.attended, w.proj, Store::Add, parallelism);
    let (xhat, rstd) = (&mut saved.xhat2, &mut saved.rstd2);
    elementwise::layer_norm_saved(x, w.norm2, EPS, normed, xhat, rstd);
    linear(&mut saved.hidden, normed, w.fc1, Store::Set, parallelism);
    let activated = resize(&mut ws.activated, rows * m);
    elementwise::gelu(&saved.hidden, activated);
    linear(x, activated, w.fc2, Store::Add, parallelism);
    saved
}

/// Gradients of keys and values that tokens of one pass share with those of another.
#[derive(Debug, Default)]
pub struct SharedGradients<'a> {
    /// Of those that came before, `[B, earlier, 2·D]`: added to.
    pub past: &'a mut [f32],
    /// Of the first tokens seen, from passes over tokens that came after, `[B, kept, 2·D]`.
    pub later: &'a [f32],
}

/// `grad [B·n, D]`, the gradient of the block's output, becomes that of its input; parameter
/// gradients are added to `g`.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    shape: BlockShape,
    w: &BlockWeights,
    saved: &Saved,
    grad: &mut [f32],
    rope: &RopeTable,
    g: &mut BlockGradients,
    shared: &mut SharedGradients,
    ws: &mut Workspace,
) {
    let parallelism = ws.parallelism;
    let (d, n, m) = (shape.dim, rope.tokens(), shape.hidden);
    let rows = grad.len() / d;
    let samples = rows / n;
    let normed = resize(&mut ws.normed, rows * d);
    // MLP.
    let activated = resize(&mut ws.activated, rows * m);
    elementwise::gelu(&saved.hidden, activated);
    let dhidden = resize(&mut ws.hidden, rows * m);
    linear_backward(
        grad,
        activated,
        w.fc2,
        Some(g.fc2.reborrow()),
        Some(dhidden),
        parallelism,
    );
    elementwise::gelu_backward(&saved.hidden, dhidden);
    elementwise::affine(&saved.xhat2, w.norm2, normed);
    let dnormed = resize(&mut ws.attended, rows * d);
    linear_backward(
        dhidden,
        normed,
        w.fc1,
        Some(g.fc1.reborrow()),
        Some(dnormed),
        parallelism,
    );
    let (xhat, rstd) = (&saved.xhat2, &saved.rstd2);
    elementwise::layer_norm_backward(dnormed, xhat, rstd, w.norm2, &mut g.norm2, grad);
    // Attention.
    let dattended = dnormed;
    let attended = &saved.attended;
    linear_backward(
        grad,
        attended,
        w.proj,
        Some(g.proj.reborrow()),
        Some(dattended),
        parallelism,
    );
    let dqkv = resize(&mut ws.qkv, rows * 3 * d);
    let earlier = shared.past.len() / (samples * 2 * d).max(1);
    let later = shared.later.len() / samples.max(1);
    let seen = earlier + n;
    let scratch = resize(&mut ws.weights, n * seen);
    let dkv = resize(&mut ws.kv, seen * 2 * d);
    let per_sample = shape.heads * n * seen;
    for (sample, weights) in saved.weights.chunks_exact(per_sample).enumerate() {
        let [q, k, v] = saved.attention(sample, n, d);
        let dqkv = &mut dqkv[sample * n * 3 * d..(sample + 1) * n * 3 * d];
        let dout = &dattended[sample * n * d..(sample + 1) * n * d];
        let (heads, head_dim) = (shape.heads, shape.head_dim());
        attend_backward(q, k, v, weights, dout, heads, head_dim, dqkv, dkv, scratch);
        let later = &shared.later[sample * later..(sample + 1) * later];
        dkv.iter_mut().zip(later).for_each(|(d, l)| *d += l);
        let (before, own) = dkv.split_at(earlier * 2 * d);
        let past = &mut shared.past[sample * before.len()..];
        past.iter_mut().zip(before).for_each(|(p, b)| *p += b);
        for (token, own) in dqkv.chunks_exact_mut(3 * d).zip(own.chunks_exact(2 * d)) {
            token[d..].copy_from_slice(own);
        }
    }
    rotate_qk(dqkv, d, rope, elementwise::rotate_backward);
    elementwise::affine(&saved.xhat1, w.norm1, normed);
    let dnormed = dattended;
    linear_backward(
        dqkv,
        normed,
        w.qkv,
        Some(g.qkv.reborrow()),
        Some(dnormed),
        parallelism,
    );
    let (xhat, rstd) = (&saved.xhat1, &saved.rstd1);
    elementwise::layer_norm_backward(dnormed, xhat, rstd, w.norm1, &mut g.norm1, grad);
}
