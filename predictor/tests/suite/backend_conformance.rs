//! What every backend must do: the reference networks' numbers for whatever sizes, and the official
//! code's where there are fixtures. A backend of one's own joins by standing in [`backends`].

use std::num::NonZeroUsize;

use candle_core::{Device, Tensor};
use foresight_planner::{Action, ActionSequences, Energy, Pose};
use foresight_predictor::ac_predictor::AcPredictor;
use foresight_predictor::backend::{Backend, CandleBackend, CpuBackend};
use foresight_predictor::checkpoint::init::initialise;
use foresight_predictor::checkpoint::Part;
use foresight_predictor::encoder::{normalise_latent, Encoder, LATENT_EPS};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::kernels::elementwise::normalise_rows;
use foresight_predictor::layout;
use foresight_predictor::parameters::{Parameters, Tensors};
use foresight_predictor::reference_encoder::ReferenceEncoder;
use foresight_predictor::rollout::RolloutStart;
use foresight_predictor::{
    Budget, ComputeDevice, EncoderConfig, EncoderLevel, InstructionSet, Latent, Precision,
    PredictorConfig, RopeVariant, Stem, Vjepa21Options,
};

use crate::loud;
use crate::support::{builder, close, of_kind, values};

/// How far a backend may be off.
struct Bound {
    /// Latents: root of the mean square over that of the reference.
    latent: f32,
    /// Energies.
    energy: f32,
    /// Every value of the official code's; `None` for numbers that are rounded.
    golden: Option<f32>,
}

const EXACT: Bound = Bound {
    latent: 2e-5,
    energy: 2e-5,
    golden: Some(5e-5),
};
/// Products rounded to bf16.
const ROUNDED: Bound = Bound {
    latent: 3e-2,
    energy: 3e-2,
    golden: None,
};
/// Everything rounded to bf16, the residual stream too.
const ROUNDED_THROUGHOUT: Bound = Bound {
    latent: 1e-1,
    energy: 6e-2,
    golden: None,
};
/// f32 whose sums have another order than anything on a CPU.
const EXACT_ON_GPU: Bound = Bound {
    latent: 1e-4,
    energy: 5e-5,
    golden: Some(1e-4),
};

fn backends() -> Vec<(Box<dyn Backend>, Bound)> {
    let cpu = |precision| {
        let set = InstructionSet::for_any(precision);
        Box::new(CpuBackend::on(set, precision).expect("a machine multiplies"))
    };
    let candle = |device, precision| {
        Box::new(CandleBackend::open(device, precision).expect("a device that answers"))
    };
    let mut all: Vec<(Box<dyn Backend>, Bound)> = vec![
        (cpu(Precision::F32), EXACT),
        (cpu(Precision::Bf16), ROUNDED),
        (candle(ComputeDevice::CandleCpu, Precision::F32), EXACT),
        (
            candle(ComputeDevice::CandleCpu, Precision::Bf16),
            ROUNDED_THROUGHOUT,
        ),
    ];
    if cfg!(feature = "cuda") {
        let gpu = ComputeDevice::Cuda(0);
        all.push((candle(gpu, Precision::F32), EXACT_ON_GPU));
        all.push((candle(gpu, Precision::Bf16), ROUNDED_THROUGHOUT));
    }
    all
}

fn name(backend: &dyn Backend) -> String {
    format!("{} on {}", backend.precision(), backend.place())
}

/// The relative difference of two vectors, in the root mean square.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    let size: f64 = b.iter().map(|b| square(*b)).sum();
    (error / size).sqrt() as f32
}

/// Weights that are far from the initial distribution, so that every path matters.
fn drawn(entries: Vec<layout::Entry>, part: Part, seed: u64) -> Tensors {
    let mut parameters = Parameters::zeros(entries);
    initialise(&mut parameters, part, seed);
    for (i, v) in parameters.values_mut().iter_mut().enumerate() {
        *v = *v * 2.0 + (i as f32 * 0.37).sin() * 0.02;
    }
    parameters.to_tensors().unwrap()
}

