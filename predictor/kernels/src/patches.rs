//! Pixels as rows of a patch embedding's matrix product.

use rayon::prelude::*;

/// Patches of `[B, 3, H, W]` as rows `[B · H/p · W/p, 3·t·p·p]`, each frame repeated `t` times
/// in the order of a 3-D convolution's weight.
pub fn patch_rows(frames: &[f32], [height, width]: [usize; 2], p: usize, t: usize) -> Vec<f32> {
    let (rows, columns) = (height / p, width / p);
    let image = 3 * height * width;
    let patch = 3 * t * p * p;
    let mut out = vec![0.0; frames.len() / image * rows * columns * patch];
    let frames = frames.par_chunks_exact(image);
    let outs = out.par_chunks_exact_mut(rows * columns * patch);
    frames.zip(outs).for_each(|(frame, out)| {
        for (place, out) in out.chunks_exact_mut(patch).enumerate() {
            let (top, left) = (place / columns * p, place % columns * p);
            for channel in 0..3 {
                for repeat in 0..t {
                    for y in 0..p {
                        let from = (channel * height + top + y) * width + left;
                        let to = ((channel * t + repeat) * p + y) * p;
                        out[to..to + p].copy_from_slice(&frame[from..from + p]);
                    }
                }
            }
        }
    });
    out
}

/// Small tokens in raster order, `2·columns` a row and `half` wide, to rows of 2×2 of them.
pub fn merge_rows(small: &[f32], columns: usize, half: usize) -> Vec<f32> {
    let mut merged = vec![0.0; small.len()];
    let line = 2 * columns * half;
    for (row, out) in merged.chunks_exact_mut(2 * line).enumerate() {
        for (column, out) in out.chunks_exact_mut(4 * half).enumerate() {
            for (y, out) in out.chunks_exact_mut(2 * half).enumerate() {
                let from = (2 * row + y) * line + column * 2 * half;
                out.copy_from_slice(&small[from..from + 2 * half]);
            }
        }
    }
    merged
}
