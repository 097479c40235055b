//! One transformer block, forwards over a batch of samples and backwards for training.

use gemm::Parallelism;

use crate::attention::{attend, attend_backward, StridedRows, Visibility};
use crate::elementwise;
use crate::matmul::{linear, linear_backward, Store};
use crate::rope::RopeTable;

/// Sizes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// Width of a token, `D`.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of the MLP, `M`.
    pub hidden: usize,
}

impl BlockShape {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.dim / self.heads
    }
}

/// One block's parameters in the official order and layout (`[out, in]` row-major).
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct BlockWeights<'a> {
    pub norm1_weight: &'a [f32],
    pub norm1_bias: &'a [f32],
    pub qkv_weight: &'a [f32],
    pub qkv_bias: &'a [f32],
    pub proj_weight: &'a [f32],
    pub proj_bias: &'a [f32],
    pub norm2_weight: &'a [f32],
    pub norm2_bias: &'a [f32],
    pub fc1_weight: &'a [f32],
    pub fc1_bias: &'a [f32],
    pub fc2_weight: &'a [f32],
    pub fc2_bias: &'a [f32],
}

/// Where one block's parameter gradients are added up.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct BlockGradients<'a> {
    pub norm1_weight: &'a mut [f32],
    pub norm1_bias: &'a mut [f32],
    pub qkv_weight: &'a mut [f32],
    pub qkv_bias: &'a mut [f32],
    pub proj_weight: &'a mut [f32],
    pub proj_bias: &'a mut [f32],
    pub norm2_weight: &'a mut [f32],
    pub norm2_bias: &'a mut [f32],
    pub fc1_weight: &'a mut [f32],
    pub fc1_bias: &'a mut [f32],
    pub fc2_weight: &'a mut [f32],
    pub fc2_bias: &'a mut [f32],
}

/// Names of a block's parameters in [`BlockWeights`] order.
pub const PARAMETER_NAMES: [&str; 12] = [
    "norm1.weight",
    "norm1.bias",
    "attn.qkv.weight",
    "attn.qkv.bias",
    "attn.proj.weight",
    "attn.proj.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
];

impl<'a> BlockWeights<'a> {
    /// From slices in [`PARAMETER_NAMES`] order.
    pub fn from_slices(s: [&'a [f32]; 12]) -> Self {
        let [norm1_weight, norm1_bias, qkv_weight, qkv_bias, proj_weight, proj_bias, norm2_weight, norm2_bias, fc1_weight, fc1_bias, fc2_weight, fc2_bias] =
            s;
        BlockWeights {
            norm1_weight,
            norm1_bias,
            qkv_weight,
            qkv_bias,
            proj_weight,
            proj_bias,
            norm2_weight,
            norm2_bias,
            fc1_weight,
            fc1_bias,
            fc2_weight,
            fc2_bias,
        }
    }
}

impl<'a> BlockGradients<'a> {
    /// From slices in [`PARAMETER_NAMES`] order.
    pub fn from_slices(s: [&'a mut [f32]; 12]) -> Self {
        let [norm1_weight, norm1_bias, qkv_weight, qkv_bias, proj_weight, proj_bias, norm2_weight, norm2_bias, fc1_weight, fc1_bias, fc2_weight, fc2_bias] =
            s;
        BlockGradients {
            norm1_weight,
            norm1_bias,
            qkv_weight,
            qkv_bias,
            proj_weight,
            proj_bias,
            norm2_weight,
            norm2_bias,
            fc1_weight,
            fc1_bias,
            fc2_weight,
            fc2_bias,
        }
    }
}

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
    /// Matrix products use `parallelism`: none where samples are spread over the cores already.
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

/// Added to the variance in every affine layer normalisation of the models.
pub const NORM_EPS: f64 = 1e-6;

pub(crate) const EPS: f32 = NORM_EPS as f32;

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
    let (d, n, m) = (shape.dim, rope.tokens(), shape.hidden);
    let rows = x.len() / d;
    let samples = rows / n;
    let none = ws.parallelism;
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
    elementwise::layer_norm_saved(
        x,
        (w.norm1_weight, w.norm1_bias),
        EPS,
        normed,
        &mut saved.xhat1,
        &mut saved.rstd1,
    );
    linear(
        &mut saved.qkv,
        normed,
        w.qkv_weight,
        w.qkv_bias,
        Store::Set,
        none,
    );
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
    linear(
        x,
        &saved.attended,
        w.proj_weight,
        w.proj_bias,
        Store::Add,
        none,
    );
    elementwise::layer_norm_saved(
        x,
        (w.norm2_weight, w.norm2_bias),
        EPS,
        normed,
        &mut saved.xhat2,
        &mut saved.rstd2,
    );
    linear(
        &mut saved.hidden,
        normed,
        w.fc1_weight,
        w.fc1_bias,
        Store::Set,
        none,
    );
    let activated = resize(&mut ws.activated, rows * m);
    elementwise::gelu(&saved.hidden, activated);
    linear(x, activated, w.fc2_weight, w.fc2_bias, Store::Add, none);
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
        w.fc2_weight,
        g.fc2_weight,
        g.fc2_bias,
        Some((dhidden, Store::Set)),
        parallelism,
    );
    elementwise::gelu_backward(&saved.hidden, dhidden);
    elementwise::affine(&saved.xhat2, w.norm2_weight, w.norm2_bias, normed);
    let dnormed = resize(&mut ws.attended, rows * d);
    linear_backward(
        dhidden,
        normed,
        w.fc1_weight,
        g.fc1_weight,
        g.fc1_bias,
        Some((dnormed, Store::Set)),
        parallelism,
    );
    elementwise::layer_norm_backward(
        dnormed,
        &saved.xhat2,
        &saved.rstd2,
        w.norm2_weight,
        (g.norm2_weight, g.norm2_bias),
        grad,
    );
    // Attention.
    let dattended = dnormed;
    linear_backward(
        grad,
        &saved.attended,
        w.proj_weight,
        g.proj_weight,
        g.proj_bias,
        Some((dattended, Store::Set)),
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
    elementwise::affine(&saved.xhat1, w.norm1_weight, w.norm1_bias, normed);
    let dnormed = dattended;
    linear_backward(
        dqkv,
        normed,
        w.qkv_weight,
        g.qkv_weight,
        g.qkv_bias,
        Some((dnormed, Store::Set)),
        parallelism,
    );
    elementwise::layer_norm_backward(
        dnormed,
        &saved.xhat1,
        &saved.rstd1,
        w.norm1_weight,
        (g.norm1_weight, g.norm1_bias),
        grad,
    );
}
