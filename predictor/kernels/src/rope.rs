//! Three-axis rotary position embedding, as tables of cosines and sines.
//!
//! A head of `D` dimensions is cut into a depth, a height and a width segment of
//! `2·((D/3)/2)` dimensions each; what is left over is not rotated (`RoPEAttention` in the
//! official `src/models/utils/modules.py`). Every rotation there has the form
//! `x·cos + swap(x)·sin` with `swap` turning each pair `(a, b)` into `(-b, a)`, so one pair of
//! tables `[N, D]` with `cos = 1, sin = 0` on the unrotated dimensions covers all segments,
//! both variants, and action tokens, which turn only in depth.

/// Base of the frequencies, as in the official code.
const BASE: f32 = 10_000.0;

/// How the head dimensions of each rotated segment pair up with frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum RopeVariant {
    /// V-JEPA 2 and 2-AC: frequencies tiled over the segment (element `j` turns by
    /// `freq[j mod D/2]`) while elements pair as `(2i, 2i + 1)`. Not a rotation, but what the
    /// released weights were trained with.
    #[default]
    Tiled,
    /// V-JEPA 2.1: frequencies repeated for each pair, a true rotation.
    Interleaved,
}

/// Where a token is: tubelet index, patch row, patch column. `None` leaves that segment
/// unrotated, as for action and state tokens in space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Time, in tubelets.
    pub depth: f32,
    /// Patch row and column; `None` for tokens that are nowhere in the image.
    pub place: Option<(f32, f32)>,
}

/// Cosines and sines for `N` tokens, `[N, head_dim]` row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeTable {
    head_dim: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// The table for tokens at `positions`, for heads of `head_dim` dimensions.
    pub fn new(positions: &[Position], head_dim: usize, variant: RopeVariant) -> Self {
        let segment = 2 * ((head_dim / 3) / 2);
        let half = segment / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| 1.0 / BASE.powf(i as f32 / (segment as f32 / 2.0)))
            .collect();
        let mut cos = vec![1.0; positions.len() * head_dim];
        let mut sin = vec![0.0; positions.len() * head_dim];
        for (token, position) in positions.iter().enumerate() {
            let (row, column) = match position.place {
                Some((row, column)) => (Some(row), Some(column)),
                None => (None, None),
            };
            let axes = [Some(position.depth), row, column];
            for (axis, coordinate) in axes.into_iter().enumerate() {
                let Some(coordinate) = coordinate else {
                    continue;
                };
                for j in 0..segment {
                    let frequency = match variant {
                        RopeVariant::Tiled => frequencies[j % half],
                        RopeVariant::Interleaved => frequencies[j / 2],
                    };
                    let at = token * head_dim + axis * segment + j;
                    (sin[at], cos[at]) = (coordinate * frequency).sin_cos();
                }
            }
        }
        RopeTable { head_dim, cos, sin }
    }

    /// Positions of `frames × rows × columns` patches in raster order.
    pub fn grid(frames: usize, rows: usize, columns: usize) -> Vec<Position> {
        let mut positions = Vec::with_capacity(frames * rows * columns);
        for depth in 0..frames {
            for row in 0..rows {
                for column in 0..columns {
                    positions.push(Position {
                        depth: depth as f32,
                        place: Some((row as f32, column as f32)),
                    });
                }
            }
        }
        positions
    }

    /// Number of tokens, `N`.
    pub fn tokens(&self) -> usize {
        self.cos.len() / self.head_dim.max(1)
    }

    /// Dimensions of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Cosines, `[N, head_dim]`.
    pub fn cos(&self) -> &[f32] {
        &self.cos
    }

    /// Sines, `[N, head_dim]`.
    pub fn sin(&self) -> &[f32] {
        &self.sin
    }
}

#[cfg(test)]
#[path = "../tests/unit/rope.rs"]
mod tests;
