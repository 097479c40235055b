//! Frames to network input: crop, bilinear resize, ImageNet normalisation.
//!
//! Numerically the official `app/vjepa_droid/transforms.py`: the crop box of
//! `_get_param_spatial_crop`, `F.interpolate(mode="bilinear", align_corners=False)` without
//! antialias on 0–255 floats, then `(x − 255·mean) / (255·std)`.

use candle_core::{Device, Tensor};
use image::RgbImage;
use rand::Rng;

/// ImageNet mean per channel, of values in 0–1.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet standard deviation per channel, of values in 0–1.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How often a random box is drawn before the centre is taken.
const ATTEMPTS: usize = 10;

/// What part of an image is used, px.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// An image the transform can't use.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// Width or height is zero.
    #[error("an image of {height}×{width} px has nothing to crop; give frames of at least 1×1 px")]
    Empty {
        /// Rows, px.
        height: usize,
        /// Columns, px.
        width: usize,
    },
    /// The buffer isn't `height·width·3` bytes.
    #[error("an image of {height}×{width} px needs {expected} bytes of RGB but has {found}")]
    Bytes {
        /// Rows, px.
        height: usize,
        /// Columns, px.
        width: usize,
        /// `height·width·3`.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// Pictures side by side that aren't of one width.
    #[error(
        "a frame of {height}×{width} px isn't the pictures of {views} cameras side by side: this \
         model sees {views} cameras; give a frame of them all, each as wide as the others"
    )]
    Views {
        /// Rows, px.
        height: usize,
        /// Columns, px.
        width: usize,
        /// Pictures a frame should show.
        views: usize,
    },
    /// The tensor could not be made.
    #[error("the frames could not be put into a tensor: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// Crop, resize and normalisation with the official parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageTransform {
    size: [usize; 2],
    scale: [f64; 2],
    ratio: [f64; 2],
    views: usize,
}

impl ImageTransform {
    /// The largest centred crop of the target's shape, resized to `size` `[height, width]` px:
    /// what the official notebook does for its square images.
    pub fn new(size: [usize; 2]) -> Self {
        let ratio = size[1] as f64 / size[0].max(1) as f64;
        ImageTransform::with_crop(size, [1.0, 1.0], [ratio, ratio])
    }

    /// The official `random_resize_scale` (share of the image's area) and
    /// `random_resize_aspect_ratio` (width over height), each `[least, most]`.
    pub fn with_crop(size: [usize; 2], scale: [f64; 2], ratio: [f64; 2]) -> Self {
        ImageTransform {
            size,
            scale,
            ratio,
            views: 1,
        }
    }

    /// The same for frames in which the pictures of `views` cameras stand side by side, each as
    /// wide as the others, to as many of this size side by side. Boxes are those of one picture.
    pub fn side_by_side(mut self, views: usize) -> Self {
        self.views = views.max(1);
        self
    }

    /// Height and width of the result, px.
    pub fn size(&self) -> [usize; 2] {
        [self.size[0], self.size[1] * self.views]
    }

    /// The box for inference: a pure function of the image's size. Where the official code
    /// would place a smaller box at random, this one is centred; where it always falls back to
    /// its central crop, as with every released configuration, the boxes are the same.
    pub fn crop_box(&self, height: usize, width: usize) -> CropBox {
        let width = width / self.views;
        let area = self.scale[1] * (height * width) as f64;
        // The flattest box that is not too high: if that one is too wide, none fits.
        let flattest = area / ((height as f64 + 0.5) * (height as f64 + 0.5));
        // Through the logarithm and back, as the official code goes.
        let aspect = flattest.clamp(self.ratio[0], self.ratio[1]).ln().exp();
        match fitting(area, aspect, height, width) {
            Some((h, w)) => centred(h, w, height, width),
            None => self.fallback(height, width),
        }
    }

    /// Whether [`ImageTransform::random_box`] draws the same box, that of
    /// [`ImageTransform::crop_box`], every time: a box of more than the image's area never fits,
    /// so the official code falls back to its central crop, as with its released configurations.
    pub fn is_fixed(&self) -> bool {
        self.scale[0] > 1.0
    }

    /// A box drawn as the official training transform draws it.
    pub fn random_box(&self, height: usize, width: usize, rng: &mut impl Rng) -> CropBox {
        let width = width / self.views;
        for _ in 0..ATTEMPTS {
            let area = uniform(self.scale, rng) * (height * width) as f64;
            let aspect = uniform([self.ratio[0].ln(), self.ratio[1].ln()], rng).exp();
            if let Some((h, w)) = fitting(area, aspect, height, width) {
                return CropBox {
                    top: rng.random_range(0..=height - h),
                    left: rng.random_range(0..=width - w),
                    height: h,
                    width: w,
                };
            }
        }
        self.fallback(height, width)
    }

    /// The central crop for when no box fits.
    fn fallback(&self, height: usize, width: usize) -> CropBox {
        let (least, most) = (
            self.ratio[0].min(self.ratio[1]),
            self.ratio[0].max(self.ratio[1]),
        );
        let shape = width as f64 / height.max(1) as f64;
        let (h, w) = if shape < least {
            ((width as f64 / least).round_ties_even() as usize, width)
        } else if shape > most {
            (height, (height as f64 * most).round_ties_even() as usize)
        } else {
            (height, width)
        };
        centred(
            h.clamp(1, height.max(1)),
            w.clamp(1, width.max(1)),
            height,
            width,
        )
    }

