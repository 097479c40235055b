//! Datasets by their path, whatever their format.

use std::path::Path;

use crate::alignment::FRAME_TOLERANCE;
use crate::droid::DroidStore;
use crate::error::Result;
use crate::index::Index;
use crate::inspect::{Depth, Inspection};
use crate::lerobot::store::{is_lerobot, LeRobotStore};
use crate::store::EpisodeStore;

/// Opens a dataset: an index file, a list of episode folders as the official code has it (CSV,
/// separated by spaces, the folder first), a DROID-raw root, or a LeRobot dataset.
///
/// # Errors
/// When it can't be read or is none of these.
pub fn open(path: &Path) -> Result<Box<dyn EpisodeStore>> {
    open_tolerant(path, FRAME_TOLERANCE)
}

/// As [`open`], where videos may have so many frames more or fewer than there are states. An
/// index was made with a tolerance of its own and lists no more than that.
///
/// # Errors
/// As [`open`].
pub fn open_tolerant(path: &Path, frame_tolerance: usize) -> Result<Box<dyn EpisodeStore>> {
    let inspection = Inspection {
        depth: Depth::Quick,
        frame_tolerance,
    };
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    if is_lerobot(path) {
        return Ok(Box::new(LeRobotStore::open_tolerant(
            path,
            frame_tolerance,
        )?));
    }
    if path.is_dir() {
        let index = Index::build(path, inspection, |_, _| {})?;
        return Ok(of_index(index, path));
    }
    if extension.is_some_and(|e| e == "csv" || e == "txt") {
        let index = Index::of_list(path, inspection, |_, _| {})?;
        return Ok(of_index(index, path));
    }
    Ok(of_index(Index::read(path)?, path))
}

/// The episodes an index lists; its paths start from the folder `root`, or from where the list of
/// episodes `root` lies.
pub fn of_index(index: Index, root: &Path) -> Box<dyn EpisodeStore> {
    match root.is_dir() {
        true => Box::new(DroidStore::new(index, root)),
        false => Box::new(DroidStore::new(index, &list_folder(root))),
    }
}

/// The folder paths in an index or a list start from.
fn list_folder(file: &Path) -> std::path::PathBuf {
    file.parent().unwrap_or(Path::new(".")).to_path_buf()
}
