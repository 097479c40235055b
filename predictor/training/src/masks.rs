//! Which tokens V-JEPA's pre-training hides: blocks in space and time, several a sample.
//!
//! Official code: `src/masks/multiseq_multiblock3d.py`. The size of the blocks comes from a
//! generator seeded with the number of the step, so that it is the same for a whole batch on
//! every worker; their places come from elsewhere.

use serde::{Deserialize, Serialize};

use crate::mersenne_twister::MersenneTwister;

/// Samples that may come out without context, one after another, before drawing is given up.
/// The official code draws for ever.
const ATTEMPTS: usize = 10_000;

/// Options of a mask generator; names are those of the official configurations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlockMaskOptions {
    /// Smallest and largest height over width of a block.
    pub aspect_ratio: [f64; 2],
    /// Blocks in a sample; they may overlap.
    pub num_blocks: usize,
    /// Smallest and largest share of a frame's patches in a block.
    pub spatial_scale: [f64; 2],
    /// Smallest and largest share of the clip's duration in a block.
    pub temporal_scale: [f64; 2],
    /// Share of the clip's duration, from its start, that context may come from.
    pub max_temporal_keep: f64,
    /// Most context tokens.
    pub max_keep: Option<usize>,
    /// Whether everything that is no context is predicted.
    pub full_complement: bool,
    /// Whether everything that isn't predicted is context.
    pub pred_full_complement: bool,
    /// Whether context and predicted tokens change places.
    pub inv_block: bool,
}

impl Default for BlockMaskOptions {
    /// The eight small blocks of the released configurations.
    fn default() -> Self {
        BlockMaskOptions {
            aspect_ratio: [0.75, 1.5],
            num_blocks: 8,
            spatial_scale: [0.15, 0.15],
            temporal_scale: [1.0, 1.0],
            max_temporal_keep: 1.0,
            max_keep: None,
            full_complement: false,
            pred_full_complement: false,
            inv_block: false,
        }
    }
}

/// Token ids of a batch: raster indices over time, row and column, as many in every sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMasks {
    /// Seen, `[B][K]`.
    pub context: Vec<Vec<u32>>,
    /// To be predicted, `[B][M]`.
    pub masked: Vec<Vec<u32>>,
}

/// Draws masks for clips of one size.
#[derive(Debug, Clone)]
pub struct BlockMaskGenerator {
    options: BlockMaskOptions,
    /// Tokens over time, height and width.
    grid: [usize; 3],
}

impl BlockMaskGenerator {
    /// For clips of `frames` frames of `crop` `[height, width]` px, cut into tubelets of `tubelet`
    /// frames and patches of `patch` px; images have one frame and a tubelet of 1.
    ///
    /// # Errors
    /// A sentence, when nothing is left of the clip or an option is out of range.
    pub fn new(
        options: BlockMaskOptions,
        crop: [usize; 2],
        patch: usize,
        frames: usize,
        tubelet: usize,
    ) -> Result<Self, String> {
        let grid = [
            frames / tubelet.max(1),
            crop[0] / patch.max(1),
            crop[1] / patch.max(1),
        ];
        if grid.contains(&0) || patch == 0 || tubelet == 0 {
            return Err(format!(
                "{frames} frames of {}×{} px hold no tubelet of {tubelet} frames and {patch} px",
                crop[0], crop[1]
            ));
        }
        let ranges = [
            ("aspect_ratio", options.aspect_ratio, f64::INFINITY),
            ("spatial_scale", options.spatial_scale, 1.0),
            ("temporal_scale", options.temporal_scale, 1.0),
        ];
        for (name, [low, high], most) in ranges {
            let lowest = if name == "aspect_ratio" {
                f64::MIN_POSITIVE
            } else {
                0.0
            };
            if !(low >= lowest && low <= high && high <= most) {
                return Err(format!(
                    "{name} is [{low}, {high}]: it must rise from {lowest} or more to at most {most}"
                ));
            }
        }
        if options.num_blocks == 0 {
            return Err("num_blocks must be at least 1".into());
        }
        Ok(BlockMaskGenerator { options, grid })
    }

    /// Tokens over time, height and width.
    pub fn grid(&self) -> [usize; 3] {
        self.grid
    }

