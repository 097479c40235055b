//! Who computes how many candidates.

use std::ops::Range;

/// How a place gets through candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Candidates a second, 0 for a place that gets none.
    pub speed: f64,
    /// What it takes beside, however few they are, s: the network, and whatever waits there already.
    pub latency_s: f64,
}

/// Splits `samples` in sample order among places so that all are done at the same time: a place with latency
/// `l` and speed `v` does `v (t − l)` of them by the time `t`, and none where `t` is less than `l`. All go
/// to the first place when no speed is above 0. Which place computes what never changes an energy.
pub fn shares(samples: usize, paces: &[Pace]) -> Vec<Range<usize>> {
    let done_s = done_after(samples as f64, paces);
    let parts = paces
        .iter()
        .map(|pace| pace.speed * (done_s - pace.latency_s).max(0.0));
    let parts: Vec<f64> = parts.collect();
    let total: f64 = parts.iter().sum();
    let last = parts.iter().rposition(|part| *part > 0.0).unwrap_or(0);
    let (mut passed, mut first) = (0.0, 0);
    parts
        .iter()
        .enumerate()
        .map(|(place, part)| {
            passed += part;
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

/// When places that share so many candidates are done, s.
fn done_after(samples: f64, paces: &[Pace]) -> f64 {
    let mut working: Vec<&Pace> = paces.iter().filter(|pace| pace.speed > 0.0).collect();
    working.sort_by(|a, b| a.latency_s.total_cmp(&b.latency_s));
    let (mut speed, mut late, mut done_s) = (0.0, 0.0, f64::INFINITY);
    for pace in working {
        // Whoever answers only after the others are done is not asked.
        if pace.latency_s >= done_s {
            break;
        }
        speed += pace.speed;
        late += pace.speed * pace.latency_s;
        done_s = (samples + late) / speed;
    }
    match done_s.is_finite() {
        true => done_s,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
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
}
