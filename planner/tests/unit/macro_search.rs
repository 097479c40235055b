//! Unit tests of `src/macro_search.rs`.

use super::*;

const RANGE: MacroRange = MacroRange {
    low: [-0.2, -0.2, -0.2, 0.0, 0.0, 0.0, -1.0],
    high: [0.2, 0.2, 0.2, 0.0, 0.0, 0.0, 1.0],
};

fn going(x: f64, gripper: f64) -> Vec<Action> {
    let action = |x, gripper| Action::from_array([x, 0.0, 0.0, 0.0, 0.0, 0.0, gripper]);
    vec![action(x, 0.0), action(0.0, gripper)]
}

#[test]
fn a_flipped_gripper_needs_a_reason_and_a_nudge_hardly_any() {
    let config = LevelTwoSearch {
        horizon: 2,
        ..LevelTwoSearch::default()
    };
    let search = MacroSearch::new(config, RANGE, &Constraints::default(), &[going(0.1, 1.0)]);
    let strayed = |x: f64, gripper: f64| {
        let actions = going(x, gripper).into_iter();
        let actions = actions.map(|a| a.to_array().map(|v| v as f32)).collect();
        search.strayed(&actions, 0)
    };
    assert_eq!(strayed(0.1, 1.0), 0.0);
    assert!(strayed(0.11, 1.0) < 0.3, "{}", strayed(0.11, 1.0));
    assert!(strayed(0.1, 0.0) > 10.0, "{}", strayed(0.1, 0.0));
}
