//! Pictures small enough to compare many of them.

use image::imageops::{resize, FilterType};
use image::RgbImage;

use super::HEIGHT_PX;

/// A picture of at most [`HEIGHT_PX`] px in height, colours from 0 to 1.
#[derive(Debug, Clone)]
pub(super) struct Small {
    pub(super) width: usize,
    pub(super) height: usize,
    data: Vec<[f32; 3]>,
}

impl Small {
    pub(super) fn of(image: &RgbImage) -> Self {
        let (width, height) = image.dimensions();
        let smaller = (height > HEIGHT_PX).then(|| {
            let across = f64::from(width) * f64::from(HEIGHT_PX) / f64::from(height);
            resize(
                image,
                across.round().max(1.0) as u32,
                HEIGHT_PX,
                FilterType::Triangle,
            )
        });
        let image = smaller.as_ref().unwrap_or(image);
        Small {
            width: image.width() as usize,
            height: image.height() as usize,
            data: image
                .pixels()
                .map(|p| p.0.map(|v| f32::from(v) / 255.0))
                .collect(),
        }
    }

    /// The colour of a pixel; `None` outside.
    pub(super) fn pixel(&self, x: isize, y: isize) -> Option<[f32; 3]> {
        let inside = x >= 0 && y >= 0 && (x as usize) < self.width && (y as usize) < self.height;
        inside.then(|| self.data[y as usize * self.width + x as usize])
    }

    /// The colour at a place between the middles of pixels.
    pub(super) fn between(&self, [x, y]: [f64; 2]) -> Option<[f32; 3]> {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = ((x - left) as f32, (y - top) as f32);
        let at = |dx: isize, dy: isize| self.pixel(left as isize + dx, top as isize + dy);
        let (a, b, c, d) = (at(0, 0)?, at(1, 0)?, at(0, 1)?, at(1, 1)?);
        Some(std::array::from_fn(|i| {
            let above = a[i] + u * (b[i] - a[i]);
            let below = c[i] + u * (d[i] - c[i]);
            above + v * (below - above)
        }))
    }

    /// Mean absolute difference to another picture.
    pub(super) fn change(&self, other: &Small) -> f64 {
        let both = self.data.iter().flatten().zip(other.data.iter().flatten());
        let sum: f64 = both.map(|(a, b)| f64::from((a - b).abs())).sum();
        sum / (3 * self.data.len()).max(1) as f64
    }
}
