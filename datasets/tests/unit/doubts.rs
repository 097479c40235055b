//! Unit tests of `src/doubts.rs`.

use super::*;

fn words(poses: &[[f64; 7]]) -> String {
    let mut doubts = Doubts::default();
    let states: Vec<Pose> = poses.iter().map(|p| Pose::from_array(*p)).collect();
    doubts.look("a", &states);
    doubts.words().join("\n")
}

#[test]
fn other_units_and_meanings_are_named() {
    let good = [0.5, 0.1, 0.2, 3.1, 0.0, -3.1, 0.0];
    assert_eq!(words(&[good, [0.6, 0.1, 0.2, 3.1, 0.0, 0.0, 1.0]]), "");
    assert!(words(&[good, [500.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]).contains("millimetres"));
    assert!(words(&[good, [0.5, 0.0, 0.0, -178.0, 0.0, 0.0, 0.0]]).contains("degrees"));
    assert!(words(&[good, [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 80.0]]).contains("percent"));
    let mut open = good;
    open[6] = 0.08;
    assert!(words(&[good, open]).contains("opening in m"));
    open[6] = 1.0;
    assert!(words(&[open, good]).contains("1 means open"));
    assert_eq!(words(&[]), "");
    assert!(words(&[good, good]).contains("never filled"));
}
