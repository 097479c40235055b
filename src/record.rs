//! `foresight record`: scripted demonstrations in the simulator, as training data; or what an arm
//! does, whoever drives it.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::Split;
use foresight_demonstrations::{record_all, RecordingPlan};
use foresight_runs::utc;
use indicatif::{ProgressBar, ProgressStyle};

use crate::overrides::read;

pub(crate) mod live;
mod words;

/// Actions an episode, where nobody asks for another number.
pub(crate) const STEPS: usize = 16;

/// Arguments of `foresight record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The scenario file whose scenes are recorded; with --robot or --follow the one that says how
    /// to reach the arm, and its limits.
    pub scenario: PathBuf,
    /// Number of episodes; with --robot or --follow until `quit` when absent.
    #[arg(long, required_unless_present_any = ["robot", "follow"])]
    pub episodes: Option<u64>,
    /// Number of the first episode inside the split; episode i of split `train` always shows
    /// the same scene and the same demonstrator.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// What the episodes are for: `train` or `validation`. Evaluation scenes can't be recorded.
    #[arg(long, default_value = "train")]
    pub split: Split,
    /// The dataset's root folder; episodes already there are kept and not recorded again.
    #[arg(long)]
    pub out: PathBuf,
    /// Episodes recorded at the same time; all cores when absent.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Width and height of the frames, px.
    #[arg(long, default_value_t = 64)]
    pub image_px: u32,
    /// Actions an episode; it has one more state and frame.
    #[arg(long, default_value_t = STEPS)]
    pub steps: usize,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub live: live::LiveArgs,
}

/// Runs `foresight record`.
///
/// # Errors
/// When the scenario is wrong, seeds are not to be recorded, or the disk refuses.
pub(crate) fn run(args: RecordArgs) -> Result<()> {
    if args.live.robot || args.live.follow {
        return live::run(&args);
    }
    let episodes = args.episodes.unwrap_or(0);
    let seeds = args.split.recording_seeds(args.seed, episodes)?;
    let mut plan = RecordingPlan::of(read(&args.scenario)?.scenario);
    plan.split = args.split;
    plan.image_px = args.image_px;
    plan.steps = args.steps;
    plan.date = utc::today();

    let jobs = match args.jobs {
        Some(0) => bail!("--jobs must be at least 1"),
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    // Hidden by itself when standard error is not a terminal.
    let bar = ProgressBar::new(episodes).with_style(
        ProgressStyle::with_template(
            "recording {wide_bar} {pos}/{len} episodes, {per_sec}, {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let summary = record_all(&plan, seeds, &args.out, jobs, |_| bar.inc(1))
        .with_context(|| format!("recording into {}", args.out.display()))?;
    bar.finish_and_clear();

    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{summary}");
    }
    if summary.recorded == 0 && summary.already_there == 0 && episodes > 0 {
        bail!("no episode could be recorded");
    }
    Ok(())
}
