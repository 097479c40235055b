//! Whole plans: the same for any number of threads, and the same on the kernels and on candle's
//! devices, as far as this can be told without a GPU.

use crate::loud::model;
use foresight_planner::{
    solve, ActionSequences, CemConfig, Constraints, Energy, Pose, SearchMethod, SeededNoise,
    WorkspaceBounds,
};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::{Budget, ComputeDevice, Latent, Precision, WorldModel};

fn latents(model: &WorldModel) -> [Latent; 2] {
    let [height, width] = model.config().encoder.img_size;
    let size = 3 * height * width;
    let pixels: Vec<f32> = (0..2 * size).map(|i| (i as f32 * 0.013).sin()).collect();
    let latents = model.encode_pixels(&pixels).unwrap();
    latents.try_into().unwrap()
}

fn candidates(samples: usize, horizon: usize) -> ActionSequences {
    let cem = CemConfig {
        samples,
        horizon,
        topk: 5,
        ..CemConfig::paper()
    };
    let mut search = cem.begin(&Constraints::default());
    search.ask(&mut SeededNoise::new(7, 0)).unwrap().sequences
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

const POSE: [f64; 7] = [0.4, 0.1, 0.2, 3.1, 0.0, 0.3, 0.5];

#[test]
fn kernels_and_candle_plan_the_same() {
    let kernels = model(ComputeDevice::Cpu, Precision::F32);
    let device = model(ComputeDevice::CandleCpu, Precision::F32);
    assert_eq!(device.computes(), "f32 on candle-cpu");
    let [context, goal] = latents(&kernels);
    let pose = Pose::from_array(POSE);
    for horizon in [1, 2] {
        let sequences = candidates(12, horizon);
        let cem = CemConfig {
            samples: 16,
            iterations: 2,
            topk: 5,
            horizon,
            ..CemConfig::paper()
        };
        let [got, wanted] = [&device, &kernels].map(|model| {
            let energy = model.energy(&context, &pose, &goal, Budget::default());
            let energies = energy.energies(&sequences).unwrap();
            let previews = energy.previews(&sequences, 0.5).unwrap();
            let mut search = cem.begin(&Constraints::default());
            let mut noise = SeededNoise::new(11, 0);
            let plan = solve(search.as_mut(), &energy, &mut noise).unwrap();
            (energies, previews, plan)
        });
        let (low, high) = wanted
            .0
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), e| {
                (low.min(*e), high.max(*e))
            });
        assert!(high - low > 1e-3, "energies hardly differ: {low} to {high}");
        assert!(furthest(&got.0, &wanted.0) < 2e-5);
        assert!(furthest(&got.1, &wanted.1) < 2e-5);
        assert_ne!(wanted.0, wanted.1, "half the blocks are a preview");
        // Same noise in the same order, same elites: the same plan.
        assert_eq!(got.2.evaluations, wanted.2.evaluations);
        for (got, wanted) in got.2.actions.iter().zip(&wanted.2.actions) {
            for (a, b) in got.to_array().iter().zip(wanted.to_array()) {
                assert!((a - b).abs() < 1e-5, "{got:?} {wanted:?}");
            }
        }
    }
}

#[test]
fn weights_measured_by_moves_agree_whatever_the_device_budget_and_threads() {
    let kernels = model(ComputeDevice::Cpu, Precision::F32);
    let device = model(ComputeDevice::CandleCpu, Precision::F32);
    let [context, goal] = latents(&kernels);
    let pose = Pose::from_array(POSE);
    let weighting = GoalWeighting::residual(2.0).unwrap();
    let room = WorkspaceBounds {
        min_m: [0.0, 0.0, 0.19],
        max_m: [1.0, 1.0, 1.0],
    };
    let slack = room.relative_to(&pose);
    let weights = |model: &WorldModel, memory_mib, threads, slack| {
        let budget = Budget {
            memory_mib,
            ..Budget::default()
        };
        let energy = model.energy(&context, &pose, &goal, budget);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let weights = pool
            .build()
            .unwrap()
            .install(|| energy.weights(weighting, slack));
        weights.unwrap().values().unwrap().to_vec()
    };
    let wanted = weights(&kernels, 512, 1, Some(&slack));
    assert!(wanted.iter().any(|w| *w > 2.0) && wanted.iter().any(|w| *w < 0.5));
    assert_eq!(wanted, weights(&kernels, 512, 3, Some(&slack)));
    for memory_mib in [512, 1] {
        let got = weights(&device, memory_mib, 2, Some(&slack));
        assert!(furthest(&got, &wanted) < 1e-3 * wanted.iter().fold(0.0, |m, w| w.max(m)));
    }
    // The room matters: without it moves go where the hand can't.
    assert!(furthest(&wanted, &weights(&kernels, 512, 1, None)) > 1e-3);
}

#[test]
fn plans_are_the_same_for_any_number_of_threads() {
    for precision in [Precision::F32, Precision::Bf16] {
        let model = model(ComputeDevice::Cpu, precision);
        let [context, goal] = latents(&model);
        let pose = Pose::from_array(POSE);
        let cem = CemConfig {
            samples: 50,
            iterations: 3,
            topk: 5,
            ..CemConfig::notebook()
        };
        let plan = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let mut search = cem.begin(&Constraints::default());
                let energy = model.energy(&context, &pose, &goal, Budget::default());
                solve(search.as_mut(), &energy, &mut SeededNoise::new(5, 0)).unwrap()
            })
        };
        let single = plan(1);
        assert!(single.actions[0].to_array().iter().any(|v| *v != 0.0));
        for threads in [2, 7] {
            // Bit for bit: actions, elites, their energies.
            assert_eq!(single, plan(threads), "{precision}, {threads} threads");
        }
    }
}

#[test]
fn bf16_ranks_candidates_as_f32_does() {
    let exact = model(ComputeDevice::Cpu, Precision::F32);
    let rounded = model(ComputeDevice::CandleCpu, Precision::Bf16);
    assert_eq!(rounded.computes(), "bf16 on candle-cpu");
    let [context, goal] = latents(&exact);
    for (a, b) in latents(&rounded).iter().zip([&context, &goal]) {
        let off = a.distance(b);
        assert!(off > 0.0 && off < 0.03, "latents are off by {off}");
    }
    let pose = Pose::from_array(POSE);
    let sequences = candidates(100, 2);
    let [a, b] = [&exact, &rounded].map(|m| {
        m.energy(&context, &pose, &goal, Budget::default())
            .energies(&sequences)
            .unwrap()
    });
    let rank = spearman(&a, &b);
    assert!(rank > 0.98, "rank correlation {rank}");
}

fn spearman(a: &[f32], b: &[f32]) -> f64 {
    let ranks = |values: &[f32]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        let mut ranks = vec![0.0; values.len()];
        for (rank, i) in order.into_iter().enumerate() {
            ranks[i] = rank as f64;
        }
        ranks
    };
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    let squares: f64 = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}
