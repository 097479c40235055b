//! Eyes of a few convolutions, which learn together with what looks through them: a cloned policy's, a
//! compact model's.

use candle_core::{Device, Result, Tensor, D};
use candle_nn::ops::softmax;

use crate::side_network::NetworkLayers;
use crate::windows::Windows;

/// What the first layer sees at a time.
const PATCHES: Windows = Windows { side: 4, stride: 4 };
/// What each that follows sees of the one before.
const HALVING: Windows = Windows { side: 4, stride: 2 };
/// What the maps of points see of the first.
const AROUND: Windows = Windows { side: 3, stride: 1 };
/// Coordinates reach from minus this to this.
const PLACE_SCALE: f32 = 3.0;

/// Their architecture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eyes<'a> {
    /// Channels of the layers: the first sees patches of 4×4 px, each that follows halves the grid.
    pub(crate) channels: &'a [usize],
    /// Points of a picture whose coordinates are told beside that: a map each, as fine as the first layer's.
    pub(crate) points: usize,
    /// Pictures side by side, each as wide as the others: every one has points of its own.
    pub(crate) views: usize,
}

impl Eyes<'_> {
    /// Whether pictures of this size, px, can be looked at.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub(crate) fn check(self, img_size: [usize; 2]) -> std::result::Result<(), String> {
        let halvings = self.channels.len() as u32 + 1;
        let fine = |side: usize| {
            halvings < usize::BITS && side >= 1 << halvings && side.is_multiple_of(1 << halvings)
        };
        if self.channels.is_empty() || self.channels.contains(&0) {
            return Err("eyes need at least one layer, and no width of 0".into());
        }
        match img_size.iter().all(|side| fine(*side)) {
            true => Ok(()),
            false => Err(format!(
                "pictures of {}×{} px can't be halved {halvings} times: give another number of \
                 channels",
                img_size[0], img_size[1]
            )),
        }
    }

    /// Numbers that they make of a picture of `img_size`, px.
    pub(crate) fn features(self, img_size: [usize; 2]) -> usize {
        let grid = img_size.map(|side| side >> (self.channels.len() + 1));
        let maps = grid[0] * grid[1] * self.channels.last().copied().unwrap_or(3);
        maps + 2 * self.points * self.views
    }

    /// Every linear layer: its name, inputs and outputs.
    pub(crate) fn layers(self) -> Vec<(String, usize, usize)> {
        let (mut layers, mut channels) = (Vec::new(), 3);
        for (layer, out) in self.channels.iter().enumerate() {
            let windows = if layer == 0 { PATCHES } else { HALVING };
            layers.push((format!("eyes.{layer}"), windows.numbers(channels), *out));
            channels = *out;
        }
        if let (Some(channels), 1..) = (self.channels.first(), self.points) {
            layers.push(("points".into(), AROUND.numbers(*channels), self.points));
        }
        layers
    }

    /// What they make of pictures `[B, 3, H, views·W]`: `[B, features]`.
    ///
    /// # Errors
    /// When shapes don't agree.
    pub(crate) fn see(self, layers: &impl NetworkLayers, pictures: &Tensor) -> Result<Tensor> {
        let convolved = |x: &Tensor, name: &str, windows: Windows| {
            layers.relu(&layers.linear(name, &windows.of(x)?)?)
        };
        let mut x = convolved(&pictures.permute((0, 2, 3, 1))?, "eyes.0", PATCHES)?;
        let mut seen = Vec::new();
        if self.points > 0 {
            let maps = layers.linear("points", &AROUND.of(&x)?)?;
            let pictures = maps.chunk(self.views, 2)?;
            seen = pictures
                .iter()
                .map(places)
                .collect::<Result<Vec<Tensor>>>()?;
        }
        for layer in 1..self.channels.len() {
            x = convolved(&x, &format!("eyes.{layer}"), HALVING)?;
        }
        seen.insert(0, x.flatten_from(1)?);
        Tensor::cat(&seen, 1)
    }
}

/// Standard deviation at which a layer's weights are drawn, so that no layer drowns what it is told.
pub(crate) fn initial_std(name: &str, inputs: usize) -> f32 {
    let gain = match name.split('.').next() {
        Some("eyes") => 2.0f32.sqrt(),
        Some("points") => 2.0,
        _ => 1.0,
    };
    gain / (inputs as f32).sqrt()
}

/// Where in a map `[B, h, w, K]` each of its channels is strongest, `[B, 2·K]`: its coordinates' mean,
/// weighed by a softmax over the map (Finn and others, "Deep Spatial Autoencoders", 2016).
fn places(map: &Tensor) -> Result<Tensor> {
    let (b, h, w, channels) = map.dims4()?;
    let strengths = map.reshape((b, h * w, channels))?.transpose(1, 2)?;
    let strengths = softmax(&strengths.contiguous()?, D::Minus1)?;
    let along = |at: usize, of: usize| PLACE_SCALE * (2.0 * (at as f32 + 0.5) / of as f32 - 1.0);
    let coordinates = (0..h * w).flat_map(|i| [along(i / w, h), along(i % w, w)]);
    let coordinates: Vec<f32> = coordinates.collect();
    let coordinates = Tensor::from_vec(coordinates, (h * w, 2), &Device::Cpu)?;
    let places = strengths
        .reshape((b * channels, h * w))?
        .matmul(&coordinates)?;
    places.reshape((b, 2 * channels))
}
