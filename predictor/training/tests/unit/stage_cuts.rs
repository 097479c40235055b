//! Unit tests of `src/stage_cuts.rs`.

use super::*;

fn pose(x: f64, z: f64, gripper: f64) -> State {
    [x, 0.0, z, 3.1, 0.0, 0.0, gripper]
}

#[test]
fn a_pick_and_place_is_cut_where_the_gripper_closes_and_opens() {
    let states = [
        pose(0.40, 0.20, 0.0),
        pose(0.45, 0.10, 0.0), // above
        pose(0.45, 0.03, 0.0), // around
        pose(0.45, 0.03, 0.3),
        pose(0.45, 0.03, 0.5),
        pose(0.45, 0.03, 0.5), // closed, the first of these two
        pose(0.45, 0.12, 0.5),
        pose(0.55, 0.12, 0.5), // carried
        pose(0.55, 0.03, 0.5), // put down
        pose(0.55, 0.03, 0.0),
        pose(0.55, 0.10, 0.0), // let go and risen
        pose(0.50, 0.20, 0.0),
    ];
    assert_eq!(cut(&states), Some([1, 2, 4, 7, 8, 10]));
    // Never let go, never closed, or put down where it was: nothing to learn from.
    assert_eq!(cut(&states[..9]), None);
    assert_eq!(cut(&states[..3]), None);
    let mut same = states;
    same.iter_mut().for_each(|s| s[0] = 0.45);
    assert_eq!(cut(&same), None);
}

#[test]
fn of_several_closings_the_one_that_carries_counts() {
    let mut states = vec![pose(0.45, 0.03, 0.6), pose(0.45, 0.10, 0.0)];
    states.extend([
        pose(0.40, 0.10, 0.0),
        pose(0.40, 0.03, 0.0),
        pose(0.40, 0.03, 0.5),
        pose(0.40, 0.03, 0.5),
        pose(0.50, 0.12, 0.5),
        pose(0.50, 0.03, 0.5),
        pose(0.50, 0.03, 0.0),
    ]);
    assert_eq!(cut(&states), Some([2, 3, 4, 6, 7, 8]));
}
