//! Closedness to moves and grasps.

use foresight_kinematics::hand::STROKE_M;
use foresight_robot::gripper::Closing;
use foresight_robot::{GripperConfig, GripperPolicy};
use franka_node::GripperKind;

#[test]
fn closing_grasps_and_opening_moves() {
    let mut policy = GripperPolicy::new(GripperConfig::default(), STROKE_M);
    assert_eq!(policy.command(0.02, STROKE_M), None, "dead band");
    assert_eq!(policy.command(f64::NAN, STROKE_M), None);
    let close = policy.command(1.0, STROKE_M).expect("a grasp");
    assert_eq!(close.kind, GripperKind::Grasp);
    assert_eq!((close.width_m, close.force_n), (0.0, 30.0));
    let open = policy.command(-1.0, 0.05).expect("a move");
    assert_eq!((open.kind, open.width_m), (GripperKind::Width, STROKE_M));
}

#[test]
fn a_held_object_is_kept_by_small_changes_and_by_closing_further() {
    let mut policy = GripperPolicy::new(GripperConfig::default(), STROKE_M);
    policy.command(1.0, STROKE_M).expect("a grasp");
    // An object of 5 cm stopped the fingers.
    assert_eq!(policy.command(0.0, 0.05), None);
    assert_eq!(policy.command(-0.03, 0.05), None);
    assert_eq!(policy.command(0.4, 0.05), None);
    assert_eq!(policy.commanded(), 1.0);
    let open = policy.command(-0.3, 0.05).expect("a move");
    assert_eq!(open.kind, GripperKind::Width);
    assert!((open.width_m - 0.074).abs() < 1e-9);
}

#[test]
fn a_closing_of_any_size_presses_and_an_opening_goes_to_its_width() {
    let mut policy = GripperPolicy::new(GripperConfig::default(), STROKE_M);
    assert_eq!(policy.command(0.09, STROKE_M), None, "a search's noise");
    let close = policy.command(0.1, STROKE_M).expect("a grasp");
    assert_eq!((close.kind, close.width_m), (GripperKind::Grasp, 0.0));
    assert_eq!(policy.command(0.5, 0.04), None, "presses already");
    // Half open, with nothing between the fingers.
    let open = policy.command(-0.5, 0.0).expect("a move");
    assert_eq!(open.kind, GripperKind::Width);
    assert!((open.width_m - 0.04).abs() < 1e-12);
    let again = policy.command(0.2, 0.04).expect("a grasp");
    assert_eq!((again.kind, again.width_m), (GripperKind::Grasp, 0.0));
}

#[test]
fn followed_fingers_go_to_the_width_that_was_recorded() {
    let config = GripperConfig {
        closing: Closing::ToWidth,
        ..GripperConfig::default()
    };
    let mut policy = GripperPolicy::new(config, STROKE_M);
    let close = policy.command(0.25, STROKE_M).expect("a move");
    assert_eq!((close.kind, close.force_n), (GripperKind::Width, 0.0));
    assert!((close.width_m - 0.06).abs() < 1e-12);
    let further = policy.command(0.25, 0.06).expect("a move");
    assert!((further.width_m - 0.04).abs() < 1e-12);
}
