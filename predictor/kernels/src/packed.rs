//! Matrix products with a packed right operand: the one safe interface to the `crate::tile`s.
//!
//! Weights are packed once, into panels of `COLUMNS` outputs in the order a tile reads them.
//! Activations are rows of [`Rows`], padded so that a tile may read past the last one. What
//! happens to a product (bias, GELU, adding to a residual stream, rounding) happens tile by tile
//! while it is in the cache: see [`Epilogue`].

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use crate::aligned::{Aligned, LINE};
use crate::elementwise;
use crate::instruction_set::InstructionSet;
use crate::tile::{prefetch, Element, InitialSums, Scope, Tile, COLUMNS, ROWS};

/// A right operand `[inner, outputs]`, as panels `[outputs/32, inner/GROUP, 32, GROUP]`.
#[derive(Debug, Clone)]
pub struct PackedMatrix<E: Element> {
    panels: Aligned<E>,
    outputs: usize,
    padded: usize,
}

impl<E: Element> PackedMatrix<E> {
    /// All zeros.
    pub fn zeros(outputs: usize, inner: usize) -> Self {
        let padded = inner.next_multiple_of(E::INNER);
        PackedMatrix {
            panels: Aligned::zeros(outputs.next_multiple_of(COLUMNS) * padded),
            outputs,
            padded,
        }
    }

    /// A linear layer's weights `[outputs, inner]`, row-major as PyTorch stores them.
    ///
    /// # Panics
    /// When `weights` has another length.
    pub fn from_weights(weights: &[f32], outputs: usize, inner: usize) -> Self {
        assert_eq!(weights.len(), outputs * inner, "weights");
        let mut packed = PackedMatrix::zeros(outputs, inner);
        let (padded, panel) = (packed.padded, packed.padded * COLUMNS);
        let rows = weights.par_chunks(COLUMNS * inner.max(1));
        packed
            .panels
            .par_chunks_mut(panel.max(1))
            .zip(rows)
            .for_each(|(panel, rows)| {
                for (column, row) in rows.chunks_exact(inner).enumerate() {
                    for (k, value) in row.iter().enumerate() {
                        panel[offset::<E>(column, k, padded)] = E::round(*value);
                    }
                }
            });
        packed
    }

    /// Sets the column of output `output` from the inner index `first` on: keys, whose inner
    /// dimension is a head's.
    pub(crate) fn set_output(&mut self, output: usize, values: &[f32]) {
        // Groups of the inner dimension lie a panel's width apart.
        let first = offset::<E>(output, 0, self.padded);
        let groups = self.panels[first..].chunks_mut(COLUMNS * E::GROUP);
        for (group, values) in groups.zip(values.chunks(E::GROUP)) {
            for (dst, value) in group.iter_mut().zip(values) {
                *dst = E::round(*value);
            }
        }
    }

    /// Sets row `k` of the inner dimension: values, whose inner dimension is the keys.
    pub(crate) fn set_inner(&mut self, k: usize, values: &[f32]) {
        let first = offset::<E>(0, k, self.padded);
        let panels = self.panels[first..].chunks_mut(self.padded * COLUMNS);
        for (panel, values) in panels.zip(values.chunks(COLUMNS)) {
            for (dst, value) in panel.chunks_mut(E::GROUP).zip(values) {
                dst[0] = E::round(*value);
            }
        }
    }
}

/// Where element `(k, output)` lies.
#[inline(always)]
fn offset<E: Element>(output: usize, k: usize, padded: usize) -> usize {
    let (panel, column) = (output / COLUMNS, output % COLUMNS);
    panel * padded * COLUMNS + (k / E::GROUP * COLUMNS + column) * E::GROUP + k % E::GROUP
}

/// Elements between rows: whole cache lines, and an odd number of them where rows are long. Rows
/// a power of two apart would share a few sets of the first-level cache and push each other out.
fn row_stride<E: Element>(width: usize) -> usize {
    let line = LINE / size_of::<E>();
    let stride = width.next_multiple_of(E::INNER.max(line));
    let lines = stride / line;
    stride + if lines.is_multiple_of(8) { line } else { 0 }
}

