//! Object and target from the mean token: labels only a simulator has.

use candle_core::{Device, Result, Tensor};

use super::POSITION_SCALE_M;
use crate::head_variables::HeadVariables;

/// Object x, y, z, its position relative to the end effector, target x, y, and whether it is
/// held.
pub const SIZE: usize = 9;

/// Mean squared error of a linear head on the mean token `[B, D]`; lengths in units of 10 cm.
///
/// # Errors
/// When shapes don't agree.
pub fn loss(heads: &HeadVariables, pooled: &Tensor, objects: &[[f32; SIZE]]) -> Result<Tensor> {
    let labels: Vec<f32> = objects
        .iter()
        .flat_map(|o| {
            let mut scaled = o.map(|v| v / POSITION_SCALE_M);
            scaled[SIZE - 1] = o[SIZE - 1];
            scaled
        })
        .collect();
    let labels = Tensor::from_vec(labels, (objects.len(), SIZE), &Device::Cpu)?;
    let predicted = heads.linear("head.object", pooled)?;
    (predicted - labels)?.sqr()?.mean_all()
}
