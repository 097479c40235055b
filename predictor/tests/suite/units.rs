//! Packed matrix products on every unit this machine has, and networks in f32 and bf16, against
//! plain sums and candle. Units that are missing are named in the output.

use crate::support::{builder, values};
use candle_core::{DType, Device, Tensor};
use foresight_planner::{ActionSequences, Pose};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::cpu_encoder::PackedEncoder;
use foresight_predictor::device_rollout::DevicePredictor;
use foresight_predictor::encoder::{normalise_latent, Encoder};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::kernels::packed::{matmul, matmul_spread, Out, Packed, Rows};
use foresight_predictor::kernels::tile::Element;
use foresight_predictor::parameters::Parameters;
use foresight_predictor::rollout::{Budget, PackedPredictor, Start};
use foresight_predictor::{
    layout, EncoderConfig, Precision, PredictorConfig, RopeVariant, Stem, Unit,
};
use half::bf16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn available<E: Element>() -> Vec<Unit> {
    let (here, missing): (Vec<Unit>, Vec<Unit>) =
        E::units().iter().partition(|unit| unit.is_available());
    for unit in missing {
        println!("skipped: this machine has no {unit}");
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

/// Every unit, destination and kind of remainder, for random shapes, inner dimensions of more than
/// one slice among them.
fn products_are_right<E: Element>(tolerance: f64) {
    let units = available::<E>();
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
        let packed = Packed::<E>::from_weights(&w, outputs, inner);
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
        for &unit in &units {
            let mut set = before.clone();
            matmul(
                unit,
                left.all(),
                &packed,
                Out::Set(&mut set, outputs, &bias),
            );
            let mut add = before.clone();
            matmul(
                unit,
                left.all(),
                &packed,
                Out::Add(&mut add, outputs, &bias),
            );
            let mut curved = Rows::<E>::new();
            curved.reshape(rows, outputs);
            let wide = curved.stride();
            let out = Out::Gelu(curved.values_mut(), wide, &bias);
            matmul(unit, left.all(), &packed, out);
            let mut rounded = vec![E::ZERO; rows * outputs];
            let out = Out::Rounded(&mut rounded, outputs);
            matmul(unit, left.all(), &packed, out);
            let mut spread = before.clone();
            let out = Out::Set(&mut spread, outputs, &bias);
            matmul_spread(unit, left.all(), &packed, out);
            assert_eq!(set, spread, "{unit}, case {case}: spread over threads");
            // One row alone: the same sums in the same order.
            let mut alone = vec![0.0; outputs];
            let out = Out::Set(&mut alone, outputs, &bias);
            matmul(unit, left.part(rows - 1, 1, 0), &packed, out);
            assert_eq!(alone, set[(rows - 1) * outputs..], "{unit}, case {case}");

            for row in 0..rows {
                for (output, bias) in bias.iter().enumerate() {
                    let i = row * outputs + output;
                    let sum = exact(row, output);
                    let biased = sum + f64::from(*bias);
                    let label = format!("{unit}, case {case}, row {row}, output {output}");
                    let near = |what: &str, got: f32, wanted: f64, tolerance: f64| {
                        let error = (f64::from(got) - wanted).abs();
                        assert!(error < tolerance, "{label}: {what} {got}, not {wanted}");
                    };
                    let one = tolerance * (1.0 + biased.abs());
                    near("set", set[i], biased, 1e-5 * (1.0 + biased.abs()));
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

/// The relative difference of two vectors, in the root mean square.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    let size: f64 = b.iter().map(|b| square(*b)).sum();
    (error / size).sqrt() as f32
}

fn drawn(entries: Vec<(String, Vec<usize>)>, part: Part, seed: u64) -> Parameters {
    let mut parameters = Parameters::zeros(entries);
    initialise(&mut parameters, part, seed);
    for (i, v) in parameters.values_mut().iter_mut().enumerate() {
        *v = *v * 2.0 + (i as f32 * 0.37).sin() * 0.02;
    }
    parameters
}

/// Whole predictors of sizes that don't fit tiles, in both precisions, and for any number of
/// threads and samples a chunk.
#[test]
fn predictors_agree_with_candle() {
    let cases = [
        // grid, outer, width, heads, depth, extrinsics, horizon
        ([2, 3], 20, 36, 3, 2, false, 2),
        ([1, 1], 7, 26, 1, 1, true, 1),
        ([4, 4], 128, 128, 4, 3, false, 1),
        ([3, 3], 40, 130, 5, 2, true, 3),
        ([8, 5], 48, 64, 2, 2, false, 1),
    ];
    for (case, (grid, outer, width, heads, depth, use_extrinsics, horizon)) in
        cases.into_iter().enumerate()
    {
        let config = PredictorConfig {
            img_size: grid.map(|side: usize| side * 16),
            patch_size: 16,
            num_frames: 8,
            tubelet_size: 2,
            embed_dim: outer,
            predictor_embed_dim: width,
            depth,
            num_heads: heads,
            use_extrinsics,
            mlp_ratio: 4.0,
            rope: RopeVariant::Tiled,
            euler_around_rad: None,
        };
        let parameters = drawn(layout::predictor(&config), Part::AcPredictor, case as u64);
        let reference =
            AcPredictor::new(&config, builder(&parameters.to_tensors().unwrap())).unwrap();
        let n = config.tokens_per_frame();
        let device = Device::Cpu;
        let latent = Tensor::randn(0f32, 1.0, (1, n, outer), &device).unwrap();
        let latent = normalise_latent(&latent).unwrap();
        let pose = Pose::from_array([0.4, 0.1, 0.2, 3.1, 0.0, 0.3, 0.5]);
        let extrinsics = use_extrinsics.then_some([0.1, -0.2, 0.3, 0.4, -0.5, 0.6]);
        let mut sequences = ActionSequences::zeros(11, horizon);
        for sample in 0..sequences.samples() {
            for step in 0..horizon {
                for (i, v) in sequences.action_mut(sample, step).iter_mut().enumerate() {
                    *v = ((sample * 31 + step * 7 + i) as f32).sin() * 0.1;
                }
            }
        }
        let flat = values(&latent);
        let start = Start {
            latent: &flat,
            pose,
            extrinsics,
        };
        let roll = |precision, threads, max_chunk| {
            let packed = PackedPredictor::new(&config, &parameters, precision);
            let budget = Budget {
                max_chunk,
                ..Budget::default()
            };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build()
                .unwrap()
                .install(|| packed.roll(&start, &sequences, depth, budget, |l| l.to_vec()))
        };
        // The path of GPUs, here on the CPU.
        let (weights, goal) = (parameters.to_tensors().unwrap(), vec![0.25; n * outer]);
        let on_device = DevicePredictor::new(&config, &weights, &device, DType::F32).unwrap();
        let tight = Budget {
            memory_mib: 1,
            ..Budget::default()
        };
        let weighting = GoalWeighting::unresolved(case as f64 % 3.0).unwrap();
        let change = vec![0.5; n * outer];
        let weights = GoalWeights::measure(start.latent, &goal, &change, weighting);
        let distance = GoalDistance::weighed(&goal, &weights);
        for budget in [Budget::default(), tight] {
            let energies = on_device
                .energies(&start, &sequences, depth, &distance, budget)
                .unwrap();
            let packed = PackedPredictor::new(&config, &parameters, Precision::F32);
            let wanted = packed.roll(&start, &sequences, depth, budget, |latent| {
                distance.of(latent)
            });
            for (got, wanted) in energies.iter().zip(&wanted) {
                assert!((got - wanted).abs() < 2e-5, "case {case}: {got} {wanted}");
            }
            assert_eq!(energies.len(), wanted.len());
        }
        for precision in [Precision::F32, Precision::Bf16] {
            let rolled = roll(precision, 1, 16);
            for (threads, chunk) in [(2, 16), (3, 2), (16, 1)] {
                let other = roll(precision, threads, chunk);
                assert_eq!(rolled, other, "case {case}, {precision}, {threads} threads");
            }
            for (sample, got) in rolled.iter().enumerate() {
                let wanted =
                    recomputed(&reference, &latent, &sequences, sample, pose, extrinsics, n);
                let bound = match precision {
                    Precision::F32 => 2e-5,
                    Precision::Bf16 => 3e-2,
                };
                let error = difference(got, &wanted);
                assert!(
                    error < bound,
                    "case {case}, {precision}, sample {sample}: {error}"
                );
            }
        }
    }
}

/// The official way: the whole history through candle's predictor at every step.
fn recomputed(
    reference: &AcPredictor,
    latent: &Tensor,
    sequences: &ActionSequences,
    sample: usize,
    pose: Pose,
    extrinsics: Option<[f32; 6]>,
    n: usize,
) -> Vec<f32> {
    let device = Device::Cpu;
    let (mut latents, mut poses) = (latent.clone(), vec![pose]);
    let (mut actions, mut cameras) = (Vec::new(), Vec::new());
    for step in 0..sequences.horizon() {
        actions.extend_from_slice(sequences.action(sample, step));
        cameras.extend(extrinsics.into_iter().flatten());
        let states: Vec<f32> = poses
            .iter()
            .flat_map(|p| p.to_array().map(|v| v as f32))
            .collect();
        let steps = step + 1;
        let actions = Tensor::from_slice(&actions, (1, steps, 7), &device).unwrap();
        let states = Tensor::from_vec(states, (1, steps, 7), &device).unwrap();
        let cameras =
            extrinsics.map(|_| Tensor::from_slice(&cameras, (1, steps, 6), &device).unwrap());
        let out = reference
            .forward(&latents, &actions, &states, cameras.as_ref())
            .unwrap();
        let next = normalise_latent(&out.narrow(1, step * n, n).unwrap()).unwrap();
        latents = Tensor::cat(&[&latents, &next], 1).unwrap();
        let action: [f64; 7] =
            std::array::from_fn(|i| f64::from(sequences.action(sample, step)[i]));
        let moved = poses[step].apply(&foresight_planner::Action::from_array(action));
        poses.push(Pose::from_array(
            moved.to_array().map(|v| f64::from(v as f32)),
        ));
    }
    values(&latents.narrow(1, sequences.horizon() * n, n).unwrap())
}

#[test]
fn encoders_agree_with_candle() {
    for (case, (side, patch, width, heads, stem, frames)) in [
        ([32, 48], 16, 36, 3, Stem::Conv3d, 1),
        ([64, 64], 16, 128, 4, Stem::TwoLevel, 9),
        ([28, 42], 14, 68, 2, Stem::Conv3d, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let config = EncoderConfig {
            img_size: side,
            patch_size: patch,
            num_frames: 2,
            tubelet_size: 2,
            embed_dim: width,
            depth: 2,
            num_heads: heads,
            mlp_ratio: 4.0,
            rope: RopeVariant::Tiled,
            stem,
        };
        let parameters = drawn(layout::encoder(&config), Part::Encoder, case as u64);
        let reference = Encoder::new(&config, builder(&parameters.to_tensors().unwrap())).unwrap();
        let [height, width] = side;
        let pixels = Tensor::randn(0f32, 1.0, (frames, 3, height, width), &Device::Cpu).unwrap();
        let wanted =
            values(&normalise_latent(&reference.forward_frames(&pixels).unwrap()).unwrap());
        for (precision, bound) in [(Precision::F32, 2e-5), (Precision::Bf16, 3e-2)] {
            let packed = PackedEncoder::new(&config, &parameters, precision);
            let encode = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.build().unwrap();
                pool.install(|| packed.encode(&values(&pixels), side))
            };
            let got = encode(1);
            assert_eq!(got, encode(3), "case {case}, {precision}");
            let error = difference(&got, &wanted);
            assert!(error < bound, "case {case}, {precision}: {error}");
        }
    }
}
