//! What of a dataset a run doesn't use, by name.

use super::clips::LatentClips;

/// Names the episodes that can't be used; how many there are.
pub fn left_out(clips: &[&LatentClips]) -> usize {
    let mut count = 0;
    for (episode, reason) in clips.iter().flat_map(|clips| clips.source().skipped()) {
        tracing::warn!("{episode} is left out: {reason}");
        count += 1;
    }
    count
}

/// Names the episodes of which a frame or a state has no counterpart; how many there are.
pub fn uneven(clips: &[&LatentClips]) -> usize {
    let mut count = 0;
    for (episode, what) in clips.iter().flat_map(|clips| clips.source().uneven()) {
        tracing::warn!("{episode}: {what}");
        count += 1;
    }
    count
}
