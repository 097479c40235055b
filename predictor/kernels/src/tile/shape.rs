//! The outputs of one tile.

/// Most rows of a tile. Left operands are readable up to a multiple of this.
pub(crate) const ROWS: usize = 32;
/// Columns of a tile, hence of a panel.
pub(crate) const COLUMNS: usize = 32;

/// The outputs of one tile, row-major.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Tile(pub [f32; ROWS * COLUMNS]);

impl Tile {
    /// All zeros.
    pub fn zeros() -> Self {
        Tile([0.0; ROWS * COLUMNS])
    }
}

/// What a tile's sums start from. Sums that go on where others ended are the same sums, bit for
/// bit: a long inner dimension can be cut into pieces that fit the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialSums {
    /// Nothing.
    Zero,
    /// The sums that the tile holds.
    Tile,
}
