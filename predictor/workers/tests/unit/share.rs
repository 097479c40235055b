//! Unit tests of `src/share.rs`.

use super::{shares, Pace};

fn paces(of: &[(f64, f64)]) -> Vec<Pace> {
    let pace = |(speed, latency_s): &(f64, f64)| Pace {
        speed: *speed,
        latency_s: *latency_s,
    };
    of.iter().map(pace).collect()
}

#[test]
fn every_sample_is_computed_once_and_by_none_that_is_silent() {
    for samples in [0, 1, 7, 64, 800] {
        for of in [
            vec![(1.0, 0.0)],
            vec![(0.0, 0.0), (0.0, 0.1)],
            vec![(3.0, 0.0), (0.0, 0.0), (1.0, 0.2), (0.0, 0.0)],
            vec![(0.0, 0.0), (1e-9, 0.0), (5.0, 1.0)],
            vec![(1e6, 0.0), (1.0, 0.0), (1.0, 0.01)],
        ] {
            let shares = shares(samples, &paces(&of));
            let mut next = 0;
            for share in &shares {
                assert_eq!(share.start, next, "{of:?}");
                next = share.end;
            }
            assert_eq!(next, samples, "{of:?}");
            let working = of.iter().any(|(speed, _)| *speed > 0.0);
            for (share, (speed, _)) in shares.iter().zip(&of) {
                assert!(!working || *speed > 0.0 || share.is_empty(), "{of:?}");
            }
        }
    }
    assert_eq!(
        shares(800, &paces(&[(1.0, 0.0), (3.0, 0.0)])),
        [0..200, 200..800]
    );
}

#[test]
fn all_are_done_at_the_same_time_and_whoever_is_far_away_gets_less_or_nothing() {
    // 1000 a second each, one 0.1 s away: 0.45 s here are 450, 0.35 s there 350.
    let far = paces(&[(1000.0, 0.0), (1000.0, 0.1)]);
    assert_eq!(shares(800, &far), [0..450, 450..800]);
    // 0.08 s of work is done before the other's first answer could come.
    assert_eq!(shares(80, &far), [0..80, 80..80]);
    // A much faster one is worth its way.
    let fast = paces(&[(1000.0, 0.0), (9000.0, 0.1)]);
    assert_eq!(shares(800, &fast), [0..170, 170..800]);
}
