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
mod tests {
    use super::*;

    #[test]
    fn moves_fill_the_box_evenly_and_leave_the_rest() {
        let space = ActionSpace::default();
        let moves = probe_actions(&space, None);
        let bound = space.max_translation_m as f32;
        let mut slabs = [[0; 8]; 3];
        for sample in 0..PROBES {
            let action = moves.action(sample, 0);
            assert!(action[..3].iter().all(|v| v.abs() <= bound), "{action:?}");
            assert_eq!(action[3..], [0.0; 4]);
            for (slabs, v) in slabs.iter_mut().zip(action) {
                slabs[(((v / bound + 1.0) * 4.0) as usize).min(7)] += 1;
            }
        }
        // Eight a slab on average, along every axis. Of independent draws one in hundreds would do.
        assert!(
            slabs.iter().flatten().all(|n| (5..=11).contains(n)),
            "{slabs:?}"
        );
    }

    #[test]
    fn rotations_move_where_the_model_has_them() {
        let space = ActionSpace {
            max_rotation_rad: 0.1,
            ..ActionSpace::default()
        };
        let moves = probe_actions(&space, None);
        let largest = |i: usize| {
            (0..PROBES)
                .map(|s| moves.action(s, 0)[i].abs())
                .fold(0.0, f32::max)
        };
        assert!((3..6).all(|i| largest(i) > 0.08 && largest(i) <= 0.1));
        assert_eq!(largest(6), 0.0);
    }

    #[test]
    fn no_move_leaves_the_room() {
        let slack = RelativeBounds {
            below_m: [-1.0, -1.0, -0.01],
            above_m: [1.0, 0.0, 1.0],
        };
        let moves = probe_actions(&ActionSpace::default(), Some(&slack));
        let along = |i: usize| (0..PROBES).map(move |s| moves.action(s, 0)[i]);
        assert!(along.clone()(1).all(|y| y <= 0.0) && along.clone()(2).all(|z| z >= -0.01));
        assert!(along(2).any(|z| z > 0.06));
    }

    #[test]
    fn the_root_solves_its_equation() {
        for d in 1..7 {
            let x = root(d);
            assert!((x.powi(d as i32 + 1) - x - 1.0).abs() < 1e-12, "{d}: {x}");
        }
    }

    #[test]
    fn changes_are_averaged_by_entry() {
        let after = [vec![1.0, 2.0], vec![-1.0, 2.0]];
        assert_eq!(latent_sensitivity(&[0.0, 2.0], &after), [1.0, 0.0]);
        assert_eq!(latent_sensitivity(&[0.0, 2.0], &[]), [0.0, 0.0]);
    }
}
