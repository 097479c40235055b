//! Unit tests of `src/block.rs`.

use candle_core::Device;

use super::*;

#[test]
fn weights_of_many_keys_add_up_to_one_in_any_type() {
    for dtype in [DType::F32, DType::BF16] {
        let logits = Tensor::zeros((1, 1, 1, 1024), dtype, &Device::Cpu).unwrap();
        for fused in [false, true] {
            let weights = attention_weights(&logits, fused).unwrap();
            assert_eq!(weights.dtype(), dtype);
            let wide = weights.to_dtype(DType::F32).unwrap();
            let sum: f32 = wide.sum_all().unwrap().to_scalar().unwrap();
            assert!((sum - 1.0).abs() < 1e-3, "{dtype:?}, fused {fused}: {sum}");
        }
    }
}
