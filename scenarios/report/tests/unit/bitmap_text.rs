//! Unit tests of `src/bitmap_text.rs`.

use super::*;

#[test]
fn letters_are_drawn_and_cut_at_the_edge() {
    let mut image = RgbImage::new(20, 10);
    write(&mut image, 1, 1, 1, Rgb([255; 3]), "A1é");
    let inked = image.pixels().filter(|p| p.0[0] > 0).count();
    assert!((20..90).contains(&inked), "{inked}");
    assert_eq!(width("A1", 2), 32);
    write(&mut image, -4, -4, 3, Rgb([9; 3]), "#");
}
