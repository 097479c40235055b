//! Some of a dataset's episodes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::entry::IndexEntry;
use crate::error::{DatasetError, Result};
use crate::frames::FrameStack;
use crate::open::open;
use crate::split::Split;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::view::View;

/// States kept in memory, at most: some hundred megabytes.
const REMEMBERED_STATES: usize = 2_000_000;

/// Some of a dataset's episodes. Their numbers are read once, their pictures every time.
pub struct Subset {
    store: Arc<dyn EpisodeStore>,
    /// Indices into the store.
    kept: Vec<usize>,
    entries: Vec<IndexEntry>,
    unusable: Vec<(String, String)>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    known: HashMap<(usize, View), Proprioception>,
    states: usize,
}

impl Subset {
    /// The episodes of `store` with the indices `kept`; `unusable` says whether those that can't be
    /// used are listed here too.
    pub fn new(store: &Arc<dyn EpisodeStore>, kept: Vec<usize>, unusable: bool) -> Self {
        let entries = kept.iter().map(|i| store.episodes()[*i].clone());
        Subset {
            entries: entries.collect(),
            kept,
            unusable: if unusable {
                store.unusable().to_vec()
            } else {
                Vec::new()
            },
            store: Arc::clone(store),
            remembered: Mutex::default(),
        }
    }

    /// The first episodes, `limit` at most, that were recorded for one use.
    ///
    /// # Errors
    /// The first unusable episode's; [`DatasetError::Empty`] when none was recorded for that use.
    pub fn of_split(path: &Path, split: Split, limit: usize) -> Result<Self> {
        let store: Arc<dyn EpisodeStore> = Arc::from(open(path)?);
        if let Some((episode, reason)) = store.unusable().first() {
            return Err(DatasetError::episode(episode.as_ref(), reason.as_str()));
        }
        let entries = store.episodes().iter().enumerate();
        let of_split = entries.filter(|(_, entry)| entry.split == Some(split));
        let kept: Vec<usize> = of_split.map(|(at, _)| at).take(limit).collect();
        if kept.is_empty() {
            return Err(DatasetError::Empty {
                path: path.to_path_buf(),
                reason: format!(
                    "none of {} was recorded for {split}; record some with `foresight record`",
                    store.episodes().len()
                ),
            });
        }
        Ok(Subset::new(&store, kept, true))
    }

    /// Keeps only the episodes that `wanted` selects.
    pub fn retain(&mut self, wanted: impl Fn(&IndexEntry) -> bool) {
        let chosen: Vec<bool> = self.entries.iter().map(wanted).collect();
        let mut keep = chosen.iter();
        self.kept.retain(|_| keep.next().is_some_and(|keep| *keep));
        let mut keep = chosen.iter();
        self.entries
            .retain(|_| keep.next().is_some_and(|keep| *keep));
        self.remembered = Mutex::default();
    }
}

impl EpisodeStore for Subset {
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]) {
        (&self.entries, &self.unusable)
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        let lock = || {
            self.remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let key = (episode, view.clone());
        if let Some(measured) = lock().known.get(&key) {
            return Ok(measured.clone());
        }
        let measured = self.store.proprioception(self.kept[episode], view)?;
        let mut remembered = lock();
        let states = measured.states.len();
        if remembered.states + states <= REMEMBERED_STATES {
            // Another thread may have read the same episode meanwhile.
            if remembered.known.insert(key, measured.clone()).is_none() {
                remembered.states += states;
            }
        }
        Ok(measured)
    }

    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack> {
        self.store.frames(self.kept[episode], view, numbers)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        self.store.extras(self.kept[episode])
    }
}