    /// Size over time, height and width of the blocks of step `step`, counted from 0.
    pub fn block_of_step(&self, step: u64) -> [usize; 3] {
        let mut generator = MersenneTwister::new(step as u32);
        self.block([(); 3].map(|()| generator.uniform()))
    }

    /// The size that three uniforms from [0, 1) make: for duration, area and aspect ratio.
    pub fn block(&self, [duration, area, aspect]: [f64; 3]) -> [usize; 3] {
        let between = |[low, high]: [f64; 2], r: f64| low + r * (high - low);
        let [frames, rows, columns] = self.grid;
        let t = (frames as f64 * between(self.options.temporal_scale, duration)) as usize;
        let area = ((rows * columns) as f64 * between(self.options.spatial_scale, area)) as usize;
        let aspect = between(self.options.aspect_ratio, aspect);
        // Python rounds halves to even numbers.
        let side = |squared: f64| squared.sqrt().round_ties_even() as usize;
        [
            t.max(1),
            side(area as f64 * aspect).min(rows),
            side(area as f64 / aspect).min(columns),
        ]
    }

    /// Masks of `batch` samples with blocks of size `block`. `below(n)` gives a number from 0 to
    /// n − 1; it is asked for the top, the left and the start of one block after another.
    ///
    /// # Errors
    /// A sentence, when samples come out without context again and again.
    pub fn draw(
        &self,
        batch: usize,
        block: [usize; 3],
        below: &mut impl FnMut(usize) -> usize,
    ) -> Result<BlockMasks, String> {
        let (mut context, mut masked) = (Vec::new(), Vec::new());
        let mut attempts = 0;
        while context.len() < batch {
            let hidden = self.sample(block, below);
            let ids = |which: bool| -> Vec<u32> {
                let tokens = hidden.iter().enumerate();
                tokens
                    .filter(|(_, hidden)| **hidden == which)
                    .map(|(id, _)| id as u32)
                    .collect()
            };
            let seen = ids(false);
            if seen.is_empty() {
                attempts += 1;
                if attempts == ATTEMPTS {
                    return Err(format!(
                        "{} blocks of {block:?} tokens leave nothing to see of {:?}: make them smaller or fewer",
                        self.options.num_blocks, self.grid
                    ));
                }
                continue;
            }
            attempts = 0;
            context.push(seen);
            masked.push(ids(true));
        }
        let shortest = |lists: &[Vec<u32>]| lists.iter().map(Vec::len).min().unwrap_or(0);
        let kept = shortest(&context).min(self.options.max_keep.unwrap_or(usize::MAX));
        let predicted = shortest(&masked);
        context.iter_mut().for_each(|ids| ids.truncate(kept));
        masked.iter_mut().for_each(|ids| ids.truncate(predicted));
        if self.options.full_complement {
            masked = self.complements(&context);
        } else if self.options.pred_full_complement {
            context = self.complements(&masked);
        }
        if self.options.inv_block {
            std::mem::swap(&mut context, &mut masked);
        }
        Ok(BlockMasks { context, masked })
    }

    /// Which tokens of one sample are hidden.
    fn sample(&self, [t, h, w]: [usize; 3], below: &mut impl FnMut(usize) -> usize) -> Vec<bool> {
        let [frames, rows, columns] = self.grid;
        let seen_until = (frames as f64 * self.options.max_temporal_keep) as usize;
        let seen_until = seen_until.max(1);
        let mut hidden = vec![false; frames * rows * columns];
        for _ in 0..self.options.num_blocks {
            let top = below(rows - h + 1);
            let left = below(columns - w + 1);
            let start = below(frames - t + 1);
            for frame in 0..frames {
                for row in 0..rows {
                    for column in 0..columns {
                        let inside = (start..start + t).contains(&frame)
                            && (top..top + h).contains(&row)
                            && (left..left + w).contains(&column);
                        if inside || frame >= seen_until {
                            hidden[(frame * rows + row) * columns + column] = true;
                        }
                    }
                }
            }
        }
        hidden
    }

    /// All tokens that are not in each list.
    fn complements(&self, lists: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let total = self.grid.iter().product::<usize>() as u32;
        let others = |ids: &Vec<u32>| (0..total).filter(|id| !ids.contains(id)).collect();
        lists.iter().map(others).collect()
    }
}
