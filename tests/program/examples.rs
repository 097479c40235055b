//! The examples run, and do what they say.

#[path = "../../examples/own_arm.rs"]
mod own_arm;
#[path = "../../examples/own_cost.rs"]
mod own_cost;
#[allow(dead_code)] // its arguments
#[path = "../../examples/plan_two_images.rs"]
mod plan_two_images;

use foresight_predictor::WorldModel;

#[test]
fn own_arm() {
    own_arm::main().expect("it runs");
}

#[test]
fn own_cost() {
    own_cost::main().expect("it runs");
    let (goal, obstacle) = (own_cost::above(0.5, 0.2), own_cost::above(0.5, 0.0));
    let way = own_cost::way_around(own_cost::above(0.5, -0.2), goal, obstacle).expect("a way");
    let last = way.last().expect("a pose");
    assert!(last.distance_m(&goal) < 0.01, "{way:?}");
    for pose in &way {
        assert!(pose.distance_m(&obstacle) > 0.07, "{pose:?}");
    }
}

#[test]
fn plan_two_images() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tabletop");
    let model = WorldModel::load(model.as_ref()).expect("the bundled model");
    let (question, moved) = plan_two_images::simulated().expect("two pictures");
    let planned = plan_two_images::plan(&model, &question).expect("a plan");
    // Along y, as the arm moved; the model sees a centimetre where the picture has 64 pixels.
    let (planned, moved) = (planned.translation_m, moved.translation_m);
    assert!(
        (planned[1] - moved[1]).abs() < 0.03 && planned[0].abs() < 0.03,
        "planned {planned:?}, moved {moved:?}"
    );
}
