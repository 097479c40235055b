//! Mean errors of predictions as one differentiable operation each.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::layers::{read, values};

/// Values of a piece.
const VALUES: usize = 1 << 14;

/// What of a difference is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Error {
    /// Its absolute value.
    Absolute,
    /// Its square.
    Squared,
}

/// The mean of `|x − target|` or `(x − target)²` over all values, each times its weight if there
/// are `weights`. Both sides get gradients; weights are constants.
///
/// # Errors
/// When the shapes differ, or a tensor is not f32 in main memory.
pub(crate) fn mean(
    error: Error,
    x: &Tensor,
    target: &Tensor,
    weights: Option<Arc<[f32]>>,
) -> Result<Tensor> {
    let many = weights.as_ref().map_or(x.elem_count(), |w| w.len());
    if x.shape() != target.shape() || many != x.elem_count() {
        candle_core::bail!(
            "an error of {:?} against {:?} with {many} weights",
            x.dims(),
            target.dims()
        );
    }
    let mean = Mean { error, weights };
    x.contiguous()?.apply_op2(&target.contiguous()?, mean)
}

struct Mean {
    error: Error,
    weights: Option<Arc<[f32]>>,
}

impl Mean {
    fn weights(&self, piece: usize) -> Option<&[f32]> {
        let weights = self.weights.as_ref()?;
        weights.chunks(VALUES).nth(piece)
    }
}

impl CustomOp2 for Mean {
    fn name(&self) -> &'static str {
        "mean-error"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, target) = (values(x, x_layout)?, values(target, target_layout)?);
        let pieces = x.par_chunks(VALUES).zip(target.par_chunks(VALUES));
        let sums = pieces.enumerate().map(|(piece, (x, target))| {
            let error = |d: f32| match self.error {
                Error::Absolute => d.abs(),
                Error::Squared => d * d,
            };
            let errors = x.iter().zip(target).map(|(x, t)| error(x - t));
            match self.weights(piece) {
                Some(weights) => lane_sum(errors.zip(weights).map(|(e, w)| e * w)),
                None => lane_sum(errors),
            }
        });
        // In order, whatever the number of threads.
        let sums: Vec<f32> = sums.collect();
        let sum: f64 = sums.into_iter().map(f64::from).sum();
        let mean = sum / x.len().max(1) as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        target: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let scale = grad.to_scalar::<f32>()? / x.elem_count().max(1) as f32;
        let mut dx = vec![0.0; x.elem_count()];
        read([x, target], |[x, target]| {
            let pieces = dx.par_chunks_mut(VALUES).zip(x.par_chunks(VALUES));
            let pieces = pieces.zip(target.par_chunks(VALUES)).enumerate();
            pieces.for_each(|(piece, ((dx, x), target))| {
                for ((dx, x), target) in dx.iter_mut().zip(x).zip(target) {
                    let d = x - target;
                    *dx = match self.error {
                        Error::Absolute if d >= 0.0 => scale,
                        Error::Absolute => -scale,
                        Error::Squared => 2.0 * scale * d,
                    };
                }
                if let Some(weights) = self.weights(piece) {
                    dx.iter_mut().zip(weights).for_each(|(dx, w)| *dx *= w);
                }
            });
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let d_target = target.track_op().then(|| dx.neg()).transpose()?;
        Ok((x.track_op().then_some(dx), d_target))
    }
}

/// A sum in sixteen interleaved lanes, as vectors take it.
fn lane_sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0f32; 16];
    for (i, value) in values.enumerate() {
        lanes[i % 16] += value;
    }
    lanes.iter().sum()
}
