//! Does the model see the table turned? The procedure of the V-JEPA 2 paper's appendix B.4.
//!
//! A model that looks through a single camera has to guess how the robot's axes lie in the
//! picture. The arm makes small random moves in x and y; from the frames before and after, the
//! planner infers which action led from one to the other. The least-squares map from inferred to
//! true translations says how far off the guess is: the angle of its nearest rotation, and its
//! condition number, by how much it stretches one direction more than another. Multiplying planned
//! translations by the map undoes both, as far as they are the same everywhere.

use std::time::Instant;

use foresight_planner::{Action, Component, Constraints, Decision, Mpc, Pose};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_robot::Observation;
use nalgebra::{DMatrix, Matrix2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::controllers::{EpisodeController, LatentModel, ModelSource, Oracle, OracleGoal};
use crate::env::Env;
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::load::LoadedScenario;

/// Fewer moves than this say nothing.
const FEWEST_MOVES: u32 = 6;
/// The arm keeps this far from its box's walls, m: a clamped move is no random move.
const KEEP_OFF_M: f64 = 0.01;

/// How the calibration is carried out.
#[derive(Debug, Clone, Copy)]
pub struct CalibrationOptions {
    /// Number of moves.
    pub moves: u32,
    /// Largest x and y of a move, m.
    pub reach_m: f64,
    /// Seed of scene, moves and searches.
    pub seed: u64,
    /// In virtual time instead of over zenoh in real time.
    pub virtual_time: bool,
}

/// One move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Move {
    /// What the arm really did, x and y, m, from its measured poses.
    pub true_m: [f64; 2],
    /// What the model took it for, m.
    pub inferred_m: [f64; 2],
}

/// What a calibration came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Every move.
    pub moves: Vec<Move>,
    /// What the moves say.
    #[serde(flatten)]
    pub fit: Fit,
}

/// The map and what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fit {
    /// Inferred translations times this are the true ones, by least squares.
    pub action_map_xy: [[f64; 2]; 2],
    /// Angle of the nearest rotation, rad: how far the model sees the table turned.
    pub rotation_error_rad: f64,
    /// Largest over smallest singular value; 1 stretches nothing.
    pub condition_number: f64,
    /// Root mean square distance of inferred and true translation, m.
    pub error_m: f64,
    /// The same after the map, each move judged by a map fitted to the others, m.
    pub mapped_error_m: f64,
}

/// Follows a calibration.
pub trait FollowMoves {
    /// After each move.
    fn moved(&mut self, number: u32, seen: &Move);

    /// Whether to end before the next.
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// Moves the arm about and asks the model what it saw.
///
/// # Errors
/// [`RunError`] when arm or model fail, the moves don't fit into the box, or too few were made.
pub fn calibrate(
    loaded: &LoadedScenario,
    source: &ModelSource,
    options: &CalibrationOptions,
    follow: &mut dyn FollowMoves,
) -> RunResult<Calibration> {
    if options.moves < FEWEST_MOVES || !(0.005..=0.15).contains(&options.reach_m) {
        return Err(RunError::Input(format!(
            "calibrate with at least {FEWEST_MOVES} moves of 0.005 to 0.15 m"
        )));
    }
    let spec = EpisodeSpec::new(loaded, options.seed);
    let mut env = if options.virtual_time {
        Env::in_virtual_time(&spec)?
    } else {
        Env::in_real_time(&spec)?
    };
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(MOVE_STREAM);
    let mut before = env.arm().observe()?;
    let mut moves = Vec::new();
    for number in 0..options.moves {
        if follow.interrupted() {
            break;
        }
        let action = random_move(&mut rng, &before.pose, loaded, options.reach_m)?;
        env.arm()
            .keep_alive_until(Instant::now() + loaded.scenario.planner.deadline());
        let execution = env.arm().execute(&action)?;
        if let Some(refusal) = execution.refusal {
            return Err(RunError::Input(format!("a move was refused: {refusal}")));
        }
        let after = env.arm().observe()?;
        env.arm()
            .keep_alive_until(Instant::now() + loaded.scenario.planner.deadline());
        let inferred_m = infer(&spec, source, [&before, &after], number)?;
        let moved = |i: usize| after.pose.position_m[i] - before.pose.position_m[i];
        let seen = Move {
            true_m: [moved(0), moved(1)],
            inferred_m,
        };
        follow.moved(number, &seen);
        moves.push(seen);
        before = after;
    }
    let too_few =
        || RunError::Input("too few different moves for a map; let it make some more".to_string());
    Ok(Calibration {
        scenario: loaded.scenario.name.clone(),
        seed: options.seed,
        fit: fit(&moves).ok_or_else(too_few)?,
        moves,
    })
}

/// The stream of the seed's random numbers that moves draw from; the scene has 0.
const MOVE_STREAM: u64 = 3;

/// A move in x and y that stays in the box, away from its walls.
fn random_move(
    rng: &mut ChaCha8Rng,
    here: &Pose,
    loaded: &LoadedScenario,
    reach_m: f64,
) -> RunResult<Action> {
    let workspace = &loaded.scenario.safety.workspace;
    let mut action = Action::default();
    for axis in 0..2 {
        let (low, high) = (
            workspace.min_m[axis] + KEEP_OFF_M - here.position_m[axis],
            workspace.max_m[axis] - KEEP_OFF_M - here.position_m[axis],
        );
        if high - low < reach_m {
            return Err(RunError::Input(format!(
                "the workspace box is too narrow for moves of {reach_m} m; give a smaller --reach"
            )));
        }
        let (low, high) = (low.max(-reach_m), high.min(reach_m));
        action.translation_m[axis] = if low < high {
            rng.random_range(low..=high)
        } else {
            // Outside the box: straight back in.
            low.clamp(-reach_m, reach_m)
        };
    }
    Ok(action)
}

/// Which translation the planner takes the difference of two observations for, m: the action it
/// decides on where `before` was seen, with `after` for a goal.
fn infer(
    spec: &EpisodeSpec,
    source: &ModelSource,
    [before, after]: [&Observation; 2],
    number: u32,
) -> RunResult<[f64; 2]> {
    let mut settings = spec.loaded.scenario.planner.clone();
    settings.dimensions = vec![Component::X, Component::Y];
    settings.horizon = 1;
    let method = settings.cem();
    let mut controller: Box<EpisodeController<'_>> = match source {
        ModelSource::Oracle => {
            let goal = OracleGoal {
                pose: Pose {
                    gripper: before.pose.gripper,
                    ..after.pose
                },
                grasping: false,
            };
            Box::new(Mpc::new(Oracle::new(vec![goal]), method, spec.seed))
        }
        ModelSource::Latent(loaded) => {
            spec.check_cameras(&loaded.model)?;
            let goals = loaded.encode(std::slice::from_ref(&after.frame.image))?;
            let extrinsics = spec.extrinsics_for(&loaded.model)?;
            let uniform = GoalWeighting::UNIFORM;
            let cost = LatentModel::new(&loaded.model, goals, uniform, extrinsics);
            Box::new(Mpc::new(cost, method, spec.seed))
        }
        ModelSource::TrueDynamics(_) | ModelSource::Policy { .. } => {
            return Err(RunError::Input(
                "only a world model infers actions from pictures; use --world model".into(),
            ))
        }
    };
    let constraints = Constraints::with_gripper(0.0);
    let Decision::Act { plan, .. } = controller.decide(before, &constraints, number)? else {
        return Ok([0.0; 2]);
    };
    let [x, y, _] = plan.first().translation_m;
    Ok([x, y])
}