#[test]
fn encoders_agree_with_the_reference() {
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
            vjepa2_1: None,
            level: Default::default(),
            views: None,
        };
        let weights = drawn(layout::encoder(&config), Part::Encoder, case as u64);
        let reference = Encoder::new(&config, builder(&weights)).unwrap();
        let [height, width] = side;
        let pixels = Tensor::randn(0f32, 1.0, (frames, 3, height, width), &Device::Cpu).unwrap();
        let wanted =
            values(&normalise_latent(&reference.forward_frames(&pixels).unwrap()).unwrap());
        let pixels = values(&pixels);
        for (backend, bound) in backends() {
            let encoder = backend.encoder(&config, &weights).unwrap();
            let error = difference(&encoder.encode(&pixels, side).unwrap(), &wanted);
            let label = format!("case {case}, {}", name(backend.as_ref()));
            println!("{label}: {error:.1e}");
            assert!(error < bound.latent, "{label}: {error}");
            assert!(encoder.encode(&pixels[1..], side).is_err(), "{label}");
            assert!(encoder.encode(&pixels, [height, 5]).is_err(), "{label}");
        }
    }
}

/// V-JEPA 2.1's encoder, at each of its levels and on grids that are stretched and that are not.
#[test]
fn vjepa21_encoders_agree_with_the_reference() {
    let levels = [EncoderLevel::Last, EncoderLevel::One(1), EncoderLevel::All];
    for (case, level) in levels.into_iter().enumerate() {
        for interpolate_rope in [true, false] {
            let side = [48, 64];
            let config = EncoderConfig {
                views: None,
                img_size: side,
                patch_size: 16,
                num_frames: 2,
                tubelet_size: 2,
                embed_dim: 36,
                depth: 12,
                num_heads: 3,
                mlp_ratio: 4.0,
                rope: RopeVariant::Interleaved,
                stem: Stem::Conv3d,
                vjepa2_1: Some(Vjepa21Options {
                    interpolate_rope,
                    ..Vjepa21Options::default()
                }),
                level,
            };
            let weights = drawn(layout::encoder(&config), Part::Encoder, case as u64);
            let reference = ReferenceEncoder::new(&config, builder(&weights)).unwrap();
            let pixels = Tensor::randn(0f32, 1.0, (3, 3, side[0], side[1]), &Device::Cpu).unwrap();
            let wanted = reference.forward_frames(&pixels).unwrap();
            let wanted = values(&normalise_latent(&wanted).unwrap());
            let pixels = values(&pixels);
            for (backend, bound) in backends() {
                let encoder = backend.encoder(&config, &weights).unwrap();
                let error = difference(&encoder.encode(&pixels, side).unwrap(), &wanted);
                let label = format!("{level:?}, {}", name(backend.as_ref()));
                println!("{label}: {error:.1e}");
                // Rounding adds up over six times as many blocks as above.
                let most = bound.latent * if bound.golden.is_none() { 2.5 } else { 1.0 };
                assert!(error < most, "{label}: {error}");
                let strip = vec![0.0; 3 * 16 * 64];
                assert_eq!(
                    encoder.encode(&strip, [16, 64]).is_err(),
                    interpolate_rope,
                    "{label}"
                );
            }
        }
    }
}

