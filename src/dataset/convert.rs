//! `foresight dataset convert`: a dataset in another format.

use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use clap::{Args, ValueEnum};
use foresight_datasets::convert::{to_droid, to_lerobot, ConvertOptions};
use foresight_datasets::video::{self, VideoCodec};
use foresight_datasets::{EpisodeStore, Joined, OnBadEpisode, SideBySide, View};
use foresight_runs::episodes::{of_runs, run_folders};

/// Arguments of `foresight dataset convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// A dataset's root folder or index, a list of episode folders, or a LeRobot dataset; or run
    /// folders, as `run` and `eval --out` leave them, whose failures are kept as failures.
    #[arg(required = true, num_args = 1..)]
    from: Vec<PathBuf>,
    /// New folder of the converted dataset.
    out: PathBuf,
    #[command(flatten)]
    how: ConversionArgs,
}

/// Arguments of `foresight dataset merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Datasets, of any formats: root folders or indices, lists of episode folders, LeRobot
    /// datasets, run folders.
    #[arg(required = true, num_args = 2..)]
    from: Vec<PathBuf>,
    /// New folder of the merged dataset.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    how: ConversionArgs,
}

/// How datasets are converted.
#[derive(Debug, Args)]
struct ConversionArgs {
    /// What it becomes.
    #[arg(long, value_enum)]
    to: Format,
    /// Camera to keep: left, right, wrist or a name, with :stereo-left or :stereo-right for half
    /// of a stereo video. May be given several times; all the first episode has when absent.
    #[arg(long = "view", value_name = "VIEW")]
    views: Vec<View>,
    /// One camera of several: their pictures side by side in every frame, the first leftmost, for
    /// models that see several cameras (`encoder.views`); e.g. left,right.
    #[arg(long, value_name = "VIEW", value_delimiter = ',')]
    #[arg(conflicts_with = "views")]
    side_by_side: Vec<View>,
    /// Frames a second of a LeRobot dataset; the first episode's rate when absent.
    #[arg(long, value_name = "HZ")]
    fps: Option<u32>,
    /// Size of the pictures, px, e.g. 320x180; as they are when absent.
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<(u32, u32)>,
    /// Compression: h264 (every player reads it), av1 (smaller and slow, what LeRobot records),
    /// mpeg4 (what DROID was recorded with).
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Leave out and list episodes that can't be converted, instead of stopping at the first.
    #[arg(long)]
    skip_unusable: bool,
    /// At most this many episodes.
    #[arg(long)]
    limit: Option<usize>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// LeRobot v3: Parquet files, videos of many episodes.
    Lerobot,
    /// DROID raw: a folder with HDF5 file and videos for each episode.
    Droid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Codec {
    H264,
    Av1,
    Mpeg4,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x');
    let sides = sides.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((w, h)) if (1..=8192).contains(&w) && (1..=8192).contains(&h) => Ok((w, h)),
        _ => Err(format!(
            "`{text}` is no size; write WIDTHxHEIGHT, e.g. 320x180"
        )),
    }
}

/// Runs `foresight dataset convert`.
///
/// # Errors
/// When the dataset can't be read or the converted one not be written; without
/// `--skip-unusable` also for the first episode that can't be converted.
pub(super) fn run(args: &ConvertArgs) -> Result<()> {
    let names: Vec<String> = args.from.iter().map(|p| p.display().to_string()).collect();
    let mut stores: Vec<_> = args.from.iter().map(|p| open(p)).collect::<Result<_>>()?;
    let store = match stores.len() {
        1 => stores.remove(0),
        _ => Box::new(Joined::new(stores)),
    };
    convert(store, &names.join(", "), &args.out, &args.how)
}

/// Runs `foresight dataset merge`.
///
/// # Errors
/// As [`run`].
pub(super) fn merge(args: &MergeArgs) -> Result<()> {
    let stores: Vec<_> = args.from.iter().map(|p| open(p)).collect::<Result<_>>()?;
    let names: Vec<String> = args.from.iter().map(|p| p.display().to_string()).collect();
    let joined = Box::new(Joined::new(stores));
    convert(joined, &names.join(", "), &args.out, &args.how)
}

/// A dataset, or the runs below a folder.
fn open(path: &Path) -> Result<Box<dyn EpisodeStore>> {
    let runs = run_folders(path);
    if !runs.is_empty() {
        return Ok(Box::new(of_runs(&runs)));
    }
    foresight_datasets::open(path).with_context(|| format!("opening {}", path.display()))
}

fn convert(
    mut store: Box<dyn EpisodeStore>,
    from: &str,
    out: &Path,
    args: &ConversionArgs,
) -> Result<()> {
    if !args.side_by_side.is_empty() {
        store = Box::new(SideBySide::new(store, args.side_by_side.clone())?);
    }
    let store = store.as_ref();
    if args.fps == Some(0) {
        bail!("--fps must be at least 1");
    }
    video::available()?;
    let options = ConvertOptions {
        views: args.views.clone(),
        fps: args.fps,
        size: args.size,
        codec: match args.codec {
            Codec::H264 => VideoCodec::H264,
            Codec::Av1 => VideoCodec::Av1,
            Codec::Mpeg4 => VideoCodec::Mpeg4,
        },
        on_bad_episode: match args.skip_unusable {
            true => OnBadEpisode::Skip,
            false => OnBadEpisode::Refuse,
        },
        limit: args.limit,
    };
    let bar = super::bar("converting episodes");
    let done = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let converted = match args.to {
        Format::Lerobot => to_lerobot(store, out, &options, done),
        Format::Droid => to_droid(store, out, &options, done),
    };
    bar.finish_and_clear();
    let converted = converted.with_context(|| {
        format!(
            "converting {from}{}",
            match args.skip_unusable {
                true => "",
                false => " (--skip-unusable leaves out what can't be converted, and lists it)",
            }
        )
    })?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "out": out,
                "episodes": converted.episodes,
                "frames": converted.frames,
                "skipped": converted.skipped,
                "notes": converted.notes,
            })
        );
        return Ok(());
    }
    for (path, reason) in &converted.skipped {
        println!("left out: {path}: {reason}");
    }
    for note in &converted.notes {
        println!("note: {note}");
    }
    println!(
        "{}: {} episodes, {} frames a camera{}",
        out.display(),
        converted.episodes,
        converted.frames,
        match converted.skipped.len() {
            0 => String::new(),
            n => format!(", {n} left out"),
        }
    );
    Ok(())
}
