//! Translations end where the hand may go no farther.

use foresight_planner::{ActionSequences, Pose, RelativeBounds, WorkspaceBounds};

fn from(z_m: f64) -> RelativeBounds {
    let bounds = WorkspaceBounds {
        min_m: [f64::NEG_INFINITY, -0.2, 0.012],
        max_m: [f64::INFINITY, 0.2, 0.3],
    };
    bounds.relative_to(&Pose::from_array([0.5, 0.19, z_m, 3.1, 0.0, 0.0, 0.0]))
}

fn clamped(bounds: RelativeBounds, steps: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let mut sequences = ActionSequences::zeros(1, steps.len());
    for (step, translation) in steps.iter().enumerate() {
        sequences.action_mut(0, step)[..3].copy_from_slice(translation);
    }
    bounds.clamp_translations(&mut sequences, 0, &[None; 7]);
    let step = |h| std::array::from_fn(|i| sequences.action(0, h)[i]);
    (0..steps.len()).map(step).collect()
}

#[test]
fn actions_end_at_the_borders() {
    let [action] = clamped(from(0.022), &[[0.9, 0.075, -0.06]])[..] else {
        panic!("one action")
    };
    assert_eq!(action[0], 0.9);
    assert!(
        (action[1] - 0.01).abs() < 1e-6 && (action[2] + 0.01).abs() < 1e-6,
        "{action:?}"
    );
}

#[test]
fn later_steps_start_where_earlier_ones_end() {
    let steps = clamped(from(0.022), &[[0.0, 0.0, 0.05], [0.0, 0.0, -0.075]]);
    assert_eq!(steps[0][2], 0.05);
    assert!((steps[1][2] + 0.06).abs() < 1e-6, "{steps:?}");
}

#[test]
fn a_hand_outside_may_only_come_back() {
    let steps = clamped(from(0.002), &[[0.0, 0.0, -0.01], [0.0, 0.0, 0.005]]);
    assert_eq!([steps[0][2], steps[1][2]], [0.0, 0.005]);
}

#[test]
fn what_is_fixed_stays() {
    let mut sequences = ActionSequences::zeros(1, 1);
    sequences.action_mut(0, 0)[2] = -0.06;
    let mut fixed = [None; 7];
    fixed[2] = Some(-0.06);
    from(0.022).clamp_translations(&mut sequences, 0, &fixed);
    assert_eq!(sequences.action(0, 0)[2], -0.06);
}
