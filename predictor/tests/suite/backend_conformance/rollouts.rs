//! Rollouts, energies, previews and gradients.

use super::*;

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
