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
        .peekable();
    held_out.peek()?;
    match held_out.any(|range| range.contains(&number)) {
        true => Some(Split::Validation),
        false => Some(Split::Train),
    }
}

fn parsed(range: &str) -> Option<Range<usize>> {
    let (from, to) = range.split_once(':')?;
    let range = from.trim().parse().ok()?..to.trim().parse().ok()?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(splits: &BTreeMap<&'static str, String>) -> BTreeMap<String, String> {
        let owned = |(name, range): (&&str, &String)| ((*name).to_owned(), range.clone());
        splits.iter().map(owned).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        use Split::{Train, Validation};
        let episodes = [Some(Train), None, Some(Validation), Some(Validation)];
        let splits = read(&written(episodes.into_iter()));
        assert_eq!(splits["train"], "0:2");
        let found: Vec<_> = (0..4).map(|i| of(&splits, i)).collect();
        assert_eq!(
            found,
            [Some(Train), Some(Train), Some(Validation), Some(Validation)]
        );
        // Nothing held out: as LeRobot writes it, and says nothing.
        let all = read(&written([None, None].into_iter()));
        assert_eq!((all.len(), of(&all, 1)), (1, None));
        assert_eq!(all["train"], "0:2");
    }

    #[test]
    fn ranges_that_are_none_hold_nothing_out() {
        let splits = |range: &str| BTreeMap::from([("test".to_owned(), range.to_owned())]);
        for range in ["", "3", "a:b", "5:2", "-1:4"] {
            assert_eq!(of(&splits(range), 3), None, "{range}");
        }
        assert_eq!(of(&splits("2:5"), 3), Some(Split::Validation));
    }
}
