//! Thousands of damaged versions of good files of every kind: each is read or refused with an
//! error that names the file; none panics, and none takes memory its size doesn't justify.
//!
//! The same parsers are fuzzed without end by the targets in `fuzz/`.

use crate::mutate;
use std::fs;
use std::path::Path;

use crate::support::episode;
use foresight_datasets::convert::{to_lerobot, ConvertOptions};
use foresight_datasets::inspect::Depth;
use foresight_datasets::lerobot::columns::Columns;
use foresight_datasets::lerobot::store::LeRobotStore;
use foresight_datasets::mp4_header::VideoHeader;
use foresight_datasets::{
    extrinsics, layout, trajectory, DatasetError, FrameStack, Index, Metadata, Recorder, Split,
    Trajectory,
};

const SEED: u64 = 20_260_101;

/// Reads damaged versions of a file in its place; how many were refused.
fn damage(path: &Path, read: impl Fn(&Path) -> Result<(), DatasetError>) -> u64 {
    let whole = fs::read(path).expect("a good file");
    read(path).expect("the good file is readable");
    let name = path.file_name().expect("a name").to_string_lossy();
    let mut refused = 0;
    let tried = mutate::each(&whole, SEED, |number, bytes| {
        fs::write(path, bytes).expect("written");
        if let Err(error) = read(path) {
            refused += 1;
            let words = error.to_string();
            assert!(
                words.contains(&*name) || words.contains("episode") || words.contains("seed"),
                "version {number}: {words}"
            );
        }
    });
    fs::write(path, &whole).expect("restored");
    assert!(tried > 100, "only {tried} versions");
    assert!(refused > 0, "no damage was noticed in {tried} versions");
    refused
}

fn recorded(root: &Path) -> std::path::PathBuf {
    let recorder = Recorder::new(root, "SIM").expect("a recorder");
    let one = episode(1_000_000_001, Split::Train, 6);
    recorder.write(&one).expect("written")
}

#[test]
fn trajectories() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folder = recorded(root.path());
    damage(&folder.join(layout::TRAJECTORY), |path| {
        let read = Trajectory::read(path)?;
        trajectory::read_commanded(path, read.len())?;
        extrinsics::read(path, "tabletop", None, read.len()).map(|_| ())
    });
    // As DROID has it, written by h5py: chunked and with extrinsics.
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/11_droid");
    let episode = layout::episode_folders(&fixture).expect("listed").remove(0);
    let path = root.path().join(layout::TRAJECTORY);
    fs::copy(episode.join(layout::TRAJECTORY), &path).expect("copied");
    damage(&path, |path| {
        let read = Trajectory::read(path)?;
        extrinsics::read(path, "22008760", None, read.len()).map(|_| ())
    });
}

/// What is said of DROID's trajectory when every `from` in it has become `to`.
fn claimed(from: &[u8], to: &[u8]) -> String {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/11_droid");
    let episode = layout::episode_folders(&fixture).expect("listed").remove(0);
    let mut bytes = fs::read(episode.join(layout::TRAJECTORY)).expect("bytes");
    let mut changed = 0;
    for at in 0..bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            bytes[at..at + to.len()].copy_from_slice(to);
            changed += 1;
        }
    }
    assert!(changed > 1, "{changed} datasets changed");
    let root = tempfile::tempdir().expect("temporary folder");
    let path = root.path().join(layout::TRAJECTORY);
    fs::write(&path, bytes).expect("written");
    Trajectory::read(&path).expect_err("refused").to_string()
}

#[test]
fn a_trajectory_that_claims_gigabytes_is_refused_without_them() {
    // 60 rows that may become any number, as resizable datasets say it.
    let rows = [60_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
    let error = claimed(&rows, &(1_u64 << 31).to_le_bytes());
    for part in ["trajectory.h5", "2147483648", "damaged"] {
        assert!(error.contains(part), "{error}");
    }
    // Chunks of one row of six numbers of eight bytes.
    let chunk = [1_u32, 6, 8].map(u32::to_le_bytes).concat();
    let error = claimed(&chunk, &(1_u32 << 30).to_le_bytes());
    for part in ["trajectory.h5", "chunks of [1073741824, 6]", "damaged"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn frames_and_metadata() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folder = recorded(root.path());
    let stored = layout::frame_files(&folder).expect("listed").remove(0).1;
    damage(&stored, |path| {
        FrameStack::read_some(path, &[5])?;
        FrameStack::read(path).map(|_| ())
    });
    damage(&layout::metadata_file(&folder).expect("one"), |path| {
        Metadata::read(path).map(|_| ())
    });
}

#[test]
fn indices_and_lists() {
    let root = tempfile::tempdir().expect("temporary folder");
    let folder = recorded(root.path());
    let index = root.path().join("index.json");
    let built = Index::build(root.path(), Depth::Quick, |_, _| {}).expect("built");
    built.write(&index).expect("written");
    damage(&index, |path| foresight_datasets::open(path).map(|_| ()));
    let list = root.path().join("list.csv");
    fs::write(&list, format!("{} 0\n\"{0}\" 1\n", folder.display())).expect("written");
    damage(&list, |path| foresight_datasets::open(path).map(|_| ()));
}

#[test]
fn video_headers() {
    let root = tempfile::tempdir().expect("temporary folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/11_droid");
    let episode = layout::episode_folders(&fixture).expect("listed").remove(0);
    let film = layout::video_files(&episode).expect("listed").remove(0).1;
    let path = root.path().join("film.mp4");
    // Most of a film is pictures; damage should meet its header.
    let mut bytes = fs::read(film).expect("bytes");
    if let Some(at) = bytes.windows(4).position(|w| w == b"mdat") {
        let length = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("four")) as usize;
        bytes.drain(at + 4..at - 4 + length);
        bytes[at - 4..at].copy_from_slice(&8_u32.to_be_bytes());
    }
    // Without the frames' sizes, nobody misses them.
    if let Some(at) = bytes.windows(4).position(|w| w == b"stsz") {
        bytes[at..at + 4].copy_from_slice(b"free");
    }
    fs::write(&path, bytes).expect("written");
    damage(&path, |path| VideoHeader::read(path).map(|_| ()));
}

#[test]
fn lerobot_files() {
    if !crate::require::ffmpeg() {
        return;
    }
    let root = tempfile::tempdir().expect("temporary folder");
    recorded(&root.path().join("ours"));
    let ours = foresight_datasets::open(&root.path().join("ours")).expect("opened");
    let out = root.path().join("lerobot");
    to_lerobot(ours.as_ref(), &out, &ConvertOptions::default(), |_, _| {}).expect("converted");

    let quiet = std::panic::take_hook();
    // The Parquet library panics on some damage, which is caught; its words would hide others.
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(|| {
        damage(&out.join("data/chunk-000/file-000.parquet"), |path| {
            let columns = Columns::open(path)?;
            let rows = 0..columns.rows().min(6);
            columns.numbers("observation.state.cartesian_position", 6, rows.clone())?;
            columns.numbers("timestamp", 1, rows).map(|_| ())
        });
        let episodes = out.join("meta/episodes/chunk-000/file-000.parquet");
        damage(&episodes, |_| LeRobotStore::open(&out).map(|_| ()));
        damage(&out.join("meta/tasks.parquet"), |path| {
            let columns = Columns::open(path)?;
            columns.texts("task", 0..columns.rows().min(6)).map(|_| ())
        });
        damage(&out.join("meta/info.json"), |_| {
            LeRobotStore::open(&out).map(|_| ())
        });
    });
    std::panic::set_hook(quiet);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
