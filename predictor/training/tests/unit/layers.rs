//! Unit tests of `src/layers.rs`.

use super::*;
use crate::errors::{self, Error};
use candle_core::{Device, Var};
use foresight_predictor::block;

fn noise(shape: &[usize], phase: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| (i as f32 * 0.7 + phase).sin() * 1.3);
    Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &Device::Cpu).unwrap()
}

/// That both functions of the same variables have the same values and gradients.
fn agree(
    what: &str,
    inputs: &[Tensor],
    ours: impl Fn(&[Tensor]) -> Result<Tensor>,
    candles: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let run = |f: &dyn Fn(&[Tensor]) -> Result<Tensor>| -> Result<Vec<Vec<f32>>> {
        let vars: Result<Vec<Var>> = inputs.iter().map(Var::from_tensor).collect();
        let vars = vars?;
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let y = f(&tensors)?;
        let gradients = (&y * noise(y.dims(), 0.3))?.sum_all()?.backward()?;
        let mut all = vec![y.flatten_all()?.to_vec1()?];
        for var in &vars {
            all.push(gradients.get(var).unwrap().flatten_all()?.to_vec1()?);
        }
        Ok(all)
    };
    let (got, wanted) = (run(&ours).unwrap(), run(&candles).unwrap());
    for (number, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
        let most = wanted.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        assert_eq!(got.len(), wanted.len(), "{what} {number}");
        for (g, w) in got.iter().zip(wanted) {
            assert!((g - w).abs() < 2e-5 * most, "{what} {number}: {g}, not {w}");
        }
    }
}

#[test]
fn values_and_gradients_are_those_of_candle() {
    // Fewer rows than a piece, and pieces of unlike length.
    for rows in [[1, 3], [7, 61]] {
        let x = noise(&[rows[0], rows[1], 20], 0.1);
        let (w, b) = (noise(&[11, 20], 0.2), noise(&[11], 0.9));
        agree(
            "linear",
            &[x.clone(), w, b],
            |v| linear(&v[0], &v[1], &v[2]),
            |v| v[0].broadcast_matmul(&v[1].t()?)?.broadcast_add(&v[2]),
        );
        let norm = [x.clone(), noise(&[20], 0.4), noise(&[20], 0.5)];
        agree(
            "norm",
            &norm,
            |v| layer_norm(&v[0], &v[1], &v[2], 1e-6),
            |v| {
                block::normalise(&v[0], 1e-6)?
                    .broadcast_mul(&v[1])?
                    .broadcast_add(&v[2])
            },
        );
        agree("relu", &norm[..1], |v| relu(&v[0]), |v| v[0].relu());
        agree("gelu", &norm[..1], |v| gelu(&v[0]), |v| v[0].gelu_erf());
        let pair = [x.clone(), noise(x.dims(), 1.7)];
        agree(
            "absolute",
            &pair,
            |v| errors::mean(Error::Absolute, &v[0], &v[1], None),
            |v| (&v[0] - &v[1])?.abs()?.mean_all(),
        );
        let weights = noise(x.dims(), 0.8).abs().unwrap();
        let flat: Vec<f32> = weights.flatten_all().unwrap().to_vec1().unwrap();
        let squared =
            |v: &[Tensor]| errors::mean(Error::Squared, &v[0], &v[1], Some(flat.clone().into()));
        agree("squared", &pair, squared, |v| {
            ((&v[0] - &v[1])?.sqr()? * &weights)?.mean_all()
        });
    }
}
