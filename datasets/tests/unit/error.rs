//! Unit tests of `src/error.rs`.

use crate::mp4_header::VideoHeader;
use crate::{Metadata, Trajectory};

#[test]
fn git_lfs_pointers_are_recognised_in_films_trajectories_and_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        let path = folder.path().join(name);
        let text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        std::fs::write(&path, text).unwrap();
        path
    };
    let errors = [
        VideoHeader::read(&path("film.mp4")).unwrap_err(),
        Trajectory::read(&path("trajectory.h5")).unwrap_err(),
        Metadata::read(&path("metadata.json")).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("git lfs pull"), "{error}");
    }
}
