//! Multi-head attention of one sample over strided rows.

use gemm::Parallelism;

use crate::elementwise;
use crate::matmul::{matmul, MatrixView, Store};

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// All of them. With a cache of earlier steps this is block-causal attention exactly: the
    /// newest step sees itself and everything before.
    All,
    /// Steps of this many tokens; a query sees its own step and every earlier one.
    BlockCausal(usize),
}

/// Rows of one sample: `rows` of `width` values each `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StridedRows<'a> {
    /// Memory that starts at the first row.
    pub(crate) data: &'a [f32],
    /// Number of rows.
    pub(crate) rows: usize,
    /// Distance between rows.
    pub(crate) stride: usize,
}

/// `out [queries, heads·head_dim] = softmax(q·kᵀ/√head_dim)·v`, head by head, for one sample.
/// `weights` receives the attention weights `[heads, queries, keys]`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn attend(
    q: StridedRows,
    k: StridedRows,
    v: StridedRows,
    heads: usize,
    head_dim: usize,
    visibility: Visibility,
    weights: &mut [f32],
    out: &mut [f32],
) {
    let scale = (head_dim as f32).powf(-0.5);
    let d = heads * head_dim;
    for head in 0..heads {
        let at = head * head_dim;
        let p = &mut weights[head * q.rows * k.rows..(head + 1) * q.rows * k.rows];
        matmul(
            (p, MatrixView::new(q.rows, k.rows)),
            (
                &q.data[at..],
                MatrixView::strided(q.rows, head_dim, q.stride),
            ),
            (
                &k.data[at..],
                MatrixView::strided(k.rows, head_dim, k.stride).t(),
            ),
            1.0,
            Store::Set,
            Parallelism::None,
        );
        if let Visibility::BlockCausal(per_step) = visibility {
            for (query, row) in p.chunks_exact_mut(k.rows).enumerate() {
                let visible = ((query / per_step + 1) * per_step).min(k.rows);
                row[visible..].fill(f32::NEG_INFINITY);
            }
        }
        elementwise::softmax_rows(p, k.rows, scale);
        matmul(
            (&mut out[at..], MatrixView::strided(q.rows, head_dim, d)),
            (p, MatrixView::new(q.rows, k.rows)),
            (
                &v.data[at..],
                MatrixView::strided(v.rows, head_dim, v.stride),
            ),
            1.0,
            Store::Set,
            Parallelism::None,
        );
    }
}

/// Backward of [`attend`] where queries, keys and values are the three thirds of one buffer
/// `qkv [n, 3·d]`, rotated: `dqkv` receives the gradients, from `dout [n, d]` and the saved
/// weights `[heads, n, n]`. `scratch` holds at least `n²` values.
pub(crate) fn attend_backward(
    qkv: &[f32],
    weights: &[f32],
    dout: &[f32],
    heads: usize,
    head_dim: usize,
    dqkv: &mut [f32],
    scratch: &mut [f32],
) {
    let d = heads * head_dim;
    let n = dout.len() / d;
    let scale = (head_dim as f32).powf(-0.5);
    let wide = MatrixView::strided(n, head_dim, 3 * d);
    let square = MatrixView::new(n, n);
    let ds = &mut scratch[..n * n];
    for head in 0..heads {
        let at = head * head_dim;
        let p = &weights[head * n * n..(head + 1) * n * n];
        let dout = (&dout[at..], MatrixView::strided(n, head_dim, d));
        let none = Parallelism::None;
        // dV = Pᵀ·dO, dP = dO·Vᵀ
        let dv = (&mut dqkv[2 * d + at..], wide);
        matmul(dv, (p, square.t()), dout, 1.0, Store::Set, none);
        let v = (&qkv[2 * d + at..], wide.t());
        matmul((ds, square), dout, v, 1.0, Store::Set, none);
        elementwise::softmax_backward(p, ds, n);
        // dQ = dS·K, dK = dSᵀ·Q, both scaled
        let k = (&qkv[d + at..], wide);
        matmul(
            (&mut dqkv[at..], wide),
            (ds, square),
            k,
            scale,
            Store::Set,
            none,
        );
        let q = (&qkv[at..], wide);
        let dk = (&mut dqkv[d + at..], wide);
        matmul(dk, (ds, square.t()), q, scale, Store::Set, none);
    }
}
