//! `foresight classify fit`.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::Args;
use foresight_datasets::Film;
use foresight_report::classification::{Classification, Mistake};
use foresight_training::classify::{confusion, fit, ClipTokens, FitOptions, Fitted, Verdict};
use foresight_training::clip_features::ClipFeatures;
use foresight_training::film_list::FilmList;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::folder::{encoder_sha256, ProbeFolder};
use crate::embed::{ClipArgs, EncoderArgs};

/// Mistakes a page shows.
const MISTAKES: usize = 24;

#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// A folder with a folder of films per class, or a CSV table with columns `path`, `class` and maybe
    /// `group`: films of one group, of one scene for example, are never parted. Films are videos,
    /// images, folders of images or of recorded episodes.
    films: PathBuf,
    /// Films to judge on, given as the others; a part of those when absent.
    #[arg(long, value_name = "FOLDER|CSV")]
    held_out: Option<PathBuf>,
    #[command(flatten)]
    encoder: EncoderArgs,
    #[command(flatten)]
    clips: ClipArgs,
    /// Rate of a clip's frames, Hz; when absent, one clip spans a whole film.
    #[arg(long, value_name = "HZ")]
    fps: Option<f64>,
    /// Folder for the probe, the report and the features, which are kept: a second fit needs no encoder.
    #[arg(long)]
    out: PathBuf,
    /// Share of the films that are held out where --held-out names none.
    #[arg(long, default_value_t = 0.2)]
    held_out_share: f64,
    /// Share of the remaining films that decide when to stop.
    #[arg(long, default_value_t = 0.2)]
    stopping_share: f64,
    /// Times every clip is seen at most.
    #[arg(long, default_value_t = 60)]
    epochs: usize,
    /// Epochs without a better loss after which a probe is done.
    #[arg(long, default_value_t = 10)]
    patience: usize,
    /// Clips a step.
    #[arg(long, default_value_t = 16)]
    batch_size: usize,
    /// Learning rates that are tried; early stopping picks one.
    #[arg(long, value_delimiter = ',', default_values_t = [3e-3, 1e-3, 3e-4])]
    rates: Vec<f64>,
    /// AdamW's decay of weights.
    #[arg(long, default_value_t = 0.1)]
    weight_decay: f64,
    /// Attention heads of the probe; the encoder's number when absent.
    #[arg(long)]
    heads: Option<usize>,
    /// Decides the split, the initial weights and the order of clips.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Films for fitting, for early stopping and for judging.
fn split(args: &FitArgs) -> Result<[FilmList; 3]> {
    for (name, share) in [
        ("held-out", args.held_out_share),
        ("stopping", args.stopping_share),
    ] {
        if !(share > 0.0 && share < 1.0) {
            bail!("--{name}-share must lie between 0 and 1, not be {share}");
        }
    }
    let all = FilmList::read(&args.films)?;
    let named = || args.films.display().to_string();
    let (rest, held_out) = match &args.held_out {
        Some(path) => {
            let held_out = FilmList::read(path)?.numbered_as(&all.classes)?;
            if let Some(film) = FilmList::twice(&[&all, &held_out]) {
                bail!(
                    "{} would be learned from and judged on; take it out of one of the two lists",
                    film.display()
                );
            }
            (all, held_out)
        }
        None => {
            let [rest, out] = all
                .parted(args.held_out_share, args.seed)
                .with_context(named)?;
            (rest, out)
        }
    };
    // Another seed, or the same ranks would be parted off again.
    let seed = args.seed.wrapping_add(1);
    let [fitting, stopping] = rest.parted(args.stopping_share, seed).with_context(named)?;
    Ok([fitting, stopping, held_out])
}

