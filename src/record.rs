//! `foresight record`: scripted demonstrations in the simulator, as training data.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::Split;
use foresight_scenarios::demonstrate::{self, RecordingPlan};
use indicatif::{ProgressBar, ProgressStyle};

/// Arguments of `foresight record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The scenario file whose scenes are recorded.
    scenario: PathBuf,
    /// Number of episodes.
    #[arg(long)]
    episodes: u64,
    /// Number of the first episode inside the split; episode i of split `train` always shows
    /// the same scene and the same demonstrator.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What the episodes are for: `train` or `validation`. Evaluation scenes can't be recorded.
    #[arg(long, default_value = "train")]
    split: Split,
    /// The dataset's root folder; episodes already there are kept and not recorded again.
    #[arg(long)]
    out: PathBuf,
    /// Episodes recorded at the same time; all cores when absent.
    #[arg(long)]
    jobs: Option<usize>,
    /// Width and height of the frames, px.
    #[arg(long, default_value_t = 64)]
    image_px: u32,
    /// Actions an episode; it has one more state and frame.
    #[arg(long, default_value_t = 16)]
    steps: usize,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight record`.
///
/// # Errors
/// When the scenario is wrong, seeds are not to be recorded, or the disk refuses.
pub fn run(args: RecordArgs) -> Result<()> {
    let seeds = args.split.recording_seeds(args.seed, args.episodes)?;
    let mut plan = RecordingPlan::from_scenario(&args.scenario)?;
    plan.split = args.split;
    plan.image_px = args.image_px;
    plan.steps = args.steps;
    plan.date = today();

    let jobs = match args.jobs {
        Some(0) => bail!("--jobs must be at least 1"),
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    // Hidden by itself when standard error is not a terminal.
    let bar = ProgressBar::new(args.episodes).with_style(
        ProgressStyle::with_template(
            "recording {wide_bar} {pos}/{len} episodes, {per_sec}, {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let summary = demonstrate::record_all(&plan, seeds, &args.out, jobs, |_| bar.inc(1))
        .with_context(|| format!("recording into {}", args.out.display()))?;
    bar.finish_and_clear();

    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{summary}");
    }
    if summary.recorded == 0 && summary.already_there == 0 && args.episodes > 0 {
        bail!("no episode could be recorded");
    }
    Ok(())
}

/// Today's date, UTC, `YYYY-MM-DD` (civil-from-days, proleptic Gregorian calendar).
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let days = (seconds / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
