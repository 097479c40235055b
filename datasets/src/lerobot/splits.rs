//! `splits` of `meta/info.json`: which episodes may be trained on.
//!
//! LeRobot names ranges of episodes, `"train": "0:90"`, and writes one range of all of them where
//! nothing was held out.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::split::Split;

const TRAIN: &str = "train";
const VALIDATION: &str = "validation";

/// Ranges by name of episodes in this order; those for validation are expected to come last.
pub(super) fn written(
    episodes: impl ExactSizeIterator<Item = Option<Split>>,
) -> BTreeMap<&'static str, String> {
    let all = episodes.len();
    let training = episodes
        .take_while(|split| *split != Some(Split::Validation))
        .count();
    let mut ranges = BTreeMap::new();
    for (name, range) in [(TRAIN, 0..training), (VALIDATION, training..all)] {
        if !range.is_empty() {
            ranges.insert(name, format!("{}:{}", range.start, range.end));
        }
    }
    ranges
}

/// What episode `number` is for: validation where a range other than the one to train on has it,
/// training where there are such ranges but none has it; `None` where nothing was held out.
pub(super) fn of(splits: &BTreeMap<String, String>, number: usize) -> Option<Split> {
    let mut held_out = splits
        .iter()
        .filter(|(name, _)| *name != TRAIN)
        .filter_map(|(_, range)| parsed(range))
        .filter(|range| !range.is_empty())
        .peekable();
    held_out.peek()?;
    match held_out.any(|range| range.contains(&number)) {
        true => Some(Split::Validation),
        false => Some(Split::Train),
    }
}

/// The episodes a range names, open at its ends or not; none where nothing is said. `None` of what
/// is no range.
pub(super) fn parsed(range: &str) -> Option<Range<usize>> {
    if range.trim().is_empty() {
        return Some(0..0);
    }
    let (from, to) = range.split_once(':')?;
    let end = |text: &str, open: usize| match text.trim() {
        "" => Some(open),
        text => text.parse().ok(),
    };
    let range = end(from, 0)?..end(to, usize::MAX)?;
    (range.start <= range.end).then_some(range)
}

#[cfg(test)]
#[path = "../../tests/unit/lerobot_splits.rs"]
mod tests;
