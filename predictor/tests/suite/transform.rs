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
