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
        }
    }
}

/// What the backward pass of one block needs.
#[derive(Debug, Default)]
pub struct Saved {
    xhat1: Vec<f32>,
    rstd1: Vec<f32>,
    qkv: Vec<f32>,
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
pub fn forward_saved(
    shape: BlockShape,
    w: &BlockWeights,
    x: &mut [f32],
    rope: &RopeTable,
    visibility: Visibility,
    ws: &mut Workspace,
) -> Saved {
    let parallelism = ws.parallelism;
    let (d, n, m) = (shape.dim, rope.tokens(), shape.hidden);
    let rows = x.len() / d;
    let samples = rows / n;
    let mut saved = Saved {
        xhat1: vec![0.0; rows * d],
        rstd1: vec![0.0; rows],
        qkv: vec![0.0; rows * 3 * d],
        weights: vec![0.0; samples * shape.heads * n * n],
        attended: vec![0.0; rows * d],
        xhat2: vec![0.0; rows * d],
        rstd2: vec![0.0; rows],
        hidden: vec![0.0; rows * m],
    };
    let normed = resize(&mut ws.normed, rows * d);
    let (xhat, rstd) = (&mut saved.xhat1, &mut saved.rstd1);
    elementwise::layer_norm_saved(x, w.norm1, EPS, normed, xhat, rstd);
    linear(&mut saved.qkv, normed, w.qkv, Store::Set, parallelism);
    rotate_qk(&mut saved.qkv, d, rope, elementwise::rotate);
    for sample in 0..samples {
        let qkv = &saved.qkv[sample * n * 3 * d..(sample + 1) * n * 3 * d];
        let part = |i: usize| StridedRows {
            data: &qkv[i * d..],
            rows: n,
            stride: 3 * d,
        };
        let per_sample = shape.heads * n * n;
        attend(
            part(0),
            part(1),
            part(2),
            shape.heads,
            shape.head_dim(),
            visibility,
            &mut saved.weights[sample * per_sample..(sample + 1) * per_sample],
            &mut saved.attended[sample * n * d..(sample + 1) * n * d],
        );
    }
    linear(x, &saved.attended, w.proj, Store::Add, parallelism);
    let (xhat, rstd) = (&mut saved.xhat2, &mut saved.rstd2);
    elementwise::layer_norm_saved(x, w.norm2, EPS, normed, xhat, rstd);
    linear(&mut saved.hidden, normed, w.fc1, Store::Set, parallelism);
    let activated = resize(&mut ws.activated, rows * m);
    elementwise::gelu(&saved.hidden, activated);
    linear(x, activated, w.fc2, Store::Add, parallelism);
    saved
}

/// `grad [B·n, D]`, the gradient of the block's output, becomes that of its input; parameter
/// gradients are added to `g`.
pub fn backward(
    shape: BlockShape,
    w: &BlockWeights,
    saved: &Saved,
    grad: &mut [f32],
    rope: &RopeTable,
    g: &mut BlockGradients,
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
    let scratch = resize(&mut ws.weights, n * n);
    for sample in 0..samples {
        let wide = sample * n * 3 * d..(sample + 1) * n * 3 * d;
        let per_sample = shape.heads * n * n;
        attend_backward(
            &saved.qkv[wide.clone()],
            &saved.weights[sample * per_sample..(sample + 1) * per_sample],
            &dattended[sample * n * d..(sample + 1) * n * d],
            shape.heads,
            shape.head_dim(),
            &mut dqkv[wide],
            scratch,
        );
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
