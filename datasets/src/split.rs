//! Which scene seeds may be used for what: the one place that says so.
//!
//! A simulated scene is a pure function of its seed, so disjoint seed ranges give disjoint
//! scenes. Evaluation owns the small numbers a person types; recordings number their episodes
//! inside the training or validation range and so cannot reach an evaluation scene, whatever
//! `--seed` says. Readers check the recorded seed against the same ranges again.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{DatasetError, Result};

/// What an episode, or a scene, may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Closed-loop evaluation and runs by hand: never recorded for training.
    Evaluation,
    /// Fits weights.
    Train,
    /// Chooses among weights (early stopping, best checkpoint), never fits them.
    Validation,
}

impl Split {
    /// All splits.
    pub const ALL: [Split; 3] = [Split::Evaluation, Split::Train, Split::Validation];

    /// The seeds of this split.
    pub const fn seeds(self) -> Range<u64> {
        match self {
            Split::Evaluation => 0..1_000_000,
            Split::Train => 1_000_000_000..2_000_000_000,
            Split::Validation => 2_000_000_000..3_000_000_000,
        }
    }

    /// The split a scene seed belongs to; `None` for seeds reserved for nothing.
    pub fn of_seed(seed: u64) -> Option<Split> {
        Split::ALL
            .into_iter()
            .find(|split| split.seeds().contains(&seed))
    }

    /// The `index`-th seed of this split.
    ///
    /// # Errors
    /// [`DatasetError::Seed`] when the split has no such seed.
    pub fn seed(self, index: u64) -> Result<u64> {
        let range = self.seeds();
        if index < range.end - range.start {
            return Ok(range.start + index);
        }
        Err(DatasetError::Seed(format!(
            "seed number {index} does not exist in the {self} split: it has {} seeds, numbered \
             from 0 (they become scene seeds {} to {})",
            range.end - range.start,
            range.start,
            range.end - 1,
        )))
    }

    /// Checks that a scene seed may be used for this split.
    ///
    /// # Errors
    /// [`DatasetError::Seed`] naming the split the seed really belongs to.
    pub fn check(self, seed: u64) -> Result<()> {
        if self.seeds().contains(&seed) {
            return Ok(());
        }
        let (range, owner) = (self.seeds(), Split::of_seed(seed));
        Err(DatasetError::Seed(format!(
            "scene seed {seed} may not be used for {self}: it belongs to {}; {self} uses seeds \
             {} to {}",
            owner.map_or("no split".to_owned(), |o| format!("the {o} split")),
            range.start,
            range.end - 1,
        )))
    }

    /// The scene seeds of `count` recorded episodes, numbered from `first` inside this split.
    ///
    /// # Errors
    /// [`DatasetError::Seed`] for the evaluation split, which is never recorded, and for
    /// numbers beyond the split.
    pub fn recording_seeds(self, first: u64, count: u64) -> Result<Range<u64>> {
        if self == Split::Evaluation {
            return Err(DatasetError::Seed(
                "evaluation scenes are never recorded: a model that has seen them cannot be \
                 measured on them; record the train or the validation split"
                    .to_owned(),
            ));
        }
        let start = self.seed(first)?;
        if count > 0 {
            self.seed(first.saturating_add(count - 1))?;
        }
        Ok(start..start + count)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Evaluation => "evaluation",
            Split::Train => "train",
            Split::Validation => "validation",
        })
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Split::ALL
            .into_iter()
            .find(|split| split.to_string() == name)
            .ok_or_else(|| format!("unknown split `{name}`: use train, validation or evaluation"))
    }
}

#[cfg(test)]
#[path = "../tests/unit/split.rs"]
mod tests;
