//! Unit tests of `src/lerobot/splits.rs`.

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
fn ranges_may_be_open_and_other_words_are_none() {
    let splits = |range: &str| BTreeMap::from([("test".to_owned(), range.to_owned())]);
    for range in ["", "3", "a:b", "5:2", "-1:4", "[3]", "4:4"] {
        assert_eq!(of(&splits(range), 3), None, "{range}");
        assert_eq!(parsed(range).is_some(), ["", "4:4"].contains(&range));
    }
    for (range, held_out) in [("2:5", true), ("3:", true), (":3", false), (" : 4", true)] {
        let expected = if held_out {
            Split::Validation
        } else {
            Split::Train
        };
        assert_eq!(of(&splits(range), 3), Some(expected), "{range}");
    }
}
