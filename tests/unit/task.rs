//! Unit tests of `src/task.rs`.

use super::{numbers, pose_from};

#[test]
fn a_camera_is_six_numbers_for_models_that_take_one() {
    let wanted = "six numbers";
    let camera = numbers::<6>("--extrinsics", "1,0,-0.5, 0,3.1,0", wanted).unwrap();
    assert_eq!(camera, [1.0, 0.0, -0.5, 0.0, 3.1, 0.0]);
    for bad in ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "0,0,0,0,0,inf"] {
        assert!(numbers::<6>("--extrinsics", bad, wanted).is_err(), "{bad}");
    }
}

#[test]
fn a_state_is_seven_finite_numbers_with_a_gripper_in_range() {
    let pose = pose_from("0.5, -0.1,0.2,3.25,0,-1.5,1").unwrap();
    assert_eq!(pose.to_array(), [0.5, -0.1, 0.2, 3.25, 0.0, -1.5, 1.0]);
    for bad in [
        "",
        "1,2,3",
        "0,0,0,0,0,0,2",
        "0,0,0,0,0,nan,0",
        "0.467,-0.0158,0.4648,-179.26,-0.0014,90.006,0.04",
        "467,-15.8,464.8,-3.1,0,0,0.04",
        "a,0,0,0,0,0,0",
    ] {
        assert!(pose_from(bad).is_err(), "{bad}");
    }
}
