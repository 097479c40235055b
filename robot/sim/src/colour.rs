//! Colours that have a name.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Below this saturation a colour has no hue to speak of: it is white, or grey.
const UNSATURATED: f64 = 0.3;

/// A colour people have a word for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ColourName {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// White; in the shade, grey.
    White,
}

impl ColourName {
    /// All of them, once round the colour circle and white.
    pub const ALL: [ColourName; 7] = [
        ColourName::Red,
        ColourName::Orange,
        ColourName::Yellow,
        ColourName::Green,
        ColourName::Blue,
        ColourName::Purple,
        ColourName::White,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ColourName::Red => "red",
            ColourName::Orange => "orange",
            ColourName::Yellow => "yellow",
            ColourName::Green => "green",
            ColourName::Blue => "blue",
            ColourName::Purple => "purple",
            ColourName::White => "white",
        }
    }

    /// Its hue, 0 to 1 around the colour circle; `None` for white.
    pub fn hue(self) -> Option<f64> {
        match self {
            ColourName::Red => Some(0.0),
            ColourName::Orange => Some(0.07),
            ColourName::Yellow => Some(0.15),
            ColourName::Green => Some(0.40),
            ColourName::Blue => Some(0.64),
            ColourName::Purple => Some(0.78),
            ColourName::White => None,
        }
    }

    /// Linear RGB of it at a saturation and a brightness, each 0 to 1; white has no saturation.
    pub(crate) fn rgb(self, saturation: f64, value: f64) -> [f64; 3] {
        match self.hue() {
            Some(hue) => hsv_to_rgb([hue, saturation, value]),
            None => hsv_to_rgb([0.0, 0.0, value]),
        }
    }

    /// The one nearest to a linear RGB colour.
    pub fn nearest(rgb: [f64; 3]) -> Self {
        let most = rgb.into_iter().fold(0.0, f64::max);
        let least = rgb.into_iter().fold(f64::INFINITY, f64::min);
        let spread = most - least;
        if spread <= UNSATURATED * most {
            return ColourName::White;
        }
        let [r, g, b] = rgb;
        let sixths = if most == r {
            (g - b) / spread
        } else if most == g {
            2.0 + (b - r) / spread
        } else {
            4.0 + (r - g) / spread
        };
        let hue = (sixths / 6.0).rem_euclid(1.0);
        let off = |name: &ColourName| {
            let apart = (name.hue().unwrap_or(f64::INFINITY) - hue).abs();
            apart.min((1.0 - apart).abs())
        };
        let named = ColourName::ALL.into_iter().filter(|n| n.hue().is_some());
        named
            .min_by(|a, b| off(a).total_cmp(&off(b)))
            .unwrap_or(ColourName::White)
    }
}

impl fmt::Display for ColourName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Hue, saturation and value, each 0 to 1, to RGB.
pub(crate) fn hsv_to_rgb([hue, saturation, value]: [f64; 3]) -> [f64; 3] {
    [5.0, 3.0, 1.0].map(|n| {
        let k = (n + hue * 6.0).rem_euclid(6.0);
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
#[path = "../tests/unit/colour.rs"]
mod tests;
