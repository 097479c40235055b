//! Packed matrix products on every instruction set this machine has, against plain sums. Those that
//! are missing are named in the output.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use foresight_kernels::packed::{matmul, matmul_parallel, Epilogue, PackedMatrix, Rows};
use foresight_kernels::{Element, InstructionSet};
use half::bf16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn available<E: Element>() -> Vec<InstructionSet> {
    let (here, missing): (Vec<InstructionSet>, Vec<InstructionSet>) =
        InstructionSet::all_for(E::PRECISION)
            .iter()
            .partition(|set| set.is_available());
    for set in missing {
        println!("skipped: this machine has no {set}");
    }
    here
}

fn gelu(x: f64) -> f64 {
    // erf by its series, well converged for the arguments here.
    let z = x / 2f64.sqrt();
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= -z * z / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

/// Every instruction set, destination and kind of remainder, for random shapes, inner dimensions of more than
/// one slice among them.
fn products_are_right<E: Element>(tolerance: f64) {
    let sets = available::<E>();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for case in 0..40 {
        let (rows, inner, outputs) = (
            rng.random_range(1..150usize),
            rng.random_range(1..700usize),
            rng.random_range(1..130usize),
        );
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count).map(|_| rng.random_range(-1.0..1.0f32)).collect()
        };
        let (x, w, bias, before) = (
            draw(rows * inner),
            draw(outputs * inner),
            draw(outputs),
            draw(rows * outputs),
        );
        let packed = PackedMatrix::<E>::from_weights(&w, outputs, inner);
        let mut left = Rows::<E>::new();
        left.reshape(rows, inner);
        let stride = left.stride();
        for (to, from) in left.values_mut().chunks_mut(stride).zip(x.chunks(inner)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = E::round(*from);
            }
        }
        let exact = |row: usize, output: usize| -> f64 {
            let pairs = x[row * inner..]
                .iter()
                .zip(&w[output * inner..])
                .take(inner);
            let rounded = |v: &f32| f64::from(E::round(*v).widen());
            pairs.map(|(x, w)| rounded(x) * rounded(w)).sum()
        };
        for &set in &sets {
            let mut stored = before.clone();
            matmul(
                set,
                left.all(),
                &packed,
                Epilogue::Set(&mut stored, outputs, &bias),
            );
            let mut add = before.clone();
            matmul(
                set,
                left.all(),
                &packed,
                Epilogue::Add(&mut add, outputs, &bias),
            );
            let mut curved = Rows::<E>::new();
            curved.reshape(rows, outputs);
            let wide = curved.stride();
            let out = Epilogue::Gelu(curved.values_mut(), wide, &bias);
            matmul(set, left.all(), &packed, out);
            let mut rounded = vec![E::ZERO; rows * outputs];
            let out = Epilogue::Rounded(&mut rounded, outputs);
            matmul(set, left.all(), &packed, out);
            let mut parallel = before.clone();
            let out = Epilogue::Set(&mut parallel, outputs, &bias);
            matmul_parallel(set, left.all(), &packed, out);
            assert_eq!(stored, parallel, "{set}, case {case}: shared by threads");
            // One row alone: the same sums in the same order.
            let mut alone = vec![0.0; outputs];
            let out = Epilogue::Set(&mut alone, outputs, &bias);
            matmul(set, left.part(rows - 1, 1, 0), &packed, out);
            assert_eq!(alone, stored[(rows - 1) * outputs..], "{set}, case {case}");

            for row in 0..rows {
                for (output, bias) in bias.iter().enumerate() {
                    let i = row * outputs + output;
                    let sum = exact(row, output);
                    let biased = sum + f64::from(*bias);
                    let label = format!("{set}, case {case}, row {row}, output {output}");
                    let near = |what: &str, got: f32, wanted: f64, tolerance: f64| {
                        let error = (f64::from(got) - wanted).abs();
                        assert!(error < tolerance, "{label}: {what} {got}, not {wanted}");
                    };
                    let one = tolerance * (1.0 + biased.abs());
                    near("set", stored[i], biased, 1e-5 * (1.0 + biased.abs()));
                    let added = biased + f64::from(before[i]);
                    near("add", add[i], added, 1e-5 * (1.0 + added.abs()));
                    near("rounded", rounded[i].widen(), sum, one);
                    let got = curved.values()[row * wide + output].widen();
                    let wanted = match biased {
                        large if large > 6.0 => large,
                        small if small < -6.0 => 0.0,
                        between => gelu(between),
                    };
                    near("gelu", got, wanted, one);
                }
            }
        }
    }
}

#[test]
fn products_in_f32() {
    products_are_right::<f32>(1e-5);
}

#[test]
fn products_in_bf16() {
    products_are_right::<bf16>(5e-3);
}
