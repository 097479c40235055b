//! Crops and pixels of the image transform.

use foresight_predictor::transform::{CropBox, ImageTransform};
use rand::SeedableRng;

#[test]
fn the_box_has_the_shape_of_the_target() {
    let wide = ImageTransform::new([64, 128]);
    let expected = CropBox {
        top: 10,
        left: 0,
        height: 160,
        width: 320,
    };
    assert_eq!(wide.crop_box(180, 320), expected);
    let square = ImageTransform::new([64, 64]);
    assert_eq!(square.crop_box(320, 180).top, 70);
}

#[test]
fn a_random_box_is_inside_and_the_same_for_the_same_seed() {
    let transform = ImageTransform::with_crop([32, 32], [0.3, 1.0], [0.75, 4.0 / 3.0]);
    let draw = |seed| {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..50)
            .map(|_| transform.random_box(60, 80, &mut rng))
            .collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    for b in draw(3) {
        assert!(b.top + b.height <= 60 && b.left + b.width <= 80, "{b:?}");
    }
}

#[test]
fn a_flat_picture_stays_flat_and_bad_buffers_are_refused() {
    let transform = ImageTransform::new([5, 7]);
    let out = transform.apply(&[128; 13 * 9 * 3], 13, 9).unwrap();
    let expected = (128.0 - 0.485 * 255.0) / (0.229 * 255.0);
    assert!(out[..35].iter().all(|v| (v - expected).abs() < 1e-5));
    assert!(transform.apply(&[0; 10], 2, 2).is_err());
    assert!(transform.apply(&[], 0, 2).is_err());
}

#[test]
fn pictures_side_by_side_are_cropped_one_by_one() {
    // Two pictures of 4 × 6 px, each with a border of its own grey outside the central square.
    let (height, width) = (4, 12);
    let mut rgb = vec![0; height * width * 3];
    for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let (column, right) = (i % width % 6, i % width >= 6);
        let central = (1..5).contains(&column);
        pixel.fill(match (central, right) {
            (false, _) => 255,
            (true, false) => 40,
            (true, true) => 200,
        });
    }
    let transform = ImageTransform::new([2, 2]).side_by_side(2);
    assert_eq!(transform.size(), [2, 4]);
    let out = transform.apply(&rgb, height, width).unwrap();
    let grey = |v: f32| (v - 0.485 * 255.0) / (0.229 * 255.0);
    for (i, value) in out[..8].iter().enumerate() {
        let expected = grey(if i % 4 < 2 { 40.0 } else { 200.0 });
        assert!((value - expected).abs() < 1e-5, "{i}: {value}");
    }
    // One camera's picture alone, and one that doesn't divide.
    for (height, width) in [(4, 4), (4, 6), (4, 13)] {
        let error = transform.apply(&vec![0; height * width * 3], height, width);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("2 cameras side by side"), "{error}");
    }
}
