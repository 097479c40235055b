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
#[path = "../tests/unit/share.rs"]
mod tests;
