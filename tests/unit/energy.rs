//! Unit tests of `src/energy.rs`.

use super::*;

#[test]
fn a_least_energy_on_the_edge_and_a_grid_beyond_the_box_are_mentioned() {
    let landscape = Landscape {
        side: 3,
        half_width_m: 0.05,
        energies: vec![0.0; 27],
    };
    assert!(notes(&landscape, [0.0, 0.0, 0.0], 0.075).is_empty());
    let edge = notes(&landscape, [0.05, 0.0, -0.05], 0.075);
    assert!(edge[0].contains("along x and z") && edge[0].contains("--half-width-m"));
    let wide = notes(&landscape, [0.0, 0.0, 0.0], 0.04);
    assert!(wide.len() == 1 && wide[0].contains("0.04 m along an axis"));
    let point = Landscape {
        side: 1,
        energies: vec![0.0],
        ..landscape
    };
    assert!(notes(&point, [0.0; 3], 0.075).is_empty());
}
