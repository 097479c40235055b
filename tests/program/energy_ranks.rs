//! Whether energies order states by how far they are from the goal: Spearman's rank correlation
//! between L1 distances of latents and true distances, in scenes no split records.

use foresight_datasets::{extrinsics, Split};
use foresight_planner::{ActionSequences, Energy, Pose};
use foresight_predictor::{Budget, Latent, WorldModel};
use foresight_sim::{goals, GoalState, Scene, SceneDistribution, Simulator};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use foresight_scenarios::foreseen::spearman;
use foresight_scenarios::RunError;

type RunResult<T> = Result<T, RunError>;

/// Number of the first scene inside the validation split: far from what is recorded.
const FIRST_SCENE: u64 = 800_000;
/// Where hands are put, base frame, m.
const HAND_MIN_M: [f64; 3] = [0.42, -0.14, 0.10];
const HAND_MAX_M: [f64; 3] = [0.58, 0.14, 0.24];
/// Where the hand is while objects are moved about, m.
const PARKED_M: [f64; 3] = [0.50, 0.0, 0.24];
/// Farthest an object is put from the goal's, m.
const OBJECT_REACH_M: f64 = 0.12;
/// Bound of a candidate action, m an axis.
const STEP_M: f64 = 0.075;
/// Height of the hand above the object's top before a candidate action, m.
const ABOVE_M: [f64; 2] = [0.03, 0.10];

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct RankOptions {
    /// Scenes.
    pub scenes: u64,
    /// States compared with each goal.
    pub states: usize,
}

/// Rank correlations, averaged over scenes: 1 is perfect order, 0 none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyRanks {
    /// Scenes measured.
    pub scenes: u64,
    /// Latent distance against the hand's distance, objects alike.
    pub hand: f64,
    /// Latent distance against the object's distance, the hand alike: 0 for a model blind to
    /// objects.
    pub object: f64,
    /// Predicted energy of one random action against the true distance of the hand to its goal
    /// after it: what the search sees.
    pub planned: f64,
}

/// Measures in scenes drawn from the default distribution.
///
/// # Errors
/// When a scene can't be posed.
pub fn measure(model: &WorldModel, options: &RankOptions) -> RunResult<EnergyRanks> {
    let scenes = (0..options.scenes)
        .into_par_iter()
        .map(|number| scene(model, options, number))
        .collect::<RunResult<Vec<[f64; 3]>>>()?;
    let mean = |i: usize| scenes.iter().map(|s| s[i]).sum::<f64>() / scenes.len().max(1) as f64;
    Ok(EnergyRanks {
        scenes: options.scenes,
        hand: mean(0),
        object: mean(1),
        planned: mean(2),
    })
}

/// Correlations `[hand, object, planned]` in one scene.
fn scene(model: &WorldModel, options: &RankOptions, number: u64) -> RunResult<[f64; 3]> {
    let seed = Split::Validation
        .seed(FIRST_SCENE + number)
        .map_err(|e| RunError::Input(e.to_string()))?;
    let scene = SceneDistribution::near_start().sample(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(5);
    let mut simulator = Simulator::new(&scene)?;
    let mut see = |state: &GoalState| picture(model, &mut simulator, state);

    let hand = |rng: &mut ChaCha8Rng| {
        let at = std::array::from_fn(|i| rng.random_range(HAND_MIN_M[i]..HAND_MAX_M[i]));
        goals::reach(&scene, at)
    };
    let goal = hand(&mut rng);
    let goal_latent = see(&goal)?;
    let (mut energies, mut distances) = (Vec::new(), Vec::new());
    for _ in 0..options.states {
        let state = hand(&mut rng);
        energies.push(f64::from(see(&state)?.distance(&goal_latent)));
        distances.push(distance(state.arm.position_m, goal.arm.position_m));
    }
    let by_hand = spearman(&energies, &distances);

    let parked = goals::reach(&scene, PARKED_M);
    let goal_latent = see(&parked)?;
    let (mut energies, mut distances) = (Vec::new(), Vec::new());
    for _ in 0..options.states {
        let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        let off = rng.random_range(0.0..OBJECT_REACH_M);
        let mut state = parked.clone();
        if let Some(object) = &mut state.object {
            object.position_m[0] += off * cos;
            object.position_m[1] += off * sin;
        }
        energies.push(f64::from(see(&state)?.distance(&goal_latent)));
        distances.push(off);
    }
    let by_object = spearman(&energies, &distances);

    let goal = goals::at_object(&scene);
    let goal_latent = see(&goal)?;
    let start = above(&scene, &mut rng);
    let start_latent = see(&start)?;
    let camera = extrinsics::looking_at(scene.camera.eye_m, scene.camera.look_at_m);
    let camera = camera.filter(|_| model.takes_extrinsics());
    let budget = Budget::default();
    let energy = model
        .energy(&start_latent, &start.arm, &goal_latent, budget)
        .with_extrinsics(camera.map(|e| e.map(|v| v as f32)));
    let poses = [&start.arm, &goal.arm];
    let by_plan = planned(&energy, poses, options.states, &mut rng)?;
    Ok([by_hand, by_object, by_plan])
}

/// The open hand somewhere above the object.
fn above(scene: &Scene, rng: &mut ChaCha8Rng) -> GoalState {
    let mut state = goals::at_object(scene);
    let top = scene.object.size_m[2];
    let position = &mut state.arm.position_m;
    position[0] += rng.random_range(-0.04..0.04);
    position[1] += rng.random_range(-0.04..0.04);
    position[2] = top + rng.random_range(ABOVE_M[0]..ABOVE_M[1]);
    state
}

fn planned(
    energy: &dyn Energy,
    [from, to]: [&Pose; 2],
    candidates: usize,
    rng: &mut ChaCha8Rng,
) -> RunResult<f64> {
    let mut actions = ActionSequences::zeros(candidates, 1);
    let mut distances = Vec::new();
    for sample in 0..candidates {
        let mut after = from.position_m;
        for (axis, at) in after.iter_mut().enumerate() {
            let step = rng.random_range(-STEP_M..STEP_M);
            actions.action_mut(sample, 0)[axis] = step as f32;
            *at += step;
        }
        distances.push(distance(after, to.position_m));
    }
    let energies = energy.energies(&actions);
    let energies = energies.map_err(|e| RunError::Imagination(e.to_string()))?;
    let energies: Vec<f64> = energies.into_iter().map(f64::from).collect();
    Ok(spearman(&energies, &distances))
}

fn picture(model: &WorldModel, simulator: &mut Simulator, state: &GoalState) -> RunResult<Latent> {
    simulator.set_goal_state(state)?;
    let [height, width] = model.config().encoder.img_size;
    let image = simulator.render(width as u32, height as u32);
    let latents = model.encode(&[&image]);
    let latents = latents.map_err(|e| RunError::Imagination(e.to_string()))?;
    let none = || RunError::Imagination("the encoder returned no latent".into());
    latents.into_iter().next().ok_or_else(none)
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}
