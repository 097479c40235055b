//! Unit tests of `src/lighting.rs`.

use super::*;

fn lit(colour: [f32; 3], degrees: f32) -> [f32; 3] {
    let lighting = Lighting {
        contrast: 1.0,
        brightness: 0.0,
        hue_rad: degrees.to_radians(),
    };
    let mut pixels: Vec<f32> = (0..3).map(|c| (colour[c] - MEAN[c]) / STD[c]).collect();
    lighting.apply(&mut pixels, 1);
    std::array::from_fn(|c| pixels[c] * STD[c] + MEAN[c])
}

#[test]
fn hues_turn_and_greys_stay() {
    let near = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    // Red, green, blue: a third of the circle each.
    assert!(near(lit([0.8, 0.1, 0.2], 120.0), [0.2, 0.8, 0.1]));
    assert!(near(lit([0.8, 0.1, 0.2], -120.0), [0.1, 0.2, 0.8]));
    assert!(near(lit([0.4; 3], 77.0), [0.4; 3]));
    assert!(near(lit([0.8, 0.1, 0.2], 360.0), [0.8, 0.1, 0.2]));
}

#[test]
fn a_draw_is_always_the_same_and_turns_hues_as_often_as_asked() {
    let turned = |share: f32| {
        let drawn = (0..400).map(|draw| Lighting::draw(3, draw, share));
        drawn.filter(|lighting| lighting.hue_rad != 0.0).count()
    };
    assert_eq!((turned(0.0), turned(1.0)), (0, 400));
    assert!((150..250).contains(&turned(0.5)), "{}", turned(0.5));
    assert_eq!(Lighting::draw(3, 8, 0.5), Lighting::draw(3, 8, 0.5));
    assert_ne!(Lighting::draw(3, 8, 0.5), Lighting::draw(3, 9, 0.5));
}
