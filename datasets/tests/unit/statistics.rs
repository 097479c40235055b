//! Unit tests of `src/statistics.rs`.

use super::*;

#[test]
fn histogram_counts_every_value_once() {
    let of = |values: &[f64]| {
        let rows: Vec<[f64; 7]> = values.iter().map(|v| [*v; 7]).collect();
        // In two parts, as of two episodes.
        let (a, b) = rows.split_at(rows.len() / 2);
        let parts = [a, b].map(|rows| EpisodeSums::of(rows, 1));
        component("x", 0, &parts)
    };
    let c = of(&[-1.0, -0.5, 0.0, 0.25, 1.0]);
    assert_eq!(c.histogram.iter().sum::<usize>(), 5);
    assert_eq!((c.histogram[0], c.histogram[BINS - 1]), (1, 1));
    assert_eq!((c.min, c.max, c.mean), (-1.0, 1.0, -0.05));
    assert!((c.standard_deviation - 0.678_233).abs() < 1e-6);
    let constant = of(&[2.0, 2.0]);
    assert_eq!(constant.standard_deviation, 0.0);
    assert_eq!(constant.histogram[0], 2);
    let none = of(&[]);
    assert_eq!((none.min, none.max), (0.0, 0.0));
}
