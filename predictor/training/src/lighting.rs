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
#[path = "../tests/unit/lighting.rs"]
mod tests;
