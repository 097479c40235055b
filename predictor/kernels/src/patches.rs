//! Pixels as rows of a patch embedding's matrix product.

use rayon::prelude::*;

/// Patches of clips `[B, 3, T, H, W]` as rows `[B · T/t · H/p · W/p, 3·t·p·p]` in the order of a 3-D
/// convolution's weight; `size` is `[T, H, W]`. A clip of one frame is one tubelet, the frame repeated
/// `t` times.
pub fn patch_rows(clips: &[f32], size: [usize; 3], p: usize, t: usize) -> Vec<f32> {
    let [frames, height, width] = size;
    let (rows, columns) = (height / p, width / p);
    let patch = 3 * t * p * p;
    let clip = 3 * frames * height * width;
    let tubelets = if frames == 1 { 1 } else { frames / t };
    let tubelet = rows * columns * patch;
    let mut out = vec![0.0; clips.len() / clip * tubelets * tubelet];
    let outs = out.par_chunks_exact_mut(tubelet.max(1)).enumerate();
    outs.for_each(|(number, out)| {
        let clip = &clips[number / tubelets * clip..][..clip];
        let first = number % tubelets * t;
        for (place, out) in out.chunks_exact_mut(patch).enumerate() {
            let (top, left) = (place / columns * p, place % columns * p);
            for channel in 0..3 {
                for at in 0..t {
                    let frame = channel * frames + (first + at).min(frames - 1);
                    for y in 0..p {
                        let from = (frame * height + top + y) * width + left;
                        let to = ((channel * t + at) * p + y) * p;
                        out[to..to + p].copy_from_slice(&clip[from..from + p]);
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
