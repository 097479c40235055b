//! Unit tests of `src/split.rs`.

use super::*;

#[test]
fn ranges_do_not_overlap() {
    for a in Split::ALL {
        for b in Split::ALL {
            if a != b {
                let (a, b) = (a.seeds(), b.seeds());
                assert!(a.end <= b.start || b.end <= a.start);
            }
        }
    }
}

#[test]
fn every_seed_has_at_most_one_split() {
    for split in Split::ALL {
        let range = split.seeds();
        assert_eq!(Split::of_seed(range.start), Some(split));
        assert_eq!(Split::of_seed(range.end - 1), Some(split));
        assert_ne!(Split::of_seed(range.end), Some(split));
        assert_eq!(split.to_string().parse::<Split>(), Ok(split));
    }
    assert_eq!(Split::of_seed(999_999_999), None);
}

#[test]
fn recording_never_reaches_evaluation_seeds() {
    assert!(Split::Evaluation.recording_seeds(0, 1).is_err());
    for split in [Split::Train, Split::Validation] {
        for first in [0, 1, 42, 999_999] {
            for seed in split.recording_seeds(first, 100).expect("inside the split") {
                assert!(Split::Evaluation.check(seed).is_err());
                split.check(seed).expect("its own split");
            }
        }
        assert!(split.recording_seeds(1_000_000_000, 1).is_err());
        assert!(split.recording_seeds(999_999_999, 2).is_err());
        assert!(split.recording_seeds(u64::MAX, u64::MAX).is_err());
    }
    let error = Split::Train.check(7).expect_err("an evaluation seed");
    assert!(error.to_string().contains("evaluation"), "{error}");
}
