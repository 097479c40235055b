//! Layers outside the blocks as differentiable operations on our kernels.
//!
//! candle's own run on one thread, take a pass over memory for every arithmetic operation and sum
//! gradients of biases value by value. These share their rows among the cores in pieces whose number
//! depends on the rows alone, and add up the pieces' gradients in order.

use std::ops::Deref;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor};
use rayon::prelude::*;

use crate::trunk::MAX_SHARDS;
use foresight_predictor::kernels::{elementwise, matmul, LayerParameters, Parallelism};

/// Fewer rows are not worth sharing.
const LEAST_ROWS: usize = 64;

/// Rows of a piece.
pub(crate) fn piece(rows: usize) -> usize {
    rows.div_ceil(MAX_SHARDS).max(LEAST_ROWS)
}

/// The values of a contiguous tensor in main memory.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("this operation needs contiguous inputs"),
    }
}

/// What `f` makes of the values of contiguous tensors in main memory.
pub(crate) fn read<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> R,
) -> Result<R> {
    let places = tensors.map(Tensor::storage_and_layout);
    let mut slices = [&[][..]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&places) {
        let Storage::Cpu(storage) = storage.deref() else {
            candle_core::bail!("this operation runs in main memory only");
        };
        *slice = values(storage, layout)?;
    }
    Ok(f(slices))
}

fn width(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1).max(1)
}

/// `x [‥, in]` through a linear layer of `weight [out, in]` and `bias [out]`.
///
/// # Errors
/// When the shapes don't agree.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear)
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let layer = LayerParameters {
            weight: values(weight, weight_layout)?,
            bias: values(bias, bias_layout)?,
        };
        let (inputs, outputs) = (width(x_layout), layer.bias.len());
        if weight_layout.dims() != [outputs, inputs] {
            candle_core::bail!(
                "a linear layer of weights {:?} and {outputs} biases got {:?}",
                weight_layout.dims(),
                x_layout.dims()
            );
        }
        let x = values(x, x_layout)?;
        let rows = x.len() / inputs;
        let mut y = vec![0.0; rows * outputs];
        y.par_chunks_mut(piece(rows) * outputs)
            .zip(x.par_chunks(piece(rows) * inputs))
            .for_each(|(y, x)| {
                matmul::linear(y, x, layer, matmul::Store::Set, Parallelism::None);
            });
        let mut dims = x_layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = outputs;
        }
        Ok((CpuStorage::F32(y), Shape::from(dims)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let trained = weight.track_op() || bias.track_op();
        let mut dx = vec![0.0; if x.track_op() { x.elem_count() } else { 0 }];
        let (outputs, inputs) = weight.dims2()?;
        let rows = x.elem_count() / inputs;
        let sums = read([x, weight, bias, &grad.contiguous()?], |[x, w, b, dy]| {
            let layer = LayerParameters { weight: w, bias: b };
            let mut parts: Vec<Option<&mut [f32]>> =
                dx.chunks_mut(piece(rows) * inputs).map(Some).collect();
            parts.resize_with(rows.div_ceil(piece(rows)), || None);
            let pieces = parts.into_par_iter();
            let pieces = pieces
                .zip(dy.par_chunks(piece(rows) * outputs))
                .zip(x.par_chunks(piece(rows) * inputs));
            let sums = pieces.map(|((dx, dy), x)| {
                let mut sums = if trained {
                    [vec![0.0; w.len()], vec![0.0; b.len()]]
                } else {
                    [Vec::new(), Vec::new()]
                };
                let [weight, bias] = &mut sums;
                let gradient = trained.then_some(LayerParameters {
                    weight: &mut weight[..],
                    bias: &mut bias[..],
                });
                matmul::linear_backward(dy, x, layer, gradient, dx, Parallelism::None);
                sums
            });
            in_order(sums.collect())
        })?;
        let [dw, db] = sums;
        let tensor = |values: Vec<f32>, like: &Tensor| {
            let known = !values.is_empty();
            known
                .then(|| Tensor::from_vec(values, like.shape(), like.device()))
                .transpose()
        };
        Ok((tensor(dx, x)?, tensor(dw, weight)?, tensor(db, bias)?))
    }
}

/// The pieces' gradients of a layer, added up in their order.
fn in_order(pieces: Vec<[Vec<f32>; 2]>) -> [Vec<f32>; 2] {
    let mut pieces = pieces.into_iter();
    let mut sums = pieces.next().unwrap_or_default();
    for piece in pieces {
        for (sum, part) in sums.iter_mut().zip(&piece) {
            for (s, p) in sum.iter_mut().zip(part) {
                *s += p;
            }
        }
    }
    sums
}

