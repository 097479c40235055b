//! What a scene would look like in another light: brightness, contrast and hue of its pictures.

use foresight_predictor::transform::{MEAN, STD};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Largest change of brightness and contrast, as a share: lamps differ.
const LIGHT: f32 = 0.15;
/// Keeps what light a moment is seen in apart from what else the seed decides.
const LIGHTING: u64 = 0x006c_6967_6874;

/// How pictures that are looked at together change, all alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lighting {
    contrast: f32,
    brightness: f32,
    /// Turn of all hues, rad.
    hue_rad: f32,
}

impl Lighting {
    /// That of a draw; hues turn in so many of them as `hue_share` says, by anything.
    pub(crate) fn draw(seed: u64, draw: u64, hue_share: f32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ LIGHTING);
        rng.set_stream(draw);
        let contrast = 1.0 + rng.random_range(-LIGHT..LIGHT);
        let brightness = rng.random_range(-LIGHT..LIGHT);
        let hue_rad = match rng.random::<f32>() < hue_share {
            true => rng.random_range(-std::f32::consts::PI..std::f32::consts::PI),
            false => 0.0,
        };
        Lighting {
            contrast,
            brightness,
            hue_rad,
        }
    }

    /// Changes normalised pictures `[T, 3, H, W]` of `places` pixels each.
    pub(crate) fn apply(&self, pixels: &mut [f32], places: usize) {
        if self.hue_rad != 0.0 {
            let turn = self.turn();
            for picture in pixels.chunks_exact_mut(3 * places) {
                for at in 0..places {
                    let channel = |c: usize| picture[c * places + at] * STD[c] + MEAN[c];
                    let colour = [channel(0), channel(1), channel(2)];
                    for (c, row) in turn.iter().enumerate() {
                        let turned: f32 = row.iter().zip(colour).map(|(t, v)| t * v).sum();
                        picture[c * places + at] = (turned - MEAN[c]) / STD[c];
                    }
                }
            }
        }
        let values = pixels.iter_mut();
        values.for_each(|value| *value = self.contrast * *value + self.brightness);
    }

    /// The rotation of colours about that of greys (Rodrigues' formula).
    fn turn(&self) -> [[f32; 3]; 3] {
        let (sin, cos) = self.hue_rad.sin_cos();
        let (grey, aside) = ((1.0 - cos) / 3.0, sin / 3.0f32.sqrt());
        std::array::from_fn(|row| {
            std::array::from_fn(|column| match (column + 3 - row) % 3 {
                0 => cos + grey,
                1 => grey - aside,
                _ => grey + aside,
            })
        })
    }
}

#[cfg(test)]
mod tests {
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
}