/// Activations `[rows, width]`; memory reaches a whole tile past any row.
#[derive(Debug, Clone, Default)]
pub struct Rows<E: Element> {
    values: Aligned<E>,
    rows: usize,
    width: usize,
    stride: usize,
}

impl<E: Element> Rows<E> {
    /// No rows yet.
    pub fn new() -> Self {
        Rows {
            values: Aligned::new(),
            rows: 0,
            width: 0,
            stride: 0,
        }
    }

    /// Makes room for `rows` of `width`; columns beyond `width` up to the padding are zero,
    /// everything else is whatever was there.
    pub fn reshape(&mut self, rows: usize, width: usize) {
        let stride = row_stride::<E>(width);
        if self.width != width {
            // Old values would lie in the padding.
            self.values.fill(E::ZERO);
        }
        self.values.reserve_zeroed((rows + ROWS) * stride);
        (self.rows, self.width, self.stride) = (rows, width, stride);
    }

    /// Distance between rows, at least the padded width.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The rows, `stride` apart.
    pub fn values(&self) -> &[E] {
        &self.values[..self.rows * self.stride]
    }

    /// The rows, to write into; padding columns must stay zero.
    pub fn values_mut(&mut self) -> &mut [E] {
        &mut self.values[..self.rows * self.stride]
    }

    /// Rows `first..first + rows` from column `column` on, as a left operand.
    pub fn part(&self, first: usize, rows: usize, column: usize) -> LeftOperand<'_, E> {
        let rows = rows.min(self.rows - first);
        LeftOperand {
            values: &self.values[first * self.stride + column..],
            rows,
            stride: self.stride,
        }
    }

    /// All rows as a left operand.
    pub fn all(&self) -> LeftOperand<'_, E> {
        self.part(0, self.rows, 0)
    }
}

/// A left operand: `rows` rows, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub struct LeftOperand<'a, E> {
    values: &'a [E],
    rows: usize,
    stride: usize,
}

impl<'a, E: Element> LeftOperand<'a, E> {
    fn part(self, first: usize, rows: usize) -> Self {
        LeftOperand {
            values: &self.values[first * self.stride..],
            rows,
            stride: self.stride,
        }
    }
}