/// Clips of several frames and images, of either family: sizes that don't fit tiles, more tokens than
/// a softmax takes at once, one clip and several.
#[test]
fn clips_and_images_agree_with_the_reference() {
    let modern = |interpolate_rope| {
        Some(Vjepa21Options {
            interpolate_rope,
            ..Vjepa21Options::default()
        })
    };
    let cases = [
        // clips, frames, size, width, heads, stem, family, level
        (
            2,
            6,
            [32, 48],
            36,
            3,
            Stem::Conv3d,
            None,
            EncoderLevel::Last,
        ),
        (
            3,
            4,
            [64, 64],
            32,
            2,
            Stem::TwoLevel,
            None,
            EncoderLevel::Last,
        ),
        (
            1,
            6,
            [208, 304],
            24,
            2,
            Stem::Conv3d,
            None,
            EncoderLevel::Last,
        ),
        (
            3,
            1,
            [48, 64],
            36,
            3,
            Stem::Conv3d,
            modern(true),
            EncoderLevel::Last,
        ),
        (
            2,
            4,
            [48, 64],
            36,
            3,
            Stem::Conv3d,
            modern(false),
            EncoderLevel::All,
        ),
        (
            1,
            10,
            [176, 192],
            36,
            3,
            Stem::Conv3d,
            modern(true),
            EncoderLevel::One(0),
        ),
    ];
    for (case, (clips, frames, side, width, heads, stem, vjepa2_1, level)) in
        cases.into_iter().enumerate()
    {
        let modern = vjepa2_1.is_some();
        let config = EncoderConfig {
            views: None,
            img_size: side,
            patch_size: 16,
            num_frames: 2,
            tubelet_size: 2,
            embed_dim: width,
            depth: if modern { 12 } else { 2 },
            num_heads: heads,
            mlp_ratio: 4.0,
            rope: [RopeVariant::Tiled, RopeVariant::Interleaved][usize::from(modern)],
            stem,
            vjepa2_1,
            level,
        };
        let weights = drawn(layout::encoder(&config), Part::Encoder, case as u64);
        let reference = ReferenceEncoder::new(&config, builder(&weights)).unwrap();
        let shape = (clips, 3, frames, side[0], side[1]);
        let pixels = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
        let wanted = values(&reference.forward(&pixels).unwrap());
        let pixels = values(&pixels);
        let size = [frames, side[0], side[1]];
        for (backend, bound) in backends() {
            let encoder = backend.encoder(&config, &weights).unwrap();
            let error = difference(&encoder.encode_clips(&pixels, size).unwrap(), &wanted);
            let label = format!("case {case}, {}", name(backend.as_ref()));
            println!("{label}: {error:.1e}");
            let rounded = bound.golden.is_none() && modern;
            let most = bound.latent * if rounded { 2.5 } else { 1.0 };
            assert!(error < most, "{label}: {error}");
            assert!(encoder.encode_clips(&pixels[1..], size).is_err(), "{label}");
            let odd = vec![0.0; 3 * 3 * side[0] * side[1]];
            let odd = encoder.encode_clips(&odd, [3, side[0], side[1]]);
            assert!(odd.unwrap_err().to_string().contains("3 frames"), "{label}");
            let image = vec![0.0; 3 * side[0] * side[1]];
            let image = encoder.encode_clips(&image, [1, side[0], side[1]]);
            assert_eq!(image.is_ok(), modern, "{label}");
        }
        // In as many threads as there may be: the same numbers.
        let backend = CpuBackend::on(InstructionSet::for_any(Precision::F32), Precision::F32);
        let encoder = backend.unwrap().encoder(&config, &weights).unwrap();
        let in_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| encoder.encode_clips(&pixels, size).unwrap())
        };
        assert_eq!(in_threads(1), in_threads(5), "case {case}");
    }
}

/// A predictor, and what is asked of it.
struct Case {
    config: PredictorConfig,
    weights: Tensors,
    latent: Vec<f32>,
    sequences: ActionSequences,
    extrinsics: Option<[f32; 6]>,
}

const POSE: [f64; 7] = [0.4, 0.1, 0.2, 3.1, 0.0, 0.3, 0.5];

/// Sizes that don't fit tiles, with and without camera poses, horizons 1 to 5, seeing all that was or
/// the last steps of it.
fn cases() -> Vec<Case> {
    let sizes = [
        // grid, outer, width, heads, depth, extrinsics, horizon, steps seen
        ([2, 3], 20, 36, 3, 2, false, 2, None),
        ([1, 1], 7, 26, 1, 1, true, 1, None),
        ([4, 4], 128, 128, 4, 3, false, 1, None),
        ([3, 3], 40, 130, 5, 2, true, 3, None),
        ([8, 5], 48, 64, 2, 2, false, 1, None),
        ([2, 3], 20, 36, 3, 2, false, 5, NonZeroUsize::new(2)),
        ([3, 2], 24, 36, 3, 3, true, 4, NonZeroUsize::new(3)),
        ([2, 2], 20, 36, 3, 2, false, 3, NonZeroUsize::new(1)),
    ];
    let sizes = sizes.into_iter().enumerate();
    sizes
        .map(
            |(case, (grid, outer, width, heads, depth, use_extrinsics, horizon, context_steps))| {
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
                    context_steps,
                };
                let shape = (config.tokens_per_frame(), outer);
                let latent = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
                let mut sequences = ActionSequences::zeros(11, horizon);
                for sample in 0..sequences.samples() {
                    for step in 0..horizon {
                        for (i, v) in sequences.action_mut(sample, step).iter_mut().enumerate() {
                            *v = ((sample * 31 + step * 7 + i) as f32).sin() * 0.1;
                        }
                    }
                }
                Case {
                    weights: drawn(layout::predictor(&config), Part::AcPredictor, case as u64),
                    latent: values(&normalise_latent(&latent).unwrap()),
                    extrinsics: use_extrinsics.then_some([0.1, -0.2, 0.3, 0.4, -0.5, 0.6]),
                    sequences,
                    config,
                }
            },
        )
        .collect()
}

