//! What every robot knows about itself, from the mean token.

use candle_core::{Device, Result, Tensor};

use super::POSITION_SCALE_M;
use crate::head_variables::HeadVariables;

/// x, y, z, closedness.
pub const SIZE: usize = 4;

/// Targets `[B, 4]` of poses `[x, y, z, rx, ry, rz, g]`: position in units of 10 cm, closedness.
///
/// # Errors
/// When memory runs out.
pub fn targets(states: &[[f32; 7]]) -> Result<Tensor> {
    let values: Vec<f32> = states
        .iter()
        .flat_map(|s| {
            let [x, y, z] = [s[0], s[1], s[2]].map(|v| v / POSITION_SCALE_M);
            [x, y, z, s[6]]
        })
        .collect();
    Tensor::from_vec(values, (states.len(), SIZE), &Device::Cpu)
}

/// Mean squared error of a linear head on the mean token `[B, D]`.
///
/// # Errors
/// When shapes don't agree.
pub fn loss(heads: &HeadVariables, pooled: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let predicted = heads.linear("head.proprioception", pooled)?;
    (predicted - targets)?.sqr()?.mean_all()
}