/// The least-squares map of some moves; `None` when they don't determine one.
pub fn fit(moves: &[Move]) -> Option<Fit> {
    let map = least_squares(moves.iter())?;
    let svd = map.svd(true, true);
    let [largest, smallest] = [svd.singular_values[0], svd.singular_values[1]];
    let (u, v_t) = (svd.u?, svd.v_t?);
    // The nearest rotation; a mirrored map has none, its angle is then of the nearest proper one.
    let mut nearest = u * v_t;
    if nearest.determinant() < 0.0 {
        let mut flipped = u;
        flipped.column_mut(1).neg_mut();
        nearest = flipped * v_t;
    }
    let left_out = (0..moves.len()).map(|i| {
        let others = moves.iter().enumerate().filter(|(j, _)| *j != i);
        let map = least_squares(others.map(|(_, m)| m))?;
        Some(off(&moves[i], &map).powi(2))
    });
    let mapped = left_out.collect::<Option<Vec<f64>>>()?;
    let identity = Matrix2::identity();
    let plain = moves.iter().map(|m| off(m, &identity).powi(2));
    let rms = |sum: f64| (sum / moves.len() as f64).sqrt();
    Some(Fit {
        action_map_xy: [[map[(0, 0)], map[(0, 1)]], [map[(1, 0)], map[(1, 1)]]],
        rotation_error_rad: nearest[(1, 0)].atan2(nearest[(0, 0)]),
        condition_number: largest / smallest,
        error_m: rms(plain.sum()),
        mapped_error_m: rms(mapped.iter().sum()),
    })
}

/// The `M` that minimises the squared distance of `M · inferred` and the truth.
fn least_squares<'a>(moves: impl Iterator<Item = &'a Move>) -> Option<Matrix2<f64>> {
    let moves: Vec<&Move> = moves.collect();
    let finite = |v: &[f64; 2]| v.iter().all(|x| x.is_finite());
    let measured = moves
        .iter()
        .all(|m| finite(&m.inferred_m) && finite(&m.true_m));
    // The decomposition panics on NaN.
    if moves.len() < 2 || !measured {
        return None;
    }
    let inferred = DMatrix::from_fn(moves.len(), 2, |i, j| moves[i].inferred_m[j]);
    let truth = DMatrix::from_fn(moves.len(), 2, |i, j| moves[i].true_m[j]);
    let svd = inferred.svd(true, true);
    let (largest, smallest) = (svd.singular_values[0], svd.singular_values[1]);
    // Moves along one line say nothing about the other.
    let determined = smallest > 1e-6 * largest.max(1e-9);
    if !determined {
        return None;
    }
    let solution = svd.solve(&truth, 0.0).ok()?;
    Some(Matrix2::new(
        solution[(0, 0)],
        solution[(1, 0)],
        solution[(0, 1)],
        solution[(1, 1)],
    ))
}

/// How far a mapped inferred translation is from the truth, m.
fn off(seen: &Move, map: &Matrix2<f64>) -> f64 {
    let [x, y] = seen.inferred_m;
    let mapped = map * nalgebra::Vector2::new(x, y);
    (mapped.x - seen.true_m[0]).hypot(mapped.y - seen.true_m[1])
}

#[cfg(test)]
#[path = "../tests/unit/calibrate.rs"]
mod tests;
