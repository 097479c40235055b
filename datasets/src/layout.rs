//! Where an episode's files lie below a dataset's root.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{DatasetError, Result};

/// The trajectory's file name.
pub const TRAJECTORY: &str = "trajectory.h5";
/// Folder of losslessly stored frames inside an episode.
pub const FRAMES: &str = "recordings/frames";
/// Folder of videos inside an episode, as DROID has it.
pub const VIDEOS: &str = "recordings/MP4";
/// What a side-by-side stereo video's name ends with, before `.mp4`.
pub const STEREO_SUFFIX: &str = "-stereo";
/// Extension of losslessly stored frames.
pub const FRAMES_EXTENSION: &str = "rgb8";
/// Episodes being written have this prefix; readers pass them over.
pub const PARTIAL_PREFIX: &str = ".partial-";

/// `success` or `failure`, DROID's folder for an outcome; `unknown` where nobody knows it.
pub fn outcome_folder(success: Option<bool>) -> &'static str {
    match success {
        Some(true) => "success",
        Some(false) => "failure",
        None => "unknown",
    }
}

/// The outcome of an episode by the innermost folder it lies in that names one.
pub(crate) fn outcome_of(episode: &Path) -> Option<bool> {
    let above = episode.ancestors().skip(1);
    let mut names = above.filter_map(|folder| folder.file_name()?.to_str());
    names.find_map(|name| {
        [true, false]
            .into_iter()
            .find(|outcome| name == outcome_folder(Some(*outcome)))
    })
}

/// Every episode folder below a root, each once, in path order: a folder that has a trajectory or
/// a metadata file. Links to folders are followed.
///
/// # Errors
/// [`DatasetError::Io`] when a folder cannot be listed.
pub fn episode_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(root, 0, &mut found)?;
    found.sort();
    // A link may lead to an episode that is there anyway.
    let mut real = HashSet::new();
    found.retain(|folder| fs::canonicalize(folder).map_or(true, |path| real.insert(path)));
    Ok(found)
}

/// Deeper than any layout in use; ends a walk into a loop of links.
const MAX_DEPTH: usize = 8;

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut children = Vec::new();
    let entries = fs::read_dir(folder).map_err(|e| DatasetError::io("list", folder, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| DatasetError::io("list", folder, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == TRAJECTORY || is_metadata(&name) {
            found.push(folder.to_path_buf());
            return Ok(());
        }
        let leads_on = || match (fs::canonicalize(entry.path()), fs::canonicalize(folder)) {
            (Ok(to), Ok(from)) => to.is_dir() && !from.starts_with(to),
            _ => false,
        };
        let is_folder = entry
            .file_type()
            .is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && leads_on());
        if is_folder && !name.starts_with('.') {
            children.push(entry.path());
        }
    }
    if depth < MAX_DEPTH {
        for child in children {
            walk(&child, depth + 1, found)?;
        }
    }
    Ok(())
}

fn is_metadata(name: &str) -> bool {
    name.starts_with("metadata_") && name.ends_with(".json")
}

/// An episode's metadata file.
///
/// # Errors
/// [`DatasetError::Episode`] when there is none or more than one, [`DatasetError::Io`].
pub fn metadata_file(episode: &Path) -> Result<PathBuf> {
    let mut found = files_with(episode, is_metadata)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(DatasetError::episode(
            episode,
            "it has no metadata_*.json; the recording was interrupted",
        )),
        n => Err(DatasetError::episode(
            episode,
            format!("it has {n} files metadata_*.json, where one belongs"),
        )),
    }
}

/// Losslessly stored frames of an episode, as (camera, file), in camera order.
///
/// # Errors
/// [`DatasetError::Io`].
pub fn frame_files(episode: &Path) -> Result<Vec<(String, PathBuf)>> {
    cameras(&episode.join(FRAMES), FRAMES_EXTENSION)
}

/// Videos of an episode, as (camera, file), in camera order.
///
/// # Errors
/// [`DatasetError::Io`].
pub fn video_files(episode: &Path) -> Result<Vec<(String, PathBuf)>> {
    cameras(&episode.join(VIDEOS), "mp4")
}

/// The video of this name, however its extension is written.
pub(crate) fn video_file(episode: &Path, name: &str) -> Result<PathBuf> {
    let there = video_files(episode)?.into_iter().find(|(n, _)| n == name);
    let expected = || episode.join(VIDEOS).join(format!("{name}.mp4"));
    Ok(there.map_or_else(expected, |(_, file)| file))
}

/// Films of an episode that aren't read, each with what to do.
pub(crate) fn other_films(episode: &Path) -> Result<Vec<String>> {
    const FILMS: [&str; 6] = ["avi", "m4v", "mkv", "mov", "ts", "webm"];
    let folder = episode.join(VIDEOS);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let films = files_with(&folder, |name| {
        let extension = Path::new(name).extension();
        extension.is_some_and(|e| FILMS.iter().any(|film| e.eq_ignore_ascii_case(film)))
    })?;
    let said = |film: &PathBuf| {
        format!(
            "{} is not read, only MP4 is: remux it with `ffmpeg -i OLD -c copy NEW.mp4`",
            film.display()
        )
    };
    Ok(films.iter().map(said).collect())
}

fn cameras(folder: &Path, extension: &str) -> Result<Vec<(String, PathBuf)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let suffix = format!(".{extension}");
    let files = files_with(folder, |name| name.to_lowercase().ends_with(&suffix))?;
    Ok(files
        .into_iter()
        .filter_map(|path| {
            let camera = path.file_stem()?.to_string_lossy().into_owned();
            Some((camera, path))
        })
        .collect())
}

fn files_with(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| DatasetError::io("list", folder, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| DatasetError::io("list", folder, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // macOS puts a hidden `._name` beside every file it copies to other disks.
        if !name.starts_with('.') && wanted(&name) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
