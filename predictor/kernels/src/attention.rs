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
    /// Steps of this many tokens; a query sees its own step, every earlier one, and all keys before the
    /// queries' own.
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
            let earlier = k.rows - q.rows;
            for (query, row) in p.chunks_exact_mut(k.rows).enumerate() {
                let visible = (earlier + (query / per_step + 1) * per_step).min(k.rows);
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

/// Backward of [`attend`] for one sample, all that is seen being visible or weighed nothing: `dq`,
/// rows as far apart as those of `q`, and `dkv [keys, 2·d]`, keys before values, receive the
/// gradients, from `dout [queries, d]` and the saved weights `[heads, queries, keys]`. `scratch`
/// holds at least `queries · keys` values.
#[allow(clippy::too_many_arguments)]
pub(crate) fn attend_backward(
    q: StridedRows,
    k: StridedRows,
    v: StridedRows,
    weights: &[f32],
    dout: &[f32],
    heads: usize,
    head_dim: usize,
    dq: &mut [f32],
    dkv: &mut [f32],
    scratch: &mut [f32],
) {
    let d = heads * head_dim;
    let scale = (head_dim as f32).powf(-0.5);
    let narrow = |rows: usize, stride: usize| MatrixView::strided(rows, head_dim, stride);
    let square = MatrixView::new(q.rows, k.rows);
    let ds = &mut scratch[..q.rows * k.rows];
    let none = Parallelism::None;
    for (head, p) in weights.chunks_exact(q.rows * k.rows).enumerate() {
        let at = head * head_dim;
        let dout = (&dout[at..], narrow(q.rows, d));
        // dV = Pᵀ·dO, dP = dO·Vᵀ
        let dv = (&mut dkv[d + at..], narrow(k.rows, 2 * d));
        matmul(dv, (p, square.t()), dout, 1.0, Store::Set, none);
        let v = (&v.data[at..], narrow(v.rows, v.stride).t());
        matmul((ds, square), dout, v, 1.0, Store::Set, none);
        elementwise::softmax_backward(p, ds, k.rows);
        // dQ = dS·K, dK = dSᵀ·Q, both scaled
        let dq = (&mut dq[at..], narrow(q.rows, q.stride));
        let k_of_head = (&k.data[at..], narrow(k.rows, k.stride));
        matmul(dq, (ds, square), k_of_head, scale, Store::Set, none);
        let dk = (&mut dkv[at..], narrow(k.rows, 2 * d));
        let q = (&q.data[at..], narrow(q.rows, q.stride));
        matmul(dk, (ds, square.t()), q, scale, Store::Set, none);
    }
}
