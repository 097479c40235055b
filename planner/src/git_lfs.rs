//! Git LFS's pointers: what stands in a repository where a large file belongs, until it is pulled.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What every pointer begins with.
const START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What is wrong with a pointer.
pub const PROBLEM: &str =
    "it is a Git-LFS pointer, a few lines of text in place of the file itself";
/// What to do about it.
pub const REMEDY: &str =
    "run `git lfs install` and `git lfs pull` in its repository, or download the file itself";

/// Both, of a pointer that is read on its own.
pub fn fault() -> String {
    format!("{PROBLEM}; {REMEDY}")
}

/// Whether `path` is a pointer; not when it can't be read.
pub fn is_pointer(path: &Path) -> bool {
    let mut start = [0; START.len()];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start == START)
}