    /// One frame, `height·width·3` bytes of RGB, to `[3, H, W]` normalised values, with the box
    /// of [`ImageTransform::crop_box`].
    ///
    /// # Errors
    /// When the frame is empty or its buffer has another size.
    pub fn apply(
        &self,
        rgb: &[u8],
        height: usize,
        width: usize,
    ) -> Result<Vec<f32>, TransformError> {
        let crop = self.crop_box(height, width);
        self.apply_box(rgb, height, width, crop)
    }

    /// As [`ImageTransform::apply`], with a box of the caller's.
    ///
    /// # Errors
    /// As [`ImageTransform::apply`]; a box outside a picture is cut to it.
    pub fn apply_box(
        &self,
        rgb: &[u8],
        height: usize,
        width: usize,
        crop: CropBox,
    ) -> Result<Vec<f32>, TransformError> {
        if height == 0 || width == 0 {
            return Err(TransformError::Empty { height, width });
        }
        let expected = height * width * 3;
        if rgb.len() != expected {
            return Err(TransformError::Bytes {
                height,
                width,
                expected,
                found: rgb.len(),
            });
        }
        let views = self.views;
        let picture = width / views;
        // A frame of one camera alone, taken for that of several, is narrower than it should be.
        let narrow = picture * self.size[0] < height * self.size[1];
        if views > 1 && (narrow || !width.is_multiple_of(views)) {
            return Err(TransformError::Views {
                height,
                width,
                views,
            });
        }
        let top = crop.top.min(height - 1);
        let left = crop.left.min(picture - 1);
        let rows = taps(crop.height.clamp(1, height - top), self.size[0]);
        let columns = taps(crop.width.clamp(1, picture - left), self.size[1]);
        let [out_height, out_width] = self.size();
        let plane = out_height * out_width;
        let mut out = vec![0f32; 3 * plane];
        for (y, row) in rows.iter().enumerate() {
            let above = &rgb[(top + row.first) * width * 3..][..width * 3];
            let below = &rgb[(top + row.second) * width * 3..][..width * 3];
            let views = (0..self.views).map(|view| view * picture + left);
            let columns = views.flat_map(|left| columns.iter().map(move |column| (left, column)));
            for (x, (left, column)) in columns.enumerate() {
                let (a, b) = ((left + column.first) * 3, (left + column.second) * 3);
                for c in 0..3 {
                    let mix = |line: &[u8]| {
                        f32::from(line[a + c]) * (1.0 - column.weight)
                            + f32::from(line[b + c]) * column.weight
                    };
                    let value = mix(above) * (1.0 - row.weight) + mix(below) * row.weight;
                    out[c * plane + y * out_width + x] =
                        (value - MEAN[c] * 255.0) / (STD[c] * 255.0);
                }
            }
        }
        Ok(out)
    }

    /// Frames to `[T, 3, H, W]`, f32.
    ///
    /// # Errors
    /// When a frame is empty or the device can't hold the result.
    pub fn tensor(&self, frames: &[RgbImage], device: &Device) -> Result<Tensor, TransformError> {
        let [h, w] = self.size();
        let mut values = Vec::with_capacity(frames.len() * 3 * h * w);
        for frame in frames {
            let (width, height) = frame.dimensions();
            values.extend(self.apply(frame.as_raw(), height as usize, width as usize)?);
        }
        Ok(Tensor::from_vec(values, (frames.len(), 3, h, w), device)?)
    }
}

/// Height and width of a box of `area` px² and `aspect`, if it fits into the image.
fn fitting(area: f64, aspect: f64, height: usize, width: usize) -> Option<(usize, usize)> {
    let w = (area * aspect).sqrt().round_ties_even();
    let h = (area / aspect).sqrt().round_ties_even();
    let fits = |v: f64, limit: usize| v >= 1.0 && v <= limit as f64;
    (fits(w, width) && fits(h, height)).then_some((h as usize, w as usize))
}

fn centred(h: usize, w: usize, height: usize, width: usize) -> CropBox {
    CropBox {
        top: height.saturating_sub(h) / 2,
        left: width.saturating_sub(w) / 2,
        height: h,
        width: w,
    }
}

/// Python's `random.uniform`, exact where both bounds are the same.
fn uniform([low, high]: [f64; 2], rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// The two source lines a result line is mixed from.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

/// Half-pixel centres (`align_corners=False`), clamped at the edges, in f32 like the reference.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            let position = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
            let first = (position as usize).min(from - 1);
            Tap {
                first,
                second: (first + 1).min(from - 1),
                weight: (position - first as f32).clamp(0.0, 1.0),
            }
        })
        .collect()
}

/// `[B, H, W, 3]` bytes to `[B, 3, H, W]` with ImageNet's mean and deviation.
pub fn normalised_pixels(frames: &[u8], [height, width]: [usize; 2]) -> Vec<f32> {
    let plane = height * width;
    let mut pixels = vec![0f32; frames.len()];
    for (frame, out) in frames
        .chunks_exact(3 * plane)
        .zip(pixels.chunks_exact_mut(3 * plane))
    {
        for (i, rgb) in frame.chunks_exact(3).enumerate() {
            for c in 0..3 {
                out[c * plane + i] = (f32::from(rgb[c]) / 255.0 - MEAN[c]) / STD[c];
            }
        }
    }
    pixels
}