/// What becomes of a product `[rows, outputs]`. Destinations have their own stride.
#[derive(Debug)]
pub enum Epilogue<'a, E> {
    /// `dst = product + bias`.
    Set(&'a mut [f32], usize, &'a [f32]),
    /// `dst += product + bias`.
    Add(&'a mut [f32], usize, &'a [f32]),
    /// `dst = gelu(product + bias)`, rounded.
    Gelu(&'a mut [E], usize, &'a [f32]),
    /// `dst = product`.
    Plain(&'a mut [f32], usize),
    /// `dst += product`.
    Accumulate(&'a mut [f32], usize),
    /// `dst = product`, rounded.
    Rounded(&'a mut [E], usize),
}

impl<'a, E: Element> Epilogue<'a, E> {
    /// What belongs to the first `rows` rows, and the rest.
    fn split(self, rows: usize) -> (Self, Self) {
        fn cut<T>(dst: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
            let at = at.min(dst.len());
            dst.split_at_mut(at)
        }
        match self {
            Epilogue::Set(dst, stride, bias) => {
                let (a, b) = cut(dst, rows * stride);
                (
                    Epilogue::Set(a, stride, bias),
                    Epilogue::Set(b, stride, bias),
                )
            }
            Epilogue::Add(dst, stride, bias) => {
                let (a, b) = cut(dst, rows * stride);
                (
                    Epilogue::Add(a, stride, bias),
                    Epilogue::Add(b, stride, bias),
                )
            }
            Epilogue::Gelu(dst, stride, bias) => {
                let (a, b) = cut(dst, rows * stride);
                (
                    Epilogue::Gelu(a, stride, bias),
                    Epilogue::Gelu(b, stride, bias),
                )
            }
            Epilogue::Plain(dst, stride) => {
                let (a, b) = cut(dst, rows * stride);
                (Epilogue::Plain(a, stride), Epilogue::Plain(b, stride))
            }
            Epilogue::Accumulate(dst, stride) => {
                let (a, b) = cut(dst, rows * stride);
                (
                    Epilogue::Accumulate(a, stride),
                    Epilogue::Accumulate(b, stride),
                )
            }
            Epilogue::Rounded(dst, stride) => {
                let (a, b) = cut(dst, rows * stride);
                (Epilogue::Rounded(a, stride), Epilogue::Rounded(b, stride))
            }
        }
    }

    /// Takes a tile's first `rows × columns` at row `top`, column `left`.
    fn store(&mut self, tile: &Tile, [rows, columns]: [usize; 2], [top, left]: [usize; 2]) {
        match self {
            Epilogue::Set(dst, stride, bias) => {
                let dst = &mut dst[top * *stride + left..];
                elementwise::tile_set(tile, rows, dst, *stride, &bias[left..left + columns]);
            }
            Epilogue::Add(dst, stride, bias) => {
                let dst = &mut dst[top * *stride + left..];
                elementwise::tile_add(tile, rows, dst, *stride, &bias[left..left + columns]);
            }
            Epilogue::Gelu(dst, stride, bias) => {
                let dst = &mut dst[top * *stride + left..];
                elementwise::tile_gelu(tile, rows, dst, *stride, &bias[left..left + columns]);
            }
            Epilogue::Plain(dst, stride) => {
                let dst = &mut dst[top * *stride + left..];
                elementwise::tile_rounded(tile, rows, dst, *stride, columns);
            }
            Epilogue::Accumulate(dst, stride) => {
                let dst = &mut dst[top * *stride + left..];
                elementwise::tile_add(tile, rows, dst, *stride, &[0.0; COLUMNS][..columns]);
            }
            Epilogue::Rounded(dst, stride) => {
                let dst = &mut dst[top * *stride + left..];
                elementwise::tile_rounded(tile, rows, dst, *stride, columns);
            }
        }
    }
}

/// Bytes of the left operand that go through all panels together: they stay in the second-level
/// cache meanwhile, while panels stream by. The more rows, the fewer times weights are read.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Bytes of a panel that go through all of a block's rows together: they stay in the first-level
/// cache, beside one tile of rows and its sums.
const SLICE_BYTES: usize = 16 * 1024;

/// Tiles of sums a thread keeps while a panel's slices go by.
const MOST_TILES: usize = 32;

thread_local! {
    static TILES: RefCell<Vec<Tile>> = RefCell::new(vec![Tile::zeros(); MOST_TILES]);
}

/// A matrix product on this thread; see [`Epilogue`] for where it goes.
///
/// # Panics
/// When the operands don't fit each other or the destination: a bug in the caller, checked once
/// per product.
pub fn matmul<E: Element>(
    instruction_set: InstructionSet,
    left: LeftOperand<E>,
    right: &PackedMatrix<E>,
    out: Epilogue<E>,
) {
    let scope = Scope::enter(instruction_set);
    matmul_in(&scope, left, right, 0..right.outputs, 0..right.padded, out);
}

/// As [`matmul`] for many small products on a unit that is set up already; only these columns and
/// inner rows of `right` take part, those whole panels and groups from their start.
///
/// # Panics
/// As there, and when `outputs` or `inner` start inside a panel or group.
pub(crate) fn matmul_in<E: Element>(
    scope: &Scope,
    left: LeftOperand<E>,
    right: &PackedMatrix<E>,
    outputs: Range<usize>,
    inner: Range<usize>,
    mut out: Epilogue<E>,
) {
    let instruction_set = scope.instruction_set();
    let (first_output, first_inner) = (outputs.start, inner.start);
    let end = inner.end.next_multiple_of(E::INNER);
    assert!(
        instruction_set.multiplies(E::PRECISION),
        "{instruction_set}"
    );
    assert!(
        end <= right.padded
            && outputs.end <= right.outputs
            && first_output.is_multiple_of(COLUMNS)
            && first_inner.is_multiple_of(E::INNER)
            && first_inner <= end,
        "right operand"
    );
    let (outputs, inner) = (outputs.len(), end - first_inner);
    assert!(left.stride >= inner || left.rows <= 1, "left operand");
    let reach = (left.rows.next_multiple_of(ROWS).max(1) - 1) * left.stride + inner;
    assert!(
        left.rows == 0 || left.values.len() >= reach,
        "left operand too short"
    );
    let block = (BLOCK_BYTES / (inner * size_of::<E>()).max(1))
        .clamp(2 * ROWS, MOST_TILES * ROWS)
        .next_multiple_of(ROWS);
    let slice = (SLICE_BYTES / (COLUMNS * size_of::<E>())).next_multiple_of(E::INNER);
    TILES.with_borrow_mut(|tiles| {
        for block_top in (0..left.rows).step_by(block) {
            let block_end = (block_top + block).min(left.rows);
            let turns = (block_end - block_top).div_ceil(ROWS);
            for first in (0..outputs).step_by(COLUMNS) {
                let at = (first_output + first) * right.padded;
                let panel = &right.panels[at..at + COLUMNS * right.padded];
                let panel = &panel[first_inner * COLUMNS..];
                let columns = COLUMNS.min(outputs - first);
                // At least one round, so that an inner dimension of nothing gives zeros.
                for from in (0..inner.max(1)).step_by(slice) {
                    let (to, last) = ((from + slice).min(inner), from + slice >= inner);
                    let start = if from == 0 {
                        InitialSums::Zero
                    } else {
                        InitialSums::Tile
                    };
                    // The slice that comes next, a part with each tile of this one.
                    let next = &right.panels[at + (first_inner + to) * COLUMNS..];
                    let mut next = next.chunks((slice * COLUMNS).div_ceil(turns));
                    let tops = (block_top..block_end).step_by(ROWS);
                    for (top, tile) in tops.zip(tiles.iter_mut()) {
                        let rows = ROWS.min(block_end - top);
                        prefetch(next.next().unwrap_or_default());
                        // SAFETY: the unit is available and multiplies E (asserted). `top` is a
                        // multiple of ROWS, so ROWS rows of `inner` columns from there end at
                        // `reach` or before, inside `left.values` (asserted), and from ≤ to ≤
                        // inner. `panel` holds (padded − first_inner) × COLUMNS elements or more
                        // and inner ≤ padded − first_inner (asserted). `scope` is the unit's, on
                        // this thread.
                        unsafe {
                            E::tile(
                                instruction_set,
                                left.values.as_ptr().add(top * left.stride + from),
                                left.stride,
                                rows,
                                panel.as_ptr().add(from * COLUMNS),
                                to - from,
                                start,
                                tile,
                            );
                        }
                        if last {
                            out.store(tile, [rows, columns], [top, first]);
                        }
                    }
                }
            }
        }
    });
}

/// As [`matmul`], its rows spread over the cores: a row's sums don't depend on which others it goes
/// with. Each piece streams all weights by, so pieces are as large as leaves every core several.
pub fn matmul_parallel<E: Element>(
    instruction_set: InstructionSet,
    left: LeftOperand<E>,
    right: &PackedMatrix<E>,
    out: Epilogue<E>,
) {
    let share = left.rows.div_ceil(4 * rayon::current_num_threads().max(1));
    let piece = share.next_multiple_of(ROWS).max(2 * ROWS);
    let mut pieces = Vec::new();
    let mut rest = out;
    for first in (0..left.rows).step_by(piece) {
        let rows = piece.min(left.rows - first);
        let (here, after) = rest.split(rows);
        pieces.push((left.part(first, rows), here));
        rest = after;
    }
    pieces
        .into_par_iter()
        .for_each(|(left, out)| matmul(instruction_set, left, right, out));
}
