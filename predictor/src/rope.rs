//! Three-axis rotary position embedding as tensor operations; the tables are the kernels'.

use candle_core::{Device, Result, Tensor, D};

pub use foresight_kernels::rope::{Position, RopeTable, RopeVariant};

/// A table's cosines and sines as tensors `[N, head_dim]`.
///
/// # Errors
/// When the device can't hold them.
pub fn tensors(table: &RopeTable, device: &Device) -> Result<(Tensor, Tensor)> {
    let shape = (table.tokens(), table.head_dim());
    Ok((
        Tensor::from_slice(table.cos(), shape, device)?,
        Tensor::from_slice(table.sin(), shape, device)?,
    ))
}

/// Rotates queries or keys `x` `[B, heads, N, head_dim]` by tables that broadcast against it.
///
/// # Errors
/// When the shapes don't agree.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (b, heads, n, d) = x.dims4()?;
    let pairs = x.reshape((b, heads, n, d / 2, 2))?;
    let first = pairs.narrow(D::Minus1, 0, 1)?;
    let second = pairs.narrow(D::Minus1, 1, 1)?;
    let swapped = Tensor::cat(&[&second.neg()?, &first], D::Minus1)?.reshape((b, heads, n, d))?;
    x.broadcast_mul(cos)? + swapped.broadcast_mul(sin)?
}

#[cfg(test)]
mod tests {
    use foresight_kernels::RopeVariant;

    use super::*;

    #[test]
    fn interleaved_is_a_rotation_and_tiled_is_not() {
        let positions = RopeTable::grid(2, 3, 3);
        let norms = |variant| -> f32 {
            let table = RopeTable::new(&positions, 26, variant);
            let n = positions.len();
            let x = Tensor::randn(0f32, 1.0, (1, 1, n, 26), &Device::Cpu).unwrap();
            let (cos, sin) = tensors(&table, &Device::Cpu).unwrap();
            let y = rotate(&x, &cos, &sin).unwrap();
            let norm = |t: &Tensor| t.sqr().unwrap().sum_keepdim(3).unwrap();
            (norm(&x) - norm(&y))
                .unwrap()
                .abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        assert!(norms(RopeVariant::Interleaved) < 1e-4);
        assert!(norms(RopeVariant::Tiled) > 1e-2);
    }
}
