//! `foresight model foresees`: what a predictor foresees, measured on recorded episodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::{open, EpisodeStore, Subset};
use foresight_predictor::WorldModel;
use foresight_report::foreseen::html;
use foresight_scenarios::foreseen::{
    measure, Estimate, Foreseen, ForeseenOptions, GaugeOptions, Kind,
};
use indicatif::{ProgressBar, ProgressStyle};

/// Without `--validation` every episode of such a share of the scenes is measured.
const MEASURED_SHARE: u64 = 5;

#[derive(Debug, Args)]
pub(crate) struct ForeseesArgs {
    /// Model folder.
    model: PathBuf,
    /// Recorded episodes: a root folder, an index, a list or a LeRobot dataset. Gauges are fitted
    /// on them.
    #[arg(long)]
    data: PathBuf,
    /// Recorded episodes that are measured. Without it every fifth scene of `--data`, on which gauges
    /// are then not fitted.
    #[arg(long)]
    validation: Option<PathBuf>,
    /// Episodes of `--data` that gauges are fitted on, at most, branches included.
    #[arg(long, default_value_t = 2000)]
    episodes: usize,
    /// Steps ahead, at most.
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// Optimiser steps of a gauge.
    #[arg(long, default_value_t = GaugeOptions::default().steps)]
    gauge_steps: usize,
    /// Decides the gauges' weights and draws, and what is resampled for the intervals.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Writes a page with everything, pictures too.
    #[arg(long, value_name = "PAGE.html")]
    out: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight model foresees`.
///
/// # Errors
/// When model or recordings can't be used, or there is nothing to measure.
pub(crate) fn run(args: &ForeseesArgs) -> Result<()> {
    if args.steps == 0 || args.gauge_steps == 0 || args.episodes == 0 {
        bail!("--steps, --gauge-steps and --episodes must be at least 1");
    }
    let model = WorldModel::load(&args.model)
        .with_context(|| format!("loading {}", args.model.display()))?;
    let read = |path: &Path| -> Result<Arc<dyn EpisodeStore>> {
        Ok(Arc::from(
            open(path).with_context(|| format!("loading {}", path.display()))?,
        ))
    };
    let data = read(&args.data)?;
    let (fitting, measured) = match &args.validation {
        Some(path) => {
            let measured = read(path)?;
            let mut fitting = all(&data);
            let seeds = measured.episodes().iter().filter_map(|e| e.seed);
            let seeds: std::collections::HashSet<u64> = seeds.collect();
            fitting.retain(|entry| entry.seed.is_none_or(|seed| !seeds.contains(&seed)));
            (fitting, all(&measured))
        }
        None => {
            let episodes = data.episodes();
            // Recorded scenes have a seed; each episode from elsewhere is a scene of its own.
            let scene = |at: &usize| episodes[*at].seed.unwrap_or(*at as u64);
            let (measured, fitting): (Vec<usize>, Vec<usize>) =
                (0..episodes.len()).partition(|at| scene(at).is_multiple_of(MEASURED_SHARE));
            (
                Subset::new(&data, fitting, false),
                Subset::new(&data, measured, false),
            )
        }
    };
    let fitting: Arc<dyn EpisodeStore> = Arc::new(fitting);
    let (known, count) = (fitting.episodes().len(), args.episodes);
    let count = known.min(count);
    // Evenly spread: in path order failures come before successes.
    let spread = (0..count).map(|i| i * known / count).collect();
    let fitting = Subset::new(&fitting, spread, false);
    if count == 0 || measured.episodes().is_empty() {
        bail!(
            "{} has {count} episodes to fit gauges on and {} to measure; record more, or name other \
             episodes with --validation",
            args.data.display(),
            measured.episodes().len()
        );
    }
    let options = ForeseenOptions {
        steps_ahead: args.steps,
        gauge: GaugeOptions {
            steps: args.gauge_steps,
            seed: args.seed,
        },
        ..ForeseenOptions::default()
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} episodes encoded");
    let bar = ProgressBar::new((count + measured.episodes().len()) as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let stage = |name| bar.set_message(name);
    let foreseen = measure(&model, &fitting, &measured, options, &stage, &|| bar.inc(1));
    bar.finish_and_clear();
    let foreseen = foreseen?;
    if let Some(out) = &args.out {
        let data = args.validation.as_ref().unwrap_or(&args.data);
        let page = html(
            &args.model.display().to_string(),
            &data.display().to_string(),
            &foreseen,
        );
        std::fs::write(out, page).with_context(|| format!("writing {}", out.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&foreseen)?);
    } else {
        print!("{}", text(&foreseen));
    }
    Ok(())
}

fn all(store: &Arc<dyn EpisodeStore>) -> Subset {
    Subset::new(store, (0..store.episodes().len()).collect(), false)
}

fn text(foreseen: &Foreseen) -> String {
    let number = |e: Option<Estimate>| {
        e.map_or("–".to_owned(), |e| {
            format!("{:.2} [{:.2}, {:.2}]", e.value, e.ci95[0], e.ci95[1])
        })
    };
    let f = foreseen;
    let mut text = format!(
        "{} episodes ({} branches) of {} scenes; gauges fitted on {}; [95% intervals]\n\
         read from true latents: closedness off by {} (guessing {:.2}), hand by {} cm\n",
        f.episodes,
        f.branches,
        f.scenes,
        f.fitted_episodes,
        number(f.robot_read.closedness),
        f.robot_read.closedness_guess,
        number(f.robot_read.hand_cm),
    );
    for r in &f.robot {
        text += &format!(
            "{} ahead: L1 over no change {}, closedness off by {}, hand by {} cm ({} times)\n",
            r.steps_ahead,
            number(r.l1_over_persistence),
            number(r.closedness),
            number(r.hand_cm),
            r.count
        );
    }
    let Some(object) = &f.object else {
        return text + "no recorded truth about objects: nothing else to measure\n";
    };
    text += &format!(
        "object read from true latents: off by {} cm\n",
        number(object.read_cm)
    );
    for d in &object.displacements {
        text += &format!(
            "{:<7} {} ahead, {:>5} times, {:.1} cm: share {} of {}, R² {} of {}\n",
            d.kind.name(),
            d.steps_ahead,
            d.count,
            d.mean_cm,
            number(d.foreseen.share),
            number(d.seen.share),
            number(d.foreseen.r2),
            number(d.seen.r2),
        );
    }
    for still in &object.false_motion {
        text += &format!(
            "{:<7} {} ahead, {:>5} times: moves by {} cm (gauge's noise {})\n",
            Kind::Nothing.name(),
            still.steps_ahead,
            still.count,
            number(still.foreseen_cm),
            number(still.seen_cm),
        );
    }
    for r in &object.rankings {
        text += &format!(
            "ranking {:.0} actions {} ahead, {} goals of {} states: {} by energy; {} with the true \
             latents, {} by the object read, {} by arm poses alone\n",
            r.actions,
            r.steps_ahead,
            r.goals,
            r.states,
            number(r.energy),
            number(r.true_latents),
            number(r.read),
            number(r.arm_poses),
        );
    }
    text
}
