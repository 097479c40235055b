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

/// Side of the grid of patches that V-JEPA 2.1 stretches positions to, for patches of `patch` px:
/// 252 px of 14 px patches, 256 px of 16 px ones.
fn trained_side(patch: usize) -> Option<usize> {
    match patch {
        14 => Some(18),
        16 => Some(16),
        _ => None,
    }
}

/// How V-JEPA 2.1 stretches a grid of `[rows, columns]` patches onto the one it was trained on:
/// `[numerator, rows − 1, columns − 1]`; a row becomes `row · numerator / (rows − 1)`.
///
/// # Errors
/// A sentence, for a grid one patch high or wide, where the official code divides nought by
/// nought, and for patches it knows no training grid for.
pub fn stretch(patch: usize, [rows, columns]: [usize; 2]) -> std::result::Result<[f32; 3], String> {
    let Some(side) = trained_side(patch) else {
        return Err(format!(
            "positions can be interpolated for patches of 14 and 16 px, not of {patch}: the grid of the training is not known"
        ));
    };
    if rows < 2 || columns < 2 {
        return Err(format!(
            "a grid of {rows}×{columns} patches can't be interpolated: it needs at least two rows and two columns"
        ));
    }
    Ok([side - 1, rows - 1, columns - 1].map(|n| n as f32))
}

/// `positions` stretched by what [`stretch`] gave.
pub fn stretched(positions: &mut [Position], [numerator, rows, columns]: [f32; 3]) {
    for position in positions {
        if let Some((row, column)) = &mut position.place {
            *row = *row * numerator / rows;
            *column = *column * numerator / columns;
        }
    }
}

/// Tables of a batch whose samples have tokens of their own, `[B, 1, N, head_dim]` each, of the
/// type and on the device of `like`.
///
/// # Errors
/// When samples have unequal numbers of tokens, or the device can't hold the tables.
pub fn batched(
    samples: &[Vec<Position>],
    head_dim: usize,
    variant: RopeVariant,
    like: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let (mut cosines, mut sines) = (Vec::new(), Vec::new());
    for positions in samples {
        let table = RopeTable::new(positions, head_dim, variant);
        let (cos, sin) = tensors(&table, like.device())?;
        cosines.push(cos.to_dtype(like.dtype())?);
        sines.push(sin.to_dtype(like.dtype())?);
    }
    Ok((
        Tensor::stack(&cosines, 0)?.unsqueeze(1)?,
        Tensor::stack(&sines, 0)?.unsqueeze(1)?,
    ))
}

/// Rotates queries or keys `x` `[B, heads, N, head_dim]` by tables that broadcast against it.
///
/// # Errors
/// When the shapes don't agree.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (b, heads, n, d) = x.dims4()?;
    if d % 2 == 1 {
        // The last of an odd number has no partner and is never rotated.
        let even = |t: &Tensor| t.narrow(D::Minus1, 0, d - 1);
        let rotated = rotate(&even(x)?, &even(cos)?, &even(sin)?)?;
        return Tensor::cat(&[&rotated, &x.narrow(D::Minus1, d - 1, 1)?], D::Minus1);
    }
    let pairs = x.reshape((b, heads, n, d / 2, 2))?;
    let first = pairs.narrow(D::Minus1, 0, 1)?;
    let second = pairs.narrow(D::Minus1, 1, 1)?;
    let swapped = Tensor::cat(&[&second.neg()?, &first], D::Minus1)?.reshape((b, heads, n, d))?;
    x.broadcast_mul(cos)? + swapped.broadcast_mul(sin)?
}
