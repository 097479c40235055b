//! Where a demonstration's stages end: cut by its gripper alone, without labels.

use foresight_predictor::goal_head::STAGES;

/// A pose as numbers: x, y, z, angles, closedness.
type State = [f64; 7];

/// Closedness from which the fingers are around something, and below which they are open.
const HELD: f64 = 0.18;
const OPEN: f64 = 0.12;
/// Closedness that changes by less from state to state stands still.
const STILL: f64 = 0.03;
/// The hand is above where it will be when it is higher by this, m.
const ABOVE_M: f64 = 0.03;
/// What is carried goes at least so far, m.
const CARRIED_M: f64 = 0.05;

/// The states that end the stages, ascending; `None` for episodes that don't take something and put it
/// down elsewhere.
pub(crate) fn cut(states: &[State]) -> Option<[usize; STAGES]> {
    let closed = |i: usize| states[i][6];
    let mut best: Option<(f64, [usize; STAGES])> = None;
    let mut from = 0;
    while let Some(first) = (from..states.len()).find(|i| closed(*i) >= HELD) {
        let end = (first..states.len()).find(|i| closed(*i) < OPEN);
        from = end.unwrap_or(states.len());
        let cuts = end.and_then(|end| within(states, first, end));
        if let Some((carried_m, cuts)) = cuts {
            if best.is_none_or(|(most_m, _)| carried_m > most_m) {
                best = Some((carried_m, cuts));
            }
        }
    }
    best.map(|(_, cuts)| cuts)
}

/// The cuts of one closing at `first` and opening at `open`, and how far the hand went in between.
fn within(states: &[State], first: usize, open: usize) -> Option<(f64, [usize; STAGES])> {
    let height = |i: usize| states[i][2];
    let still = |a: usize, b: usize| (states[a][6] - states[b][6]).abs() < STILL;
    let around = first.checked_sub(1)?;
    let grasp = (first..open.checked_sub(1)?).find(|i| still(*i, i + 1))?;
    let lower = (grasp + 1..open).rev().find(|i| still(*i, i - 1))?;
    let hover = (0..around)
        .rev()
        .find(|i| height(*i) >= height(around) + ABOVE_M)?;
    let carry = (grasp + 1..lower)
        .rev()
        .find(|i| height(*i) >= height(lower) + ABOVE_M)?;
    let last = states.len().min(open + 3);
    let risen = (open..last).find(|i| height(*i) >= height(open) + ABOVE_M);
    let release = risen.unwrap_or(open);
    let [a, b] = [grasp, lower].map(|i| states[i]);
    let carried_m = (a[0] - b[0]).hypot(a[1] - b[1]);
    let cuts = [hover, around, grasp, carry, lower, release];
    let ascending = cuts.windows(2).all(|pair| pair[0] < pair[1]);
    (ascending && carried_m >= CARRIED_M).then_some((carried_m, cuts))
}

#[cfg(test)]
#[path = "../tests/unit/stage_cuts.rs"]
mod tests;