pub(super) fn run(args: &FitArgs) -> Result<()> {
    let [fitting, stopping, held_out] = split(args)?;
    let sampling = args.clips.sampling(args.fps);
    let encoder_sha256 = encoder_sha256(&args.encoder.model)?;
    let features = ClipFeatures::load(&args.encoder.model, args.encoder.options(), sampling)?;
    let options = FitOptions {
        epochs: args.epochs,
        batch_size: args.batch_size,
        rates: args.rates.clone(),
        weight_decay: args.weight_decay,
        patience: args.patience,
        heads: args.heads.unwrap_or(features.encoder().config().num_heads),
        seed: args.seed,
    };
    let tokens = ClipTokens::open(features, &encoder_sha256, &args.out.join("features"))?;
    let style = ProgressStyle::with_template("encoding {wide_bar} {pos}/{len} films, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let lists = [&fitting, &stopping, &held_out];
    let films = lists.iter().map(|list| list.films.len()).sum::<usize>();
    let bar = ProgressBar::new(films as u64).with_style(style);
    for list in lists {
        tokens.prepare(&list.films, || bar.inc(1))?;
    }
    bar.finish_and_clear();
    let fitted = fit(&tokens, [&fitting, &stopping], &options, |epoch| {
        eprintln!(
            "rate {:.0e}, epoch {}: loss {:.4}, of films for early stopping {:.4}, {:.1} % of them right",
            epoch.rate,
            epoch.epoch,
            epoch.training_loss,
            epoch.stopping_loss,
            100.0 * epoch.stopping_accuracy
        );
    })?;
    let verdicts = tokens.verdicts(&fitted.config, &fitted.parameters, &held_out.films)?;
    let judged = judged(args, [&fitting, &stopping], &fitted, &verdicts);
    ProbeFolder {
        classes: fitting.classes.clone(),
        probe: fitted.config,
        model: args.encoder.model.clone(),
        encoder_sha256,
        level: args.encoder.level,
        apart: args.encoder.apart,
        clip_frames: sampling.frames,
        fps: sampling.rate_hz,
        stride: sampling.stride,
        fit: options,
    }
    .write(&args.out, &fitted.parameters)?;
    let write = |name: &str, text: String| {
        let path = args.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    write("report.html", judged.html(&mistakes(&judged, &verdicts)))?;
    let said = json!({
        "accuracy": judged.accuracy(), "majority": judged.majority(),
        "mean_of_classes": judged.balanced(), "probe": args.out, "result": judged,
    });
    write("result.json", serde_json::to_string_pretty(&said)?)?;
    if args.json {
        println!("{said}");
    } else {
        print!("{}", text(&judged));
        println!("probe and report: {}", args.out.display());
    }
    Ok(())
}

fn judged(
    args: &FitArgs,
    [fitting, stopping]: [&FilmList; 2],
    fitted: &Fitted,
    verdicts: &[Verdict],
) -> Classification {
    let frames = args.clips.clip_length;
    let epochs = fitted.epochs.iter();
    Classification {
        model: args.encoder.model.display().to_string(),
        clips: match args.fps {
            Some(fps) => format!("clips of {frames} frames at {fps} Hz"),
            None => format!("a clip of {frames} frames over each whole film"),
        } + if args.encoder.apart {
            ", each encoded by itself"
        } else {
            ""
        },
        classes: fitting.classes.clone(),
        fitted: fitting.counts(),
        stopping: stopping.films.len(),
        confusion: confusion(verdicts, fitting.classes.len()),
        best: (fitted.best.rate, fitted.best.epoch),
        epochs: epochs
            .map(|e| {
                let accuracy = e.stopping_accuracy;
                [
                    e.rate,
                    e.epoch as f64,
                    e.training_loss,
                    e.stopping_loss,
                    accuracy,
                ]
            })
            .collect(),
        seed: args.seed,
    }
}

/// The most certain mistakes, those whose frame can be read again.
fn mistakes(judged: &Classification, verdicts: &[Verdict]) -> Vec<Mistake> {
    let of = |v: &Verdict| v.probabilities[v.predicted()];
    let mut wrong: Vec<&Verdict> = verdicts
        .iter()
        .filter(|v| v.class != Some(v.predicted()))
        .collect();
    wrong.sort_by(|a, b| of(b).total_cmp(&of(a)));
    let shown = wrong.into_iter().take(MISTAKES).filter_map(|verdict| {
        let film = Film::open(&verdict.path).ok()?;
        let picture = film.read(&[film.frames() / 2]).ok()?.pop()?;
        Some(Mistake {
            picture,
            path: verdict.path.display().to_string(),
            truth: judged.classes[verdict.class?].clone(),
            named: judged.classes[verdict.predicted()].clone(),
            probability: of(verdict),
        })
    });
    shown.collect()
}

fn text(judged: &Classification) -> String {
    let accuracy = judged.accuracy();
    let mut text = format!(
        "{} of {} held-out films named rightly: {}\nalways the commonest class: {}; mean of the classes: {:.1} %\n",
        accuracy.right,
        accuracy.count,
        accuracy.text(),
        judged.majority().text(),
        100.0 * judged.balanced()
    );
    let longest = judged.classes.iter().map(|c| c.chars().count()).max();
    let longest = longest.unwrap_or(0);
    for (class, name) in judged.classes.iter().enumerate() {
        let counts = judged.confusion[class].iter();
        let counts: String = counts.map(|count| format!(" {count:>5}")).collect();
        text += &format!(
            "  {name:<longest$}{counts}   {}\n",
            judged.recall(class).text()
        );
    }
    text
}
