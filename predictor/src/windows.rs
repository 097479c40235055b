//! What a convolution multiplies: the windows of a map, laid out in rows.
//!
//! candle's own convolution has no fast gradient on a CPU, and shifted copies of a map take longer than
//! the multiplication that follows.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Which windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Their side.
    pub(crate) side: usize,
    /// How far one is from the next; divides height and width.
    pub(crate) stride: usize,
}

/// A run of numbers that lie side by side in a map and in a window of it.
struct Run {
    in_map: usize,
    in_window: usize,
    length: usize,
}

impl Windows {
    /// The windows `[B, H/s, W/s, side·side·C]` of a map `[B, H, W, C]`: rows from the top, then columns
    /// from the left, then channels; zero beyond the map's edges.
    ///
    /// # Errors
    /// When `map` is not an f32 tensor on the CPU, or isn't divided by the stride.
    pub(crate) fn of(self, map: &Tensor) -> Result<Tensor> {
        map.contiguous()?.apply_op1(self)
    }

    fn dims(self, map: &[usize]) -> Result<[usize; 4]> {
        match *map {
            [b, h, w, c] if h % self.stride == 0 && w % self.stride == 0 && c > 0 => {
                Ok([b, h, w, c])
            }
            _ => candle_core::bail!("windows {} apart don't fit a map {map:?}", self.stride),
        }
    }

    /// Numbers of a window of a map of `c` channels.
    pub(crate) fn numbers(self, c: usize) -> usize {
        self.side * self.side * c
    }

    /// Numbers of all windows of one map of `h × w × c` numbers.
    fn size(self, [h, w, c]: [usize; 3]) -> usize {
        h / self.stride * (w / self.stride) * self.numbers(c)
    }

    /// Every run of one map of `h × w × c` numbers.
    fn runs(self, [h, w, c]: [usize; 3]) -> impl Iterator<Item = Run> {
        let Windows { side, stride } = self;
        let before = side.saturating_sub(stride).div_ceil(2);
        let (rows, columns) = (h / stride, w / stride);
        let places = (0..rows).flat_map(move |i| (0..columns).map(move |j| (i, j)));
        places.flat_map(move |(i, j)| {
            let (left, right) = (j * stride, (j * stride + side).min(w + before));
            let first = left.max(before);
            (0..side).filter_map(move |k| {
                let y = (i * stride + k).checked_sub(before).filter(|y| *y < h)?;
                Some(Run {
                    in_map: (y * w + first - before) * c,
                    in_window: (i * columns + j) * self.numbers(c) + (k * side + first - left) * c,
                    length: (right - first) * c,
                })
            })
        })
    }
}

impl CustomOp1 for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [b, h, w, c] = self.dims(layout.dims())?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("windows are of contiguous maps");
        };
        let maps = &storage.as_slice::<f32>()?[start..end];
        let size = self.size([h, w, c]);
        let mut windows = vec![0.0; b * size];
        let pairs = windows
            .par_chunks_mut(size.max(1))
            .zip(maps.par_chunks(h * w * c));
        pairs.for_each(|(windows, map)| {
            for run in self.runs([h, w, c]) {
                windows[run.in_window..][..run.length]
                    .copy_from_slice(&map[run.in_map..][..run.length]);
            }
        });
        let shape = Shape::from((b, h / self.stride, w / self.stride, self.numbers(c)));
        Ok((CpuStorage::F32(windows), shape))
    }

    fn bwd(&self, map: &Tensor, _res: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [_, h, w, c] = self.dims(map.dims())?;
        let size = self.size([h, w, c]);
        let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
        let mut to_map = vec![0.0; map.elem_count()];
        let pairs = to_map
            .par_chunks_mut(h * w * c)
            .zip(gradient.par_chunks(size.max(1)));
        pairs.for_each(|(to_map, gradient)| {
            for run in self.runs([h, w, c]) {
                let from = &gradient[run.in_window..][..run.length];
                let to = &mut to_map[run.in_map..][..run.length];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        });
        Tensor::from_vec(to_map, map.shape(), map.device()).map(Some)
    }
}

#[cfg(test)]
#[path = "../tests/unit/windows.rs"]
mod tests;
