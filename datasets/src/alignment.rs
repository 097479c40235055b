//! Frame–state alignment: which frame of a video belongs to which state of a trajectory.
//!
//! Frame `i` was taken with state `i`, as the official loader counts. Some of DROID's videos have
//! a frame more or fewer than their trajectory has states; which end the odd one is at is not
//! recorded, so the pictures may be off by one frame (1/15 s) from the states. Such a video is
//! used as far as both go, up to a tolerance, and always named; a larger difference means that
//! the files don't belong together or that one is cut short, and the camera is unusable. Frames
//! that this program stored losslessly are as many as their states, or damaged.

/// Frames a video may have more or fewer than there are states, unless configured otherwise.
pub const FRAME_TOLERANCE: usize = 1;

/// Whether a video of `frames` frames can be used with `states` states.
///
/// # Errors
/// The difference in words.
pub(crate) fn check(frames: usize, states: usize, tolerance: usize) -> Result<(), String> {
    let difference = frames.abs_diff(states);
    if difference <= tolerance {
        return Ok(());
    }
    Err(format!(
        "{states} states, but {frames} frames; {difference} of them have no counterpart, and \
         {tolerance} may (frame_tolerance)"
    ))
}

#[cfg(test)]
#[path = "../tests/unit/alignment.rs"]
mod tests;
