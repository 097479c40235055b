//! The list of a dataset's episodes, with every unusable one and its reason.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::entry::IndexEntry;
use crate::error::{DatasetError, Result};
use crate::inspect::{inspect, Inspection};
use crate::layout;

/// Name of the index inside a dataset's root.
pub const FILE_NAME: &str = "index.json";
/// Version of the index this program writes.
const VERSION: u32 = 3;

/// A dataset's episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Version of the format.
    pub version: u32,
    /// Usable episodes, in path order.
    pub episodes: Vec<IndexEntry>,
    /// Unusable episodes, in path order.
    pub unusable: Vec<UnusableEntry>,
}

/// One unusable episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnusableEntry {
    /// Folder below the root, with forward slashes.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Index {
    /// Looks at every episode below a root.
    ///
    /// `done` is called after each episode, for a progress bar.
    ///
    /// # Errors
    /// [`DatasetError::Io`] when folders cannot be listed, [`DatasetError::Empty`] when no episode
    /// is below it; unusable episodes are no error but listed.
    pub fn build(
        root: &Path,
        inspection: impl Into<Inspection>,
        done: impl Fn(usize, usize) + Sync,
    ) -> Result<Self> {
        let folders = layout::episode_folders(root)?;
        if folders.is_empty() {
            return Err(DatasetError::Empty {
                path: root.to_path_buf(),
                reason: format!(
                    "looked for are folders with {} or metadata_*.json (DROID raw), and {} \
                     (LeRobot v3)",
                    layout::TRAJECTORY,
                    crate::lerobot::features::INFO
                ),
            });
        }
        Ok(Index::of_folders(root, &folders, inspection.into(), done))
    }

    /// Looks at the episodes of a list as the official code has it: a line for each, separated
    /// by spaces, the episode's folder first; a folder with spaces in double quotes. Relative
    /// folders start from the list's own, or from the current one where that exists. An index is a
    /// list too: of all it names.
    ///
    /// # Errors
    /// [`DatasetError::Io`] when the list can't be read, [`DatasetError::Corrupt`] when it is no
    /// text, [`DatasetError::Empty`] when it names no folder.
    pub fn of_list(
        list: &Path,
        inspection: impl Into<Inspection>,
        done: impl Fn(usize, usize) + Sync,
    ) -> Result<Self> {
        let bytes = fs::read(list).map_err(|e| DatasetError::io("read", list, e))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| DatasetError::corrupt(list, "it is not a text file of folders"))?;
        let root = list.parent().unwrap_or(Path::new("."));
        if text.trim_start().starts_with('{') {
            let index = Index::read(list)?;
            let usable = index.episodes.into_iter().map(|entry| entry.path);
            let unusable = index.unusable.into_iter().map(|entry| entry.path);
            let folders: Vec<PathBuf> = usable.chain(unusable).map(|p| root.join(p)).collect();
            return Ok(Index::of_folders(root, &folders, inspection.into(), done));
        }
        let folders: Vec<PathBuf> = first_fields(&text)
            .map_err(|e| DatasetError::corrupt(list, format!("it is no list of folders: {e}")))?
            .into_iter()
            .map(|field| {
                let beside = root.join(&field);
                match beside.exists() {
                    true => beside,
                    // Where the official code would look; made absolute so that it stays found.
                    false => std::path::absolute(field).unwrap_or(beside),
                }
            })
            .collect();
        if folders.is_empty() {
            return Err(DatasetError::Empty {
                path: list.to_path_buf(),
                reason: "it lists no folder; write one episode folder a line".to_owned(),
            });
        }
        Ok(Index::of_folders(root, &folders, inspection.into(), done))
    }

    fn of_folders(
        root: &Path,
        folders: &[PathBuf],
        inspection: Inspection,
        done: impl Fn(usize, usize) + Sync,
    ) -> Self {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let results: Vec<_> = folders
            .par_iter()
            .map(|folder| {
                let path = relative(root, folder);
                let result = inspect(folder, path.clone(), inspection);
                let at = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                done(at, folders.len());
                result.map_err(|error| UnusableEntry {
                    path,
                    reason: error.to_string(),
                })
            })
            .collect();
        let mut index = Index {
            version: VERSION,
            episodes: Vec::new(),
            unusable: Vec::new(),
        };
        for result in results {
            match result {
                Ok(entry) => index.episodes.push(entry),
                Err(entry) => index.unusable.push(entry),
            }
        }
        index
    }

    /// Writes the index, replacing an older one at once.
    ///
    /// # Errors
    /// [`DatasetError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| DatasetError::corrupt(path, format!("cannot be written as JSON: {e}")))?;
        text.push('\n');
        let partial = path.with_extension("json.partial");
        fs::write(&partial, text).map_err(|e| DatasetError::io("write", &partial, e))?;
        fs::rename(&partial, path).map_err(|e| DatasetError::io("write", path, e))
    }

    /// Reads an index.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Corrupt`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|e| DatasetError::io("read", path, e))?;
        let index: Index = serde_json::from_slice(&text).map_err(|e| {
            DatasetError::corrupt(
                path,
                format!("not an index ({e}); make it anew with `foresight dataset index`"),
            )
        })?;
        if index.version != VERSION {
            return Err(DatasetError::corrupt(
                path,
                format!(
                    "index version {} is unknown here; make it anew with `foresight dataset index`",
                    index.version
                ),
            ));
        }
        for entry in &index.episodes {
            if entry.path.split('/').any(|p| p == "..") {
                return Err(DatasetError::corrupt(
                    path,
                    format!(
                        "the episode path {} leaves the dataset's folder",
                        entry.path
                    ),
                ));
            }
        }
        Ok(index)
    }
}

/// The first field of every line that has one; separated by spaces, as pandas reads it there.
fn first_fields(text: &str) -> Result<Vec<String>, csv::Error> {
    let mut lines = csv::ReaderBuilder::new();
    let lines = lines.delimiter(b' ').has_headers(false).flexible(true);
    let mut fields = Vec::new();
    for line in lines.from_reader(text.as_bytes()).records() {
        fields.extend(
            line?
                .iter()
                .find(|field| !field.is_empty())
                .map(str::to_owned),
        );
    }
    Ok(fields)
}

fn relative(root: &Path, folder: &Path) -> String {
    match folder.strip_prefix(root) {
        Ok(path) => {
            let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
            parts.join("/")
        }
        Err(_) => folder.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
#[path = "../tests/unit/index.rs"]
mod tests;