impl Case {
    fn start(&self) -> RolloutStart<'_> {
        RolloutStart {
            latent: &self.latent,
            pose: Pose::from_array(POSE),
            extrinsics: self.extrinsics,
        }
    }

    /// Latents and poses after every step, the official way: the whole history through the
    /// reference's first `depth` blocks at every step.
    fn recomputed(&self, sample: usize, depth: usize) -> (Vec<Vec<f32>>, Vec<Pose>) {
        let device = Device::Cpu;
        let config = PredictorConfig {
            depth,
            ..self.config.clone()
        };
        let reference = AcPredictor::new(&config, builder(&self.weights)).unwrap();
        let (n, d) = (config.tokens_per_frame(), config.embed_dim);
        let mut history = Tensor::from_slice(&self.latent, (1, n, d), &device).unwrap();
        let mut poses = vec![Pose::from_array(POSE)];
        let (mut latents, mut actions, mut cameras) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..self.sequences.horizon() {
            let action = self.sequences.action(sample, step);
            actions.extend_from_slice(action);
            cameras.extend(self.extrinsics.into_iter().flatten());
            let states: Vec<f32> = poses
                .iter()
                .flat_map(|p| p.to_array().map(|v| v as f32))
                .collect();
            let steps = step + 1;
            let actions = Tensor::from_slice(&actions, (1, steps, 7), &device).unwrap();
            let states = Tensor::from_vec(states, (1, steps, 7), &device).unwrap();
            let cameras = self
                .extrinsics
                .map(|_| Tensor::from_slice(&cameras, (1, steps, 6), &device).unwrap());
            let out = reference.forward(&history, &actions, &states, cameras.as_ref());
            let next = normalise_latent(&out.unwrap().narrow(1, step * n, n).unwrap()).unwrap();
            history = Tensor::cat(&[&history, &next], 1).unwrap();
            latents.push(values(&next));
            let action = Action::from_array(std::array::from_fn(|i| f64::from(action[i])));
            let moved = poses[step].apply(&action).to_array();
            poses.push(Pose::from_array(moved.map(|v| f64::from(v as f32))));
        }
        (latents, poses.split_off(1))
    }
}

const TIGHT: Budget = Budget {
    memory_mib: 1,
    max_chunk: 2,
};

#[test]
fn rollouts_and_final_latents_agree_with_the_reference() {
    for (number, case) in cases().iter().enumerate() {
        let wanted = [0, 7].map(|s| (s, case.recomputed(s, case.config.depth)));
        for (backend, bound) in backends() {
            let label = format!("case {number}, {}", name(backend.as_ref()));
            let predictor = backend.predictor(&case.config, &case.weights).unwrap();
            let last = [Budget::default(), TIGHT]
                .map(|b| predictor.final_latents(&case.start(), &case.sequences, b));
            let last = last.map(|latents| latents.unwrap());
            for (sample, (latents, poses)) in &wanted {
                let rollout = predictor.rollout(&case.start(), &case.sequences, *sample);
                let rollout = rollout.unwrap();
                assert_eq!(&rollout.poses, poses, "{label}");
                assert_eq!(rollout.latents.len(), latents.len(), "{label}");
                for (got, wanted) in rollout.latents.iter().zip(latents) {
                    let error = difference(got, wanted);
                    assert!(error < bound.latent, "{label}: {error}");
                }
                for all in &last {
                    let error = difference(&all[*sample], latents.last().unwrap());
                    assert!(error < bound.latent, "{label}: {error}");
                    assert_eq!(all.len(), case.sequences.samples());
                }
            }
            let none = ActionSequences::zeros(0, 1);
            let nothing = predictor.final_latents(&case.start(), &none, TIGHT);
            assert!(nothing.unwrap().is_empty(), "{label}");
        }
    }
}

