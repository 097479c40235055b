//! What a model is worth on recorded clips, without a robot: errors of its rollouts, whether its
//! search finds the recorded motion, whether its latents have collapsed.

use foresight_planner::{
    solve, Action, ActionSequences, Cem, CemConfig, Component, Constraints, Dimension, Momentum,
    PlanError, Pose, SearchSpace, SeededNoise,
};

use crate::error::Result;
use crate::rollout::Budget;
use crate::world_model::{Latent, WorldModel};

/// Normalised features that deviate less than this over frames have nearly collapsed: those of
/// working models deviate by several tenths.
pub const COLLAPSED: f64 = 0.05;

/// A recorded clip of `T` frames.
#[derive(Debug, Clone)]
pub struct RecordedClip {
    /// Normalised latents, `T`.
    pub latents: Vec<Latent>,
    /// Measured poses, `T`.
    pub states: Vec<Pose>,
    /// Realised actions between them, `T − 1`.
    pub actions: Vec<Action>,
}

/// One clip rolled out from its first frame with the recorded actions.
#[derive(Debug, Clone)]
pub struct RolledOut {
    /// Mean L1 distance of the predicted latent to the true one, after 1, 2, … steps.
    pub errors: Vec<f64>,
    /// The same of the first frame's latent: predicting no change.
    pub persistence: Vec<f64>,
    /// The predicted latents.
    pub predictions: Vec<Latent>,
}

/// Rolls a clip out as planning does: from one frame, poses added up from the actions.
///
/// # Errors
/// When a GPU fails.
pub fn roll_out(model: &WorldModel, clip: &RecordedClip) -> Result<RolledOut> {
    let (Some(start), Some(pose)) = (clip.latents.first(), clip.states.first()) else {
        return Ok(RolledOut {
            errors: Vec::new(),
            persistence: Vec::new(),
            predictions: Vec::new(),
        });
    };
    let mut sequence = ActionSequences::zeros(1, clip.actions.len());
    for (step, action) in clip.actions.iter().enumerate() {
        let values = action.to_array().map(|v| v as f32);
        sequence.action_mut(0, step).copy_from_slice(&values);
    }
    let rollout = model.rollout(start, pose, None, &sequence, 0)?;
    let predictions: Vec<Latent> = rollout
        .latents
        .into_iter()
        .map(|values| Latent {
            values,
            tokens: start.tokens,
        })
        .collect();
    let truths = &clip.latents[1..];
    Ok(RolledOut {
        errors: predictions
            .iter()
            .zip(truths)
            .map(|(a, b)| f64::from(a.distance(b)))
            .collect(),
        persistence: truths
            .iter()
            .map(|truth| f64::from(start.distance(truth)))
            .collect(),
        predictions,
    })
}

/// Steps between the first frame and the goal, and planned steps, of the action score.
pub const SCORE_HORIZON: usize = 3;

/// The search of the action score as JEPA-WMs configures it for DROID (`facebookresearch/jepa-wms`,
/// `configs/evals/simu_env_planning/droid`): 300 candidates, 15 iterations, 10 elites, no
/// momentum, deviation 0.1 and bounds of 0.1 m and rad, 0.75 for the gripper. Rotations are left
/// out for models that have never seen any.
pub fn score_search(rotations: bool) -> CemConfig {
    const DEVIATION: f64 = 0.1;
    let none = Momentum {
        mean: 0.0,
        std: 0.0,
    };
    let dimension = |component: Component| Dimension {
        component,
        std: DEVIATION,
        bound: if component == Component::Gripper {
            0.75
        } else {
            DEVIATION
        },
    };
    let searched = Component::ALL
        .into_iter()
        .filter(|c| rotations || !matches!(c, Component::Rx | Component::Ry | Component::Rz));
    CemConfig {
        samples: 300,
        iterations: 15,
        horizon: SCORE_HORIZON,
        momentum: none,
        momentum_gripper: none,
        space: SearchSpace {
            dimensions: searched.map(dimension).collect(),
        },
        gripper_deadband: 0.0,
        ..CemConfig::notebook()
    }
}

/// How far a plan towards a recorded frame lies from the recorded motion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionError {
    /// `Σ|Σ planned − Σ recorded|` over x, y, z of the summed actions, m.
    pub translation_m: f64,
    /// The same of the gripper's change.
    pub gripper: f64,
}

/// Plans from the first frame of a clip to that [`SCORE_HORIZON`] steps later and compares the
/// summed actions: whatever the way, the same sum leads to the same place.
///
/// # Errors
/// When the search fails.
pub fn action_error(
    model: &WorldModel,
    clip: &RecordedClip,
    search: &CemConfig,
    seed: u64,
    number: u64,
) -> Result<ActionError, PlanError> {
    let steps = search.horizon;
    let energy = model.energy(
        &clip.latents[0],
        &clip.states[0],
        &clip.latents[steps],
        Budget::default(),
    );
    let mut search = Cem::new(search.clone(), &Constraints::default(), &[]);
    let mut noise = SeededNoise::new(seed, number);
    let plan = solve(&mut search, &energy, &mut noise)?;
    let sum = |actions: &[Action]| {
        let mut sum = [0.0; 7];
        for action in actions {
            for (s, a) in sum.iter_mut().zip(action.to_array()) {
                *s += a;
            }
        }
        sum
    };
    let (planned, recorded) = (sum(&plan.actions), sum(&clip.actions[..steps]));
    let difference = |i: usize| (planned[i] - recorded[i]).abs();
    Ok(ActionError {
        translation_m: difference(0) + difference(1) + difference(2),
        gripper: difference(6),
    })
}

/// The DROID action score of JEPA-WMs from the mean translation error, m:
/// `max(0, 800·(0.1 − error))`, 80 at best.
pub fn action_score(mean_translation_error_m: f64) -> f64 {
    (800.0 * (0.1 - mean_translation_error_m)).max(0.0)
}

/// Standard deviation of each feature over the frames, averaged over the features; see
/// [`COLLAPSED`].
pub fn deviation<'a>(latents: impl IntoIterator<Item = &'a Latent>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Vec::new(), Vec::new());
    for latent in latents {
        mean.resize(latent.values.len(), 0.0);
        squares.resize(latent.values.len(), 0.0);
        count += 1.0;
        let moments = mean.iter_mut().zip(squares.iter_mut());
        for ((mean, square), value) in moments.zip(&latent.values) {
            // Welford's recurrence.
            let before: f64 = f64::from(*value) - *mean;
            *mean += before / count;
            *square += before * (f64::from(*value) - *mean);
        }
    }
    let deviations = squares.iter().map(|s| (s / f64::max(count, 1.0)).sqrt());
    deviations.sum::<f64>() / squares.len().max(1) as f64
}
