//! Several datasets as one.

use std::collections::HashSet;

use crate::entry::IndexEntry;
use crate::error::Result;
use crate::frames::FrameStack;
use crate::store::{EpisodeExtras, EpisodeStore, Proprioception};
use crate::view::View;

/// The episodes of several datasets, of any formats, one after the other.
pub struct Joined {
    stores: Vec<Box<dyn EpisodeStore>>,
    entries: Vec<IndexEntry>,
    /// Each episode's store, and its number there.
    places: Vec<(usize, usize)>,
    unusable: Vec<(String, String)>,
}

impl Joined {
    /// All episodes of these datasets. One that is called like an earlier one gets a number behind
    /// its name.
    pub fn new(stores: Vec<Box<dyn EpisodeStore>>) -> Self {
        let mut joined = Joined {
            entries: Vec::new(),
            places: Vec::new(),
            unusable: Vec::new(),
            stores: Vec::new(),
        };
        let mut taken = HashSet::new();
        for (at, store) in stores.iter().enumerate() {
            joined.unusable.extend_from_slice(store.unusable());
            for (episode, entry) in store.episodes().iter().enumerate() {
                let mut path = entry.path.clone();
                let mut number = 2;
                while !taken.insert(path.clone()) {
                    path = format!("{}-{number}", entry.path);
                    number += 1;
                }
                joined.entries.push(IndexEntry {
                    path,
                    ..entry.clone()
                });
                joined.places.push((at, episode));
            }
        }
        joined.stores = stores;
        joined
    }

    fn place(&self, episode: usize) -> (&dyn EpisodeStore, usize) {
        let (store, episode) = self.places[episode];
        (self.stores[store].as_ref(), episode)
    }
}

impl EpisodeStore for Joined {
    fn listed(&self) -> (&[IndexEntry], &[(String, String)]) {
        (&self.entries, &self.unusable)
    }

    fn proprioception(&self, episode: usize, view: &View) -> Result<Proprioception> {
        let (store, episode) = self.place(episode);
        store.proprioception(episode, view)
    }

    fn frames(&self, episode: usize, view: &View, numbers: &[usize]) -> Result<FrameStack> {
        let (store, episode) = self.place(episode);
        store.frames(episode, view, numbers)
    }

    fn extras(&self, episode: usize) -> Result<EpisodeExtras> {
        let (store, episode) = self.place(episode);
        store.extras(episode)
    }
}