#[test]
fn energies_and_previews_are_distances_of_the_references_latents() {
    for (number, case) in cases().iter().enumerate() {
        let goal = vec![0.25; case.latent.len()];
        let change = vec![0.5; goal.len()];
        let weighting = GoalWeighting::residual(number as f64 % 3.0).unwrap();
        let weights = GoalWeights::measure(&case.latent, &goal, &change, weighting);
        let distance = GoalDistance::weighed(&goal, &weights);
        let mut depths = vec![1, case.config.depth];
        depths.dedup();
        for depth in depths {
            let wanted = [0, 10].map(|s| {
                let (latents, _) = case.recomputed(s, depth);
                (s, distance.of(latents.last().unwrap()))
            });
            for (backend, bound) in backends() {
                let label = format!("case {number}, depth {depth}, {}", name(backend.as_ref()));
                let predictor = backend.predictor(&case.config, &case.weights).unwrap();
                for budget in [Budget::default(), TIGHT] {
                    let (start, sequences) = (case.start(), &case.sequences);
                    let energies = predictor.energies(&start, sequences, depth, &distance, budget);
                    let energies = energies.unwrap();
                    assert_eq!(energies.len(), sequences.samples());
                    for (sample, wanted) in wanted {
                        let got = energies[sample];
                        let error = (got - wanted).abs();
                        assert!(error < bound.energy, "{label}: {got}, not {wanted}");
                    }
                    // Along the way: what prefixes say of every step, weighed.
                    let horizon = sequences.horizon();
                    let weights: Vec<f32> = (1..=horizon).map(|t| 0.6 / t as f32).collect();
                    let along = distance.along(&weights);
                    let all = predictor.energies(&start, sequences, depth, &along, budget);
                    let mut sums = vec![0.0; sequences.samples()];
                    for (step, weight) in weights.iter().enumerate() {
                        let prefix = sequences.first_steps(step + 1);
                        let of = predictor.energies(&start, &prefix, depth, &distance, budget);
                        let of = of.unwrap();
                        sums.iter_mut().zip(of).for_each(|(s, e)| *s += weight * e);
                    }
                    for (got, wanted) in all.unwrap().iter().zip(sums) {
                        let error = (got - wanted).abs();
                        assert!(error < bound.energy, "{label}: {got}, not {wanted}");
                    }
                }
            }
        }
    }
}