/// `x [‥, D]` normalised over its last dimension, times `weight [D]`, plus `bias [D]`.
///
/// # Errors
/// When the shapes don't agree.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let x = x.contiguous()?;
    x.apply_op3(weight, bias, LayerNorm { eps: eps as f32 })
}

/// `x [‥, D]` normalised over its last dimension: the same as
/// [`foresight_predictor::block::normalise`] in one pass forwards and one backwards instead of a dozen.
///
/// # Errors
/// When `x` is not an f32 tensor on the CPU.
pub(crate) fn normalise(x: &Tensor, eps: f64) -> Result<Tensor> {
    let d = x.dims().last().copied().unwrap_or(1);
    let one = Tensor::ones(d, x.dtype(), x.device())?;
    layer_norm(x, &one, &one.zeros_like()?, eps)
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, d) = (values(x, x_layout)?, width(x_layout));
        let (weight, bias) = (values(weight, weight_layout)?, values(bias, bias_layout)?);
        if [weight.len(), bias.len()] != [d, d] {
            candle_core::bail!("a layer norm of {} got {:?}", weight.len(), x_layout.dims());
        }
        let piece = piece(x.len() / d) * d;
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .for_each(|(y, x)| elementwise::layer_norm(x, weight, bias, self.eps, y));
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut dx = vec![0.0; x.elem_count()];
        let d = weight.elem_count();
        let piece = piece(x.elem_count() / d) * d;
        let [dw, db] = read([x, weight, bias, &grad.contiguous()?], |[x, w, b, dy]| {
            let layer = LayerParameters { weight: w, bias: b };
            let pieces = dx.par_chunks_mut(piece).zip(x.par_chunks(piece));
            let sums = pieces.zip(dy.par_chunks(piece)).map(|((dx, x), dy)| {
                let (mut dy, mut xhat) = (dy.to_vec(), vec![0.0; x.len()]);
                let mut rstd = vec![0.0; x.len() / d];
                let mut sums = [vec![0.0; d], vec![0.0; d]];
                let [weight, bias] = &mut sums;
                let mut gradient = LayerParameters {
                    weight: &mut weight[..],
                    bias: &mut bias[..],
                };
                // `dx` holds what isn't needed of the forward pass until it is added to.
                elementwise::layer_norm_saved(x, layer, self.eps, dx, &mut xhat, &mut rstd);
                dx.fill(0.0);
                elementwise::layer_norm_backward(&mut dy, &xhat, &rstd, layer, &mut gradient, dx);
                sums
            });
            in_order(sums.collect())
        })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        let [dw, db] = [(dw, weight), (db, bias)]
            .map(|(values, like)| like.track_op().then(|| tensor(values, like)).transpose());
        Ok((Some(tensor(dx, x)?), dw?, db?))
    }
}

/// Exact (erf) GELU.
///
/// # Errors
/// When `x` is not an f32 tensor on the CPU.
pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(ValueByValue {
        name: "gelu",
        forward: |x, y| elementwise::gelu(x, y),
        backward: |x, dx| elementwise::gelu_backward(x, dx),
    })
}

/// What of `x` is above 0.
///
/// # Errors
/// When `x` is not an f32 tensor on the CPU.
pub(crate) fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(ValueByValue {
        name: "relu",
        forward: |x, y| y.iter_mut().zip(x).for_each(|(y, x)| *y = x.max(0.0)),
        backward: |x, dx| {
            let pairs = dx.iter_mut().zip(x);
            pairs.for_each(|(dx, x)| *dx = if *x > 0.0 { *dx } else { 0.0 });
        },
    })
}

/// A function of each value by itself.
struct ValueByValue {
    name: &'static str,
    /// Its values at `x`.
    forward: fn(&[f32], &mut [f32]),
    /// Gradients after it, in place, to those before it.
    backward: fn(&[f32], &mut [f32]),
}

/// Values of a piece of an element-wise pass.
const VALUES: usize = 1 << 14;

impl CustomOp1 for ValueByValue {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(storage, layout)?;
        let mut y = vec![0.0; x.len()];
        let pieces = y.par_chunks_mut(VALUES).zip(x.par_chunks(VALUES));
        pieces.for_each(|(y, x)| (self.forward)(x, y));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx: Vec<f32> = grad.flatten_all()?.to_vec1()?;
        read([x], |[x]| {
            let pieces = dx.par_chunks_mut(VALUES).zip(x.par_chunks(VALUES));
            pieces.for_each(|(dx, x)| (self.backward)(x, dx));
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
#[path = "../tests/unit/layers.rs"]
mod tests;
