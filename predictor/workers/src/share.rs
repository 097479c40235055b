//! Who computes how many candidates.

use std::ops::Range;

/// Splits `samples` in sample order among places in proportion to their speeds; a place of speed 0 gets none.
/// All go to the first place when no speed is above 0. Which place computes what never changes an energy.
pub fn shares(samples: usize, speeds: &[f64]) -> Vec<Range<usize>> {
    let total: f64 = speeds.iter().sum();
    let mut passed = 0.0;
    let mut first = 0;
    let last = speeds.iter().rposition(|s| *s > 0.0).unwrap_or(0);
    speeds
        .iter()
        .enumerate()
        .map(|(place, speed)| {
            passed += speed;
            let end = match place >= last {
                true => samples,
                false => ((samples as f64 * passed / total).round() as usize).min(samples),
            };
            let share = first..end.max(first);
            first = share.end;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn every_sample_is_computed_once_and_by_none_that_is_silent() {
        for samples in [0, 1, 7, 64, 800] {
            for speeds in [
                vec![1.0],
                vec![0.0, 0.0],
                vec![3.0, 0.0, 1.0, 0.0],
                vec![0.0, 1e-9, 5.0],
                vec![1e6, 1.0, 1.0],
            ] {
                let shares = shares(samples, &speeds);
                let mut next = 0;
                for share in &shares {
                    assert_eq!(share.start, next, "{speeds:?}");
                    next = share.end;
                }
                assert_eq!(next, samples, "{speeds:?}");
                let working = speeds.iter().any(|s| *s > 0.0);
                for (share, speed) in shares.iter().zip(&speeds) {
                    assert!(!working || *speed > 0.0 || share.is_empty(), "{speeds:?}");
                }
            }
        }
        assert_eq!(shares(800, &[1.0, 3.0]), [0..200, 200..800]);
    }
}