#[test]
fn camera_poses_missing_or_unasked_for_are_refused() {
    for case in cases() {
        let start = RolloutStart {
            extrinsics: match case.extrinsics {
                Some(_) => None,
                None => Some([0.0; 6]),
            },
            ..case.start()
        };
        let distance = GoalDistance::plain(&case.latent);
        for (backend, _) in backends() {
            let predictor = backend.predictor(&case.config, &case.weights).unwrap();
            let (actions, budget) = (&case.sequences, Budget::default());
            for refused in [
                predictor.rollout(&start, actions, 0).map(|_| ()),
                predictor.final_latents(&start, actions, budget).map(|_| ()),
                predictor
                    .energies(&start, actions, 1, &distance, budget)
                    .map(|_| ()),
            ] {
                let error = refused.unwrap_err().to_string();
                assert!(error.contains("camera extrinsics"), "{error}");
            }
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let case = cases().remove(0);
    for (backend, _) in backends() {
        let mut weights = case.weights.clone();
        weights.remove("predictor_norm.bias");
        let error = backend.predictor(&case.config, &weights).unwrap_err();
        assert!(error.to_string().contains("predictor_norm.bias"), "{error}");
    }
}

#[test]
fn gradients_are_slopes_of_the_energies() {
    for (backend, _) in backends() {
        if backend.precision() != Precision::F32 {
            // Gradients are taken in f32 everywhere, but rounded energies have no fine slopes.
            continue;
        }
        let model = loud::model_with(backend.as_ref());
        let [tokens, width] = model.latent_shape();
        let latent = |phase: f32| Latent {
            values: (0..tokens * width)
                .map(|i| 1.4 * (i as f32 * 0.7 + phase).sin())
                .collect(),
            tokens,
        };
        let (context, goal) = (latent(0.0), latent(2.0));
        let pose = Pose::from_array(POSE);
        for (horizon, power) in [(1, 0.0), (2, 0.0), (2, 2.0)] {
            let label = format!("{}, {horizon}, {power}", name(backend.as_ref()));
            let weighting = GoalWeighting::residual(power).unwrap();
            let energy = model.energy(&context, &pose, &goal, Budget::default());
            let weights = energy.weights(weighting, None).unwrap();
            let energy = energy.with_weights(&weights);
            let mut sequences = ActionSequences::zeros(3, horizon);
            for sample in 0..3 {
                for step in 0..horizon {
                    for i in [0, 1, 2, 6] {
                        sequences.action_mut(sample, step)[i] =
                            ((sample * 5 + step * 3 + i) as f32).sin() * 0.1;
                    }
                }
            }
            let energies = energy.energies(&sequences).unwrap();
            let gradients = energy.gradients(&sequences).unwrap();
            for (a, b) in energies.iter().zip(&gradients.energies) {
                assert!((a - b).abs() < 1e-5, "{label}: {a} {b}");
            }
            let largest = gradients.values.iter().fold(0f32, |m, v| m.max(v.abs()));
            assert!(largest > 1e-3, "{label}: actions hardly matter: {largest}");
            for step in 0..horizon {
                for i in [0, 1, 2, 6] {
                    // All samples at once: each has its own energy.
                    let moved = |delta: f32| {
                        let mut moved = sequences.clone();
                        for sample in 0..3 {
                            moved.action_mut(sample, step)[i] += delta;
                        }
                        energy.energies(&moved).unwrap()
                    };
                    let delta = 4e-3;
                    let (above, below) = (moved(delta), moved(-delta));
                    for sample in 0..3 {
                        let slope = (above[sample] - below[sample]) / (2.0 * delta);
                        let got = gradients.values[(sample * horizon + step) * 7 + i];
                        assert!(
                            (slope - got).abs() < 0.05 * largest,
                            "{label}: sample {sample}, step {step}, component {i}: {got}, not {slope}"
                        );
                    }
                }
            }
        }
    }
}

/// Bit for bit: work is cut into pieces that don't depend on the number of threads, nor sums on
/// what is computed beside them.
#[test]
fn results_on_the_cpu_depend_on_neither_threads_nor_chunks() {
    let pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap()
    };
    for precision in [Precision::F32, Precision::Bf16] {
        let backend = CpuBackend::on(InstructionSet::for_any(precision), precision).unwrap();
        for case in cases() {
            let predictor = backend.predictor(&case.config, &case.weights).unwrap();
            let roll = |threads, max_chunk| {
                let budget = Budget {
                    max_chunk,
                    ..Budget::default()
                };
                let (start, sequences) = (case.start(), &case.sequences);
                pool(threads).install(|| predictor.final_latents(&start, sequences, budget))
            };
            let alone = roll(1, 16).unwrap();
            for (threads, chunk) in [(2, 16), (3, 2), (16, 1)] {
                let other = roll(threads, chunk).unwrap();
                assert_eq!(alone, other, "{precision}, {threads} threads");
            }
        }
        let model = loud::model_with(&backend);
        let [height, width] = model.config().encoder.img_size;
        let pixels: Vec<f32> = (0..9 * 3 * height * width)
            .map(|i| (i as f32 * 0.013).sin())
            .collect();
        let encode = |threads| pool(threads).install(|| model.encode_pixels(&pixels).unwrap());
        assert_eq!(encode(1), encode(3), "{precision}");
    }
}

/// Fixture 01: frames as the official code encodes them.
#[test]
fn golden_latents() {
    for fixture in of_kind("01_encoder", "encoder") {
        let config: EncoderConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let cases = fixture.json["cases"].as_array().unwrap();
        for case in cases.iter().filter(|c| c["kind"] == "frames_as_images") {
            let count = case["frames"].as_u64().unwrap() as usize;
            let clip = fixture.get("in.clip.x");
            let (_, _, _, h, w) = clip.dims5().unwrap();
            let frames = clip.narrow(2, 0, count).unwrap().transpose(1, 2).unwrap();
            let expected = fixture.vec(&format!("out.{}.out_norm", case["name"].as_str().unwrap()));
            for (backend, bound) in backends() {
                let Some(bound) = bound.golden else { continue };
                let encoder = backend.encoder(&config, &weights).unwrap();
                let got = encoder.encode(&values(&frames), [h, w]).unwrap();
                close(&name(backend.as_ref()), &got, &expected, bound);
            }
        }
    }
}

fn pose_of(values: &[f32]) -> Pose {
    Pose::from_array(std::array::from_fn(|i| f64::from(values[i])))
}

/// Fixture 02: one step is the official one-step output, layer-normalised.
#[test]
fn golden_steps() {
    for fixture in of_kind("02_ac_predictor", "predictor") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let size = config.tokens_per_frame() * config.embed_dim;
        let (batch, steps, _) = fixture.get("in.actions").dims3().unwrap();
        let [z, actions, states] =
            ["in.z", "in.actions", "in.states"].map(|name| fixture.vec(name));
        let mut expected = fixture.vec("out.out.T1");
        normalise_rows(&mut expected, config.embed_dim, LATENT_EPS as f32);
        for (backend, bound) in backends() {
            let Some(bound) = bound.golden else { continue };
            let predictor = backend.predictor(&config, &weights).unwrap();
            for sample in 0..batch {
                let first = sample * steps * 7;
                let mut sequences = ActionSequences::zeros(1, 1);
                let action = sequences.action_mut(0, 0);
                action.copy_from_slice(&actions[first..first + 7]);
                let start = RolloutStart {
                    latent: &z[sample * steps * size..][..size],
                    pose: pose_of(&states[first..]),
                    extrinsics: config.use_extrinsics.then(|| {
                        let all = fixture.vec("in.extrinsics");
                        std::array::from_fn(|i| all[sample * steps * 6 + i])
                    }),
                };
                let out = predictor.final_latents(&start, &sequences, Budget::default());
                let expected = &expected[sample * size..][..size];
                close(&name(backend.as_ref()), &out.unwrap()[0], expected, bound);
            }
        }
    }
}

