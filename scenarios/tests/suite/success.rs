//! What counts as success, judged from true states.

use foresight_planner::Pose;
use foresight_scenarios::scenario::Success;
use foresight_scenarios::success::{FailureKind, SuccessDetector};
use foresight_sim::{GoalState, GroundTruth, OtherObject};

fn truth() -> GroundTruth {
    GroundTruth {
        time_s: 0.0,
        object_position_m: [0.5, 0.0, 0.03],
        object_quaternion_xyzw: [0.0, 0.0, 0.0, 1.0],
        object_speed_m_s: 0.0,
        object_angular_speed_rad_s: 0.0,
        object_height_m: 0.0,
        tilt_rad: 0.0,
        upright: true,
        held: false,
        lifted: false,
        touching_gripper: false,
        on_table: true,
        at_rest: true,
        target_distance_m: 0.15,
        hand_distance_m: 0.1,
        others: Vec::new(),
    }
}

fn hand(gripper: f64) -> Pose {
    Pose::from_array([0.5, 0.0, 0.1, 3.1, 0.0, 0.0, gripper])
}

/// The failure of an episode with these states, the last one judged.
fn failure(success: Success, states: &[(f64, GroundTruth)]) -> Option<FailureKind> {
    let goal = GoalState {
        arm: Pose::from_array([0.5, 0.0, 0.1, 3.1, 0.0, 0.0, 0.0]),
        object: Some(foresight_sim::goals::ObjectPose::upright(
            [0.58, 0.0, 0.03],
            0.0,
        )),
        grasping: false,
        others: Vec::new(),
    };
    let mut judge = SuccessDetector::new(success, Some(goal), Some(&truth()));
    for (gripper, truth) in states {
        judge.follow(&hand(*gripper), truth);
    }
    let (gripper, last) = states.last().expect("a state");
    let verdict = judge.verdict(&hand(*gripper), last);
    assert_eq!(
        verdict.success,
        Some(verdict.failure.is_none()),
        "{verdict:?}"
    );
    verdict.failure
}

fn with(change: impl FnOnce(&mut GroundTruth)) -> GroundTruth {
    let mut truth = truth();
    change(&mut truth);
    truth
}

#[test]
fn failures_of_grasping_are_told_apart() {
    let grasp = Success::Grasp { height_m: 0.03 };
    let near = with(|t| t.hand_distance_m = 0.01);
    let held = with(|t| t.held = true);
    let lifted = with(|t| {
        (t.held, t.lifted, t.object_height_m) = (true, true, 0.08);
    });
    let pushed = with(|t| t.object_position_m[0] += 0.05);
    let kinds = [
        (vec![(0.0, truth())], Some(FailureKind::NeverClosed)),
        (vec![(0.9, truth())], Some(FailureKind::ClosedEarly)),
        (vec![(0.9, near.clone())], Some(FailureKind::Missed)),
        (vec![(0.0, pushed)], Some(FailureKind::Pushed)),
        (
            vec![(0.4, held.clone()), (0.9, truth())],
            Some(FailureKind::Slipped),
        ),
        (
            vec![(0.4, lifted.clone()), (0.9, truth())],
            Some(FailureKind::Dropped),
        ),
        (vec![(0.4, held)], Some(FailureKind::TimedOut)),
        (vec![(0.4, lifted)], None),
    ];
    for (states, kind) in kinds {
        assert_eq!(failure(grasp, &states), kind, "{states:?}");
    }
}

#[test]
fn placing_needs_distance_release_rest_and_uprightness() {
    let place = Success::Place { tolerance_m: 0.05 };
    let carried = with(|t| (t.held, t.lifted) = (true, true));
    let end = |change: fn(&mut GroundTruth)| {
        let last = with(|t| {
            t.target_distance_m = 0.02;
            change(t);
        });
        failure(place, &[(0.4, carried.clone()), (0.0, last)])
    };
    assert_eq!(end(|_| {}), None);
    assert_eq!(end(|t| t.held = true), Some(FailureKind::NotReleased));
    assert_eq!(end(|t| t.upright = false), Some(FailureKind::Toppled));
    assert_eq!(
        end(|t| t.target_distance_m = 0.06),
        Some(FailureKind::Misplaced)
    );
    assert_eq!(end(|t| t.at_rest = false), Some(FailureKind::TimedOut));
    let untouched = with(|t| t.target_distance_m = 0.15);
    assert_eq!(
        failure(place, &[(0.0, untouched)]),
        Some(FailureKind::NeverClosed)
    );
}

#[test]
fn another_object_taken_or_moved_is_a_failure_of_its_own() {
    let other = |moved_m: f64, held: bool| {
        with(|t| {
            (t.held, t.lifted, t.object_height_m) = (true, true, 0.08);
            t.others = vec![OtherObject {
                name: "blue box".into(),
                position_m: [0.5, 0.1, 0.02],
                quaternion_xyzw: [0.0, 0.0, 0.0, 1.0],
                moved_m,
                held,
            }];
        })
    };
    let grasp = Success::Grasp { height_m: 0.03 };
    let wrong = Some(FailureKind::WrongObject);
    assert_eq!(failure(grasp, &[(0.4, other(0.01, false))]), None);
    assert_eq!(failure(grasp, &[(0.4, other(0.05, false))]), wrong);
    // Taken once is enough, wherever it was put down.
    let taken = [(0.4, other(0.0, true)), (0.4, other(0.0, false))];
    assert_eq!(failure(grasp, &taken), wrong);
}

#[test]
fn reaching_with_an_object_needs_the_object() {
    let reach = Success::ReachWithObject { tolerance_m: 0.04 };
    let held = with(|t| (t.held, t.lifted) = (true, true));
    assert_eq!(failure(reach, &[(0.4, held.clone())]), None);
    assert_eq!(
        failure(reach, &[(0.4, held), (0.4, truth())]),
        Some(FailureKind::Dropped)
    );
}

#[test]
fn pushing_needs_the_object_where_the_goal_shows_it() {
    let push = Success::Push { tolerance_m: 0.03 };
    let at = |x: f64| with(|t| t.object_position_m[0] = x);
    let end = |truth: GroundTruth| failure(push, &[(1.0, truth)]);
    assert_eq!(end(at(0.57)), None);
    assert_eq!(end(at(0.501)), Some(FailureKind::NeverMoved));
    assert_eq!(end(at(0.53)), Some(FailureKind::Misplaced));
    let held = with(|t| (t.object_position_m[0], t.held) = (0.58, true));
    assert_eq!(end(held), Some(FailureKind::NotReleased));
    let rolling = with(|t| (t.object_position_m[0], t.at_rest) = (0.58, false));
    assert_eq!(end(rolling), Some(FailureKind::TimedOut));
}
