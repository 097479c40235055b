//! Unit tests of `src/landscape.rs`.

use super::*;

#[test]
fn the_minimum_is_marked_where_the_picture_is_brightest() {
    let side = 5;
    let lowest = (4 * side + 1) * side + 2; // Δx greatest, Δy below the middle, Δz 0
    let mut energies = vec![1.0; side * side * side];
    energies[lowest] = 0.0;
    let landscape = Landscape {
        side,
        half_width_m: 0.05,
        energies,
    };
    let (minimum_m, _) = landscape.minimum().unwrap();
    let marks = Marks {
        minimum_m,
        true_m: None,
    };
    let image = picture(&landscape, &marks);
    let (x, y) = place(&landscape, LEFT, minimum_m[0], minimum_m[1]);
    let at = image.get_pixel(x as u32, y as u32);
    assert_eq!(*at, heatmap::colour(1.0), "the middle of the ring");
    assert!(x > LEFT + 3 * PANEL / 4 && y > TOP + PANEL / 2);
}

#[test]
fn one_point_is_a_picture_too() {
    let landscape = Landscape {
        side: 1,
        half_width_m: 0.05,
        energies: vec![0.5],
    };
    let marks = Marks {
        minimum_m: [0.0; 3],
        true_m: Some([0.3, 0.0, 0.0]),
    };
    assert!(picture(&landscape, &marks).width() > 800);
    assert!(legend(&landscape, &marks).contains("outside"));
    let inside = Marks {
        true_m: Some([0.01, -0.05, 0.0]),
        ..marks
    };
    assert!(!legend(&landscape, &inside).contains("outside"));
}