/// Fixture 03: rollouts with cached keys and values are the official step-by-step ones.
#[test]
fn golden_rollouts() {
    for fixture in of_kind("03_rollout", "rollout") {
        let config: PredictorConfig = fixture.parse("config");
        let weights = fixture.weights("weights");
        let rep0 = values(&normalise_latent(fixture.get("in.rep0_raw")).unwrap());
        close("rep0", &rep0, &fixture.vec("out.rep0"), 5e-5);
        let small = normalise_latent(fixture.get("in.small_raw")).unwrap();
        let expected = fixture.vec("out.small_norm");
        close("small_norm", &values(&small), &expected, 5e-5);
        let (batch, steps, _) = fixture.get("in.actions").dims3().unwrap();
        let size = config.tokens_per_frame() * config.embed_dim;
        let (poses, actions) = (fixture.vec("in.pose0"), fixture.vec("in.actions"));
        for (backend, bound) in backends() {
            let Some(bound) = bound.golden else { continue };
            let predictor = backend.predictor(&config, &weights).unwrap();
            for sample in 0..batch {
                let mut sequences = ActionSequences::zeros(1, steps);
                for step in 0..steps {
                    let at = (sample * steps + step) * 7;
                    let action = sequences.action_mut(0, step);
                    action.copy_from_slice(&actions[at..at + 7]);
                }
                let start = RolloutStart {
                    latent: &rep0[sample * size..(sample + 1) * size],
                    pose: pose_of(&poses[sample * 7..]),
                    extrinsics: None,
                };
                let rollout = predictor.rollout(&start, &sequences, 0).unwrap();
                for step in 0..steps {
                    let what = format!("{}, step {}", name(backend.as_ref()), step + 1);
                    let expected = fixture.vec(&format!("out.rep{}", step + 1));
                    let expected = &expected[sample * size..(sample + 1) * size];
                    close(&what, &rollout.latents[step], expected, bound);
                    let pose = rollout.poses[step].to_array().map(|v| v as f32);
                    let expected = fixture.vec(&format!("out.pose{}", step + 1));
                    close(&what, &pose, &expected[sample * 7..(sample + 1) * 7], bound);
                }
            }
        }
    }
}
