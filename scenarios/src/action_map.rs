//! The map between the axes a camera makes a model see and the arm's own.
//!
//! A model that looks through a turned camera plans turned translations. `foresight calibrate`
//! finds the map that undoes it. Plans, energies and looking back know nothing of it: it is applied
//! only where an action turns into motion, of the arm or of a simulator that stands for it.

use foresight_planner::Action;

/// Maps planned translations to those the arm is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ActionMap(Option<[[f64; 2]; 2]>);

impl ActionMap {
    /// That multiplies `[x, y]`, m, by a matrix given by its rows; none leaves actions as they are.
    pub fn new(xy: Option<[[f64; 2]; 2]>) -> Self {
        ActionMap(xy)
    }

    /// What the arm is asked for when `planned` was decided on.
    pub fn apply(&self, planned: &Action) -> Action {
        let mut asked = *planned;
        if let Some([first, second]) = self.0 {
            let [x, y, _] = planned.translation_m;
            asked.translation_m[0] = first[0] * x + first[1] * y;
            asked.translation_m[1] = second[0] * x + second[1] * y;
        }
        asked
    }

    /// The plan that asks the arm for `asked`; `asked` itself where a map can't be undone.
    pub fn undo(&self, asked: &Action) -> Action {
        let mut planned = *asked;
        if let Some([[a, b], [c, d]]) = self.0 {
            let ([x, y, _], det) = (asked.translation_m, a * d - b * c);
            if det != 0.0 {
                planned.translation_m[0] = (d * x - b * y) / det;
                planned.translation_m[1] = (a * y - c * x) / det;
            }
        }
        planned
    }
}

#[cfg(test)]
#[path = "../tests/unit/action_map.rs"]
mod tests;
