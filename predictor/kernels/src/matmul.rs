//! Matrix products and linear layers on slices, checked, over the `gemm` crate: what trains.

use gemm::Parallelism;

use crate::block_parameters::LayerParameters;

/// A strided view of an f32 matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatrixView {
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl MatrixView {
    /// `rows × columns`, rows contiguous.
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        MatrixView::strided(rows, columns, columns)
    }

    /// `rows × columns` with rows `row_stride` apart.
    pub(crate) fn strided(rows: usize, columns: usize, row_stride: usize) -> Self {
        MatrixView {
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transpose of the same memory.
    pub(crate) fn t(self) -> Self {
        MatrixView {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// One past the last element this view touches.
    fn extent(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// What happens to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Overwritten.
    Set,
    /// Added to.
    Add,
}

/// `dst = scale · a · b`, or `dst += scale · a · b`.
///
/// # Panics
/// When the shapes don't agree or a view reaches past its slice: a bug in the caller, checked
/// once per product.
#[allow(clippy::too_many_arguments)]
pub(crate) fn matmul(
    (dst, dst_view): (&mut [f32], MatrixView),
    (a, a_view): (&[f32], MatrixView),
    (b, b_view): (&[f32], MatrixView),
    scale: f32,
    store: Store,
    parallelism: Parallelism,
) {
    assert_eq!(a_view.columns, b_view.rows, "inner dimensions");
    assert_eq!(dst_view.rows, a_view.rows, "rows");
    assert_eq!(dst_view.columns, b_view.columns, "columns");
    assert!(dst_view.extent() <= dst.len(), "destination too short");
    assert!(a_view.extent() <= a.len(), "left operand too short");
    assert!(b_view.extent() <= b.len(), "right operand too short");
    // SAFETY: every element a view reaches lies inside its slice (asserted above), `dst` is
    // borrowed mutably so it overlaps neither operand, and distinct (row, column) pairs of
    // `dst_view` are distinct elements because views are only built row-major or transposed.
    unsafe {
        gemm::gemm(
            dst_view.rows,
            dst_view.columns,
            a_view.columns,
            dst.as_mut_ptr(),
            dst_view.column_stride as isize,
            dst_view.row_stride as isize,
            store == Store::Add,
            a.as_ptr(),
            a_view.column_stride as isize,
            a_view.row_stride as isize,
            b.as_ptr(),
            b_view.column_stride as isize,
            b_view.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `dst [rows, out] = x [rows, in] · wᵀ + bias`, or added to `dst`.
pub fn linear(
    dst: &mut [f32],
    x: &[f32],
    layer: LayerParameters<&[f32]>,
    store: Store,
    parallelism: Parallelism,
) {
    let outputs = layer.bias.len();
    if outputs == 0 || dst.is_empty() {
        return;
    }
    let (rows, inputs) = (dst.len() / outputs, layer.weight.len() / outputs);
    for row in dst.chunks_exact_mut(outputs) {
        match store {
            Store::Set => row.copy_from_slice(layer.bias),
            Store::Add => row.iter_mut().zip(layer.bias).for_each(|(y, b)| *y += b),
        }
    }
    matmul(
        (dst, MatrixView::new(rows, outputs)),
        (x, MatrixView::new(rows, inputs)),
        (layer.weight, MatrixView::new(outputs, inputs).t()),
        1.0,
        Store::Add,
        parallelism,
    );
}

/// Gradients of [`linear`]: adds to those of the layer and stores `dx = dy · w`, where they are
/// wanted.
pub fn linear_backward(
    dy: &[f32],
    x: &[f32],
    layer: LayerParameters<&[f32]>,
    gradient: Option<LayerParameters<&mut [f32]>>,
    dx: Option<&mut [f32]>,
    parallelism: Parallelism,
) {
    let outputs = layer.bias.len();
    if outputs == 0 || dy.is_empty() {
        return;
    }
    let (rows, inputs) = (dy.len() / outputs, layer.weight.len() / outputs);
    if let Some(gradient) = gradient {
        matmul(
            (gradient.weight, MatrixView::new(outputs, inputs)),
            (dy, MatrixView::new(rows, outputs).t()),
            (x, MatrixView::new(rows, inputs)),
            1.0,
            Store::Add,
            parallelism,
        );
        for row in dy.chunks_exact(outputs) {
            let sums = gradient.bias.iter_mut().zip(row);
            sums.for_each(|(g, d)| *g += d);
        }
    }
    let Some(dx) = dx else { return };
    matmul(
        (dx, MatrixView::new(rows, inputs)),
        (dy, MatrixView::new(rows, outputs)),
        (layer.weight, MatrixView::new(outputs, inputs)),
        1.0,
        Store::Set,
        parallelism,
    );
}
