//! Unit tests of `src/handover.rs`.

use super::*;

#[test]
fn a_late_decision_is_dropped_and_the_next_look_comes_earlier() {
    let mut pacer = Pacer::new(0.1);
    assert!(!pacer.look_due(0.2) && pacer.look_due(0.15));
    pacer.under_way_to(Isometry3::translation(0.5, 0.0, 0.2));
    pacer.looked(10.0, 9.97, 0.15);
    let in_time = pacer.decided(10.24).expect("0.25 s are allowed");
    assert!((in_time.latency_s - 0.27).abs() < 1e-9);
    pacer.looked(20.0, 19.97, 0.1);
    assert_eq!(pacer.decided(20.4), None);
    assert!(pacer.look_due(0.4));
    assert_eq!(pacer.decided(20.4), None, "a look is decided on once");
    // Outliers are forgotten.
    (0..REMEMBERED).for_each(|_| pacer.took(0.05));
    assert!(!pacer.look_due(0.2));
}

#[test]
fn what_is_left_to_do_leads_from_the_measured_pose_to_the_goal() {
    let mut pacer = Pacer::new(0.1);
    let pose = Pose::from_array([0.45, 0.0, 0.2, 3.1, 0.0, 0.0, 0.6]);
    assert_eq!(pacer.committed(&pose), None);
    let goal = Pose::from_array([0.5, 0.01, 0.2, 3.1, 0.0, 0.0, 0.0]);
    pacer.under_way_to(goal.isometry());
    let rest = pacer.committed(&pose).expect("under way");
    assert!((rest.translation_m[0] - 0.05).abs() < 1e-9 && rest.gripper == 0.0);
    assert!(pose.apply(&rest).distance_m(&goal) < 1e-9);
}
