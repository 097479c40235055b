//! Unit tests of `src/heatmap.rs`.

use super::*;

#[test]
fn a_surprise_is_drawn_where_it_is_and_nowhere_else() {
    let grey = RgbImage::from_pixel(8, 4, Rgb([90; 3]));
    // Two rows of four; the last of the first row.
    let drawn = overlay(
        &grey,
        &[0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0],
        [2, 4],
        2.0,
    );
    assert_eq!(*drawn.get_pixel(0, 0), Rgb([90; 3]));
    let (most, less) = (drawn.get_pixel(7, 1), drawn.get_pixel(6, 2));
    assert!(most[0] > 200 && less[0] < most[0] && less != drawn.get_pixel(0, 0));
}

#[test]
fn the_lowest_energy_is_brightest_and_in_its_place() {
    // across = 1, up = 0 is the lowest: right column, bottom row.
    let picture = picture(&[1.0, 2.0, 0.0, 2.0], 2);
    assert_eq!(*picture.get_pixel(1, 1), colour(1.0));
    assert_eq!(*picture.get_pixel(0, 0), colour(0.0));
    let light = |share| colour(share).0.iter().map(|c| u32::from(*c)).sum::<u32>();
    assert!((0..10).all(|i| light(i as f32 / 10.0) < light((i + 1) as f32 / 10.0)));
    assert_eq!(colour(f32::NAN), Rgb([128; 3]));
}
