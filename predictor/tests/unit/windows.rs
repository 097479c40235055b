//! Unit tests of `src/windows.rs`.

use super::*;
use candle_core::{Device, Var};

#[test]
fn windows_convolve_as_candle_does_and_so_do_their_gradients() {
    for (side, stride, before) in [(4, 4, 0), (4, 2, 1), (3, 1, 1), (2, 2, 0)] {
        let noise = |shape: &[usize], phase: f32| {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|i| (i as f32 * 0.7 + phase).sin());
            Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
        };
        let map = Var::from_tensor(&noise(&[2, 8, 12, 3], 0.1)).unwrap();
        let kernel = noise(&[5, side, side, 3], 0.4);
        let windows = Windows { side, stride }.of(&map).unwrap();
        let flat = kernel.reshape((5, side * side * 3)).unwrap();
        let ours = windows.broadcast_matmul(&flat.t().unwrap()).unwrap();
        let planes = map.permute((0, 3, 1, 2)).unwrap();
        let padded = planes.pad_with_zeros(2, before, side - stride - before);
        let padded = padded
            .unwrap()
            .pad_with_zeros(3, before, side - stride - before);
        let kernel = kernel.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
        let candles = padded.unwrap().conv2d(&kernel, 0, stride, 1, 1).unwrap();
        let candles = candles.permute((0, 2, 3, 1)).unwrap();
        assert_eq!(ours.dims(), candles.dims());
        let weights = noise(ours.dims(), 0.9);
        let read = |of: &Tensor| -> [Vec<f32>; 2] {
            let grads = (of * &weights)
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            [of, grads.get(&map).unwrap()].map(|t| {
                let flat = t.contiguous().unwrap().flatten_all().unwrap();
                flat.to_vec1().unwrap()
            })
        };
        for (ours, candles) in read(&ours).iter().zip(&read(&candles)) {
            for (a, b) in ours.iter().zip(candles) {
                assert!((a - b).abs() < 1e-4, "{side} {stride}: {a}, not {b}");
            }
        }
    }
    let odd = Tensor::zeros((1, 6, 5, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(Windows { side: 4, stride: 2 }.of(&odd).is_err());
}
