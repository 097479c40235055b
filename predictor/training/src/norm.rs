//! Layer normalisation without weights as one differentiable operation.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use foresight_predictor::kernels::{elementwise, LayerParameters};

/// `x` `[…, D]` normalised over its last dimension: the same as [`foresight_predictor::block::normalise`] in
/// one pass forwards and one backwards instead of a dozen.
///
/// # Errors
/// When `x` is not an f32 tensor on the CPU.
pub(crate) fn normalise(x: &Tensor, eps: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Normalise { eps: eps as f32 })
}

struct Normalise {
    eps: f32,
}

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("normalise needs a contiguous input");
        };
        let mut values = storage.as_slice::<f32>()?[start..end].to_vec();
        let width = layout.dims().last().copied().unwrap_or(1).max(1);
        elementwise::normalise_rows(&mut values, width, self.eps);
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    /// With `x̂` the result: `dx = (dy − mean(dy) − x̂·mean(dy·x̂)) / σ`.
    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let width = arg.dims().last().copied().unwrap_or(1).max(1);
        let x: Vec<f32> = arg.flatten_all()?.to_vec1()?;
        let mut dy: Vec<f32> = grad_res.flatten_all()?.to_vec1()?;
        let ones = vec![1.0; width];
        let zeros = vec![0.0; width];
        let (mut y, mut xhat) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let mut rstd = vec![0.0; x.len() / width];
        let layer = LayerParameters {
            weight: &ones[..],
            bias: &zeros[..],
        };
        elementwise::layer_norm_saved(&x, layer, self.eps, &mut y, &mut xhat, &mut rstd);
        let (mut unused_weight, mut unused_bias) = (zeros.clone(), zeros.clone());
        let mut unused = LayerParameters {
            weight: &mut unused_weight[..],
            bias: &mut unused_bias[..],
        };
        let mut dx = vec![0.0; x.len()];
        elementwise::layer_norm_backward(&mut dy, &xhat, &rstd, layer, &mut unused, &mut dx);
        Ok(Some(Tensor::from_vec(dx, arg.shape(), arg.device())?))
    }
}
