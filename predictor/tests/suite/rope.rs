//! Rotary positions as tensor operations.

use candle_core::{Device, Tensor};
use foresight_predictor::rope::{rotate, tensors, RopeTable};
use foresight_predictor::RopeVariant;

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
