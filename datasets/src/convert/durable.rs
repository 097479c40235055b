//! Folders that appear whole or not at all, whatever kills the program or the machine.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{renameat_with, RenameFlags, CWD};

use crate::error::{DatasetError, Result};
use crate::layout;

/// Lets `write` fill a hidden folder beside `out`, where everything of `out` but its `meta/` lies
/// already, and puts it in `out`'s place at once. When that fails, `out` is as it was.
///
/// # Errors
/// Whatever `write` returns; errors of writing.
pub(super) fn replace<T>(out: &Path, write: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let stage = out.with_file_name(format!("{}{name}", layout::PARTIAL_PREFIX));
    // Of a recording that was killed, or an older generation.
    let _ = fs::remove_dir_all(&stage);
    let filled = fs::create_dir_all(&stage)
        .map_err(|e| DatasetError::io("create", &stage, e))
        .and_then(|()| link(out, &stage))
        .and_then(|()| write(&stage))
        .and_then(|written| {
            sync(&stage)?;
            swap(&stage, out).map_err(|e| DatasetError::io("create", out, e))?;
            sync_folders(out, out.parent().unwrap_or(out))?;
            Ok(written)
        });
    let _ = fs::remove_dir_all(&stage);
    filled
}

/// Puts `stage` in `out`'s place; what lay there is then at `stage`.
fn swap(stage: &Path, out: &Path) -> std::io::Result<()> {
    if !out.exists() {
        return fs::rename(stage, out);
    }
    if renameat_with(CWD, stage, CWD, out, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    // A file system that can't exchange: for a moment only the old one is there, under another name.
    let old = stage.with_extension("old");
    fs::rename(out, &old)?;
    fs::rename(stage, out)?;
    fs::rename(&old, stage)
}

/// Links the files below `from`, but for `meta/`, into `to`; copies them where links can't be.
fn link(from: &Path, to: &Path) -> Result<()> {
    for (path, is_folder) in listed(from)? {
        let name = path.file_name().unwrap_or_default();
        let new = to.join(name);
        if is_folder && name != "meta" {
            fs::create_dir_all(&new).map_err(|e| DatasetError::io("create", &new, e))?;
            link(&path, &new)?;
        } else if !is_folder && fs::hard_link(&path, &new).is_err() {
            fs::copy(&path, &new).map_err(|e| DatasetError::io("copy", &path, e))?;
        }
    }
    Ok(())
}

/// What a folder holds, and whether each is a folder itself; nothing where there is none.
fn listed(folder: &Path) -> Result<Vec<(PathBuf, bool)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let io = |e| DatasetError::io("list", folder, e);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        all.push((entry.path(), entry.file_type().map_err(io)?.is_dir()));
    }
    Ok(all)
}

/// Waits until everything below a folder is on the disk. Files with several names were before.
///
/// # Errors
/// [`DatasetError::Io`].
pub(super) fn sync(folder: &Path) -> Result<()> {
    for (path, is_folder) in listed(folder)? {
        if is_folder {
            sync(&path)?;
        } else if fs::metadata(&path).is_ok_and(|m| m.nlink() == 1) {
            sync_one(&path)?;
        }
    }
    sync_one(folder)
}

/// The same for the folders that a folder lies in, up to `root`, which exists.
///
/// # Errors
/// [`DatasetError::Io`].
pub(super) fn sync_folders(folder: &Path, root: &Path) -> Result<()> {
    for above in folder.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        sync_one(above)?;
        if above == root {
            break;
        }
    }
    Ok(())
}

fn sync_one(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|e| DatasetError::io("write", path, e))
}
