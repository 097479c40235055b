//! The energy landscape on a grid.

use foresight_planner::{plane_through, Action, ActionSequences, Energy, EnergyError, Landscape};

/// Distance of the summed translation from a point.
struct Bowl([f32; 3]);

impl Energy for Bowl {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energy = |sample| {
            let off = |i: usize| {
                let moved: f32 = (0..sequences.horizon())
                    .map(|step| sequences.action(sample, step)[i])
                    .sum();
                (moved - self.0[i]).abs()
            };
            off(0) + off(1) + off(2)
        };
        Ok((0..sequences.samples()).map(energy).collect())
    }
}

#[test]
fn the_minimum_lies_where_the_bowl_is_deepest() {
    let bowl = Bowl([0.05, -0.025, 0.0]);
    let landscape = Landscape::compute(&bowl, 7, 0.075, 1).unwrap();
    let (at, energy) = landscape.minimum().unwrap();
    for (a, b) in at.into_iter().zip([0.05, -0.025, 0.0]) {
        assert!((a - b).abs() < 1e-9, "{at:?}");
    }
    assert!(energy < 1e-6);
    let twice = Landscape::compute(&bowl, 7, 0.075, 2).unwrap();
    assert!((twice.minimum().unwrap().0[0] - 0.025).abs() < 1e-9);
}

#[test]
fn planes_are_cuts_and_sums_of_the_cube() {
    let bowl = Bowl([0.02, 0.01, -0.03]);
    let n = 5;
    let landscape = Landscape::compute(&bowl, n, 0.05, 1).unwrap();
    let through = Action::default();
    let cut = plane_through(&bowl, &through, [0, 1], n, 0.05).unwrap();
    assert_eq!(landscape.plane_xy(), cut);
    let sum = landscape.sum_over_y();
    let by_hand: f64 = (0..n)
        .map(|y| f64::from(landscape.energies[(3 * n + y) * n + 2]))
        .sum();
    assert_eq!(sum[3 * n + 2], by_hand);
    assert_eq!(landscape.translation_m(n * n * n - 1), [0.05; 3]);
}

#[test]
fn a_landscape_without_numbers_has_no_minimum() {
    let landscape = Landscape {
        side: 1,
        half_width_m: 0.1,
        energies: vec![f32::NAN],
    };
    assert_eq!(landscape.minimum(), None);
}
