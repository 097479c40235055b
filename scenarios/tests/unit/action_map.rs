//! Unit tests of `src/action_map.rs`.

use super::*;

#[test]
fn x_and_y_are_turned_and_the_rest_stays() {
    let planned = Action::from_array([0.03, 0.01, -0.02, 0.1, 0.2, 0.3, 0.5]);
    let turned = ActionMap::new(Some([[0.0, -1.0], [1.0, 0.0]])).apply(&planned);
    assert_eq!(turned.to_array(), [-0.01, 0.03, -0.02, 0.1, 0.2, 0.3, 0.5]);
    let map = ActionMap::new(Some([[0.5, -1.0], [1.0, 0.25]]));
    let back = map.undo(&map.apply(&planned)).to_array();
    assert!(back
        .iter()
        .zip(planned.to_array())
        .all(|(a, b)| (a - b).abs() < 1e-12));
    assert_eq!(ActionMap::default().apply(&planned), planned);
}
