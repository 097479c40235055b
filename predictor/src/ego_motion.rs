//! How much a latent changes with the motion of the arm itself, whatever becomes of the scene: its
//! sensitivity to ego-motion.
//!
//! Nearly every entry of a latent changes when the hand moves, some much, some little. An entry
//! that is far from the goal's although moving hardly changes it tells of something else: of an
//! object that lies elsewhere. The sensitivity is measured anew at every decision, by predicting
//! moves spread evenly over what the model may be asked for. Nothing is drawn at random, and no
//! labels are needed.

use foresight_planner::{ActionSequences, RelativeBounds};

use crate::config::ActionSpace;

/// Moves that are imagined at each decision. The mean change over 64 moves orders pushes as well
/// as that over 400.
pub const PROBES: usize = 64;

/// [`PROBES`] single steps spread evenly over the box of `space`, as far as `limits` let the hand
/// go; the gripper stays.
///
/// The points are Roberts' additive recurrence ("The Unreasonable Effectiveness of Quasirandom
/// Sequences", 2018): multiples of powers of the real root of `x^(d + 1) = x + 1`.
pub fn probe_actions(space: &ActionSpace, limits: Option<&RelativeBounds>) -> ActionSequences {
    let (metres, radians) = (space.max_translation_m, space.max_rotation_rad);
    let mut bounds = [metres, metres, metres, radians, radians, radians].map(|b| [-b, b]);
    for (bound, (below, above)) in bounds
        .iter_mut()
        .zip(limits.iter().flat_map(|s| s.below_m.iter().zip(&s.above_m)))
    {
        *bound = [
            bound[0].max(f64::from(*below)),
            bound[1].min(f64::from(*above)),
        ];
    }
    let moving: Vec<usize> = (0..bounds.len())
        .filter(|&i| bounds[i][1] > bounds[i][0])
        .collect();
    let root = root(moving.len());
    let mut moves = ActionSequences::zeros(PROBES, 1);
    for sample in 0..PROBES {
        for (axis, &component) in moving.iter().enumerate() {
            let stride = root.powi(-(axis as i32 + 1));
            let share = (0.5 + (sample + 1) as f64 * stride).fract();
            let [low, high] = bounds[component];
            moves.action_mut(sample, 0)[component] = (low + share * (high - low)) as f32;
        }
    }
    moves
}

/// The real root of `x^(dimensions + 1) = x + 1`, from 1 to 2.
fn root(dimensions: usize) -> f64 {
    // x ↦ (1 + x)^(1 / (d + 1)) contracts towards it.
    (0..64).fold(1.5, |x: f64, _| {
        (1.0 + x).powf(1.0 / (dimensions as f64 + 1.0))
    })
}

/// Mean absolute change of every entry of `context` `[N, D]` to the latents `[N, D]` after moves,
/// in their order; zeros without any.
pub fn latent_sensitivity(context: &[f32], after: &[Vec<f32>]) -> Vec<f32> {
    let mut change = vec![0.0; context.len()];
    for latent in after {
        for ((sum, before), after) in change.iter_mut().zip(context).zip(latent) {
            *sum += (after - before).abs();
        }
    }
    let share = 1.0 / after.len().max(1) as f32;
    change.iter_mut().for_each(|sum| *sum *= share);
    change
}

#[cfg(test)]
#[path = "../tests/unit/ego_motion.rs"]
mod tests;
