//! The page over all episodes of an evaluation, with links to each one's report.

use std::path::{Path, PathBuf};

use foresight_runs::analysis::AnalysisDepth;
use foresight_scenarios::episode::Unwatched;
use foresight_scenarios::evaluate::{evaluate_with, EvaluatedEpisode};
use foresight_scenarios::{Evaluation, EvaluationOptions, LoadedScenario, ModelSource, RunError};

use crate::page::{figure, jpeg_url, Page};
use crate::run::play_into;
use crate::summary::failure_words;
use crate::svg::escape;

/// The page's file name in an evaluation's folder.
pub const FILE_NAME: &str = "index.html";
/// Pictures in a strip.
const STRIP: usize = 8;
/// Strips shown of each kind of failure.
const EXAMPLES: usize = 3;

/// As [`evaluate`](foresight_scenarios::evaluate()), with a run folder of every episode in `out`
/// and a page over all of them.
///
/// # Errors
/// As there, or [`RunError::Write`].
pub fn evaluate_into(
    out: &Path,
    loaded: &LoadedScenario,
    source: &ModelSource,
    options: &EvaluationOptions,
    done: impl Fn(&EvaluatedEpisode) + Sync,
) -> Result<Evaluation, RunError> {
    let play = |instance: &foresight_scenarios::EpisodeSpec| {
        let path = out.join(episode_folder(instance.seed));
        let brief = AnalysisDepth::Brief;
        let virtual_time = instance.scene.is_some();
        play_into(path, instance, source, virtual_time, brief, &mut Unwatched)
    };
    let evaluation = evaluate_with(loaded, source, options, play, done)?;
    write(out, &evaluation)?;
    Ok(evaluation)
}

/// Name of the run folder of an episode.
fn episode_folder(seed: u64) -> String {
    format!("seed-{seed:06}")
}

/// What was seen before an episode's step, as a file.
fn view(folder: &Path, seed: u64, step: usize) -> PathBuf {
    folder
        .join(episode_folder(seed))
        .join(format!("views/{step:04}.jpg"))
}

/// Writes `evaluation.json` and `index.html` beside the episodes' folders.
///
/// # Errors
/// [`RunError::Write`] when the disk refuses.
fn write(folder: &Path, evaluation: &Evaluation) -> Result<(), RunError> {
    let json = folder.join("evaluation.json");
    let text = serde_json::to_string_pretty(evaluation).map_err(|e| RunError::write(&json, e))?;
    std::fs::write(&json, text + "\n").map_err(|e| RunError::write(&json, e))?;
    let path = folder.join(FILE_NAME);
    let html = html(folder, evaluation);
    std::fs::write(&path, html).map_err(|e| RunError::write(&path, e))
}

/// The page as HTML.
fn html(folder: &Path, evaluation: &Evaluation) -> String {
    let e = evaluation;
    let mut page = Page::new(&format!("{}: {} episodes", e.scenario, e.episodes));
    let first = e.runs.iter().map(|run| view(folder, run.seed, 0));
    if let Some(size) = first.flat_map(image::image_dimensions).next() {
        page.pictures_of(size);
    }
    page.push(&header(e));
    page.section(
        "rate",
        "How often it succeeds",
        "The bar is the rate, the line Wilson's 95% interval: where the true rate lies unless \
         these episodes were a one-in-twenty accident.",
        &figure("rate", &rate(e), &caption(e)),
    );
    page.section(
        "failures",
        "How it fails",
        "Up to three episodes of each kind, from start to end.",
        &failures(folder, e),
    );
    let achieved: Vec<&EvaluatedEpisode> = e.runs.iter().filter(|r| achieved(r)).collect();
    page.section(
        "successes",
        "What success looks like",
        "",
        &strips(folder, achieved.iter().take(2).copied()),
    );
    page.section("episodes", "Every episode", "", &table(folder, e));
    page.html()
}

fn achieved(run: &EvaluatedEpisode) -> bool {
    run.verdict.success == Some(true)
}

fn kind_of(run: &EvaluatedEpisode) -> String {
    run.verdict.failure.map(failure_words).unwrap_or_default()
}

fn header(e: &Evaluation) -> String {
    let tiles = [
        ("Achieved", format!("{} of {}", e.successes, e.episodes)),
        ("Rate", format!("{:.1}%", 100.0 * e.rate)),
        (
            "95% interval",
            format!("{:.0}–{:.0}%", 100.0 * e.ci95[0], 100.0 * e.ci95[1]),
        ),
        (
            "Planning an action",
            format!("{:.2} s", e.seconds_per_action),
        ),
        ("Targets refused", e.refused_targets.to_string()),
    ];
    let tiles: String = tiles
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>"))
        .collect();
    let last = e.seed + e.episodes.saturating_sub(1);
    format!(
        "<header><span class=verdict>Evaluation</span><h1>{}</h1>\
         <p class=meta>{} · seeds {} to {last} · {} · virtual time · foresight {}</p>\
         <dl class=tiles>{tiles}</dl></header>",
        escape(&e.scenario),
        escape(&format!("scenes: {}", e.variation.name().replace('_', " "))),
        e.seed,
        escape(&e.planned_by),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The rate as a bar with its interval.
fn rate(e: &Evaluation) -> String {
    // Narrow, so that the numbers below it can be read on a phone, where it is shrunk.
    let (left, width) = (20.0, 360.0);
    let x = |share: f64| left + width * share;
    let mut svg = String::from("<svg viewBox=\"0 0 400 58\" role=img aria-label=\"success rate\">");
    svg += &format!(
        "<rect class=\"area table\" x={left:.1} y=8 width={width} height=20 rx=4 />\
         <rect class=\"area c full\" x={left:.1} y=8 width={:.1} height=20 rx=4 />\
         <path class=\"line\" style=\"stroke:var(--ink)\" d=\"M{:.1} 18H{:.1}M{:.1} 11v14M{:.1} 11v14\"/>",
        width * e.rate,
        x(e.ci95[0]),
        x(e.ci95[1]),
        x(e.ci95[0]),
        x(e.ci95[1]),
    );
    for percent in [0, 25, 50, 75, 100] {
        svg += &format!(
            "<text class=m x={:.1} y=46>{percent}%</text>",
            x(f64::from(percent) / 100.0)
        );
    }
    svg + "</svg>"
}

fn caption(e: &Evaluation) -> String {
    format!(
        "{} of {} episodes achieved, judged from the simulator's true state",
        e.successes, e.episodes
    )
}

fn failures(folder: &Path, e: &Evaluation) -> String {
    let mut html = String::new();
    let failed = || e.runs.iter().filter(|r| !achieved(r));
    let mut kinds: Vec<String> = failed().map(kind_of).collect();
    kinds.sort();
    kinds.dedup();
    for kind in kinds {
        let of_kind: Vec<&EvaluatedEpisode> = failed().filter(|r| kind_of(r) == kind).collect();
        html += &format!(
            "<h3>{} × {}</h3>{}",
            of_kind.len(),
            escape(&kind),
            strips(folder, of_kind.into_iter().take(EXAMPLES))
        );
    }
    if html.is_empty() {
        html = "<p class=calm>No episode failed.</p>".into();
    }
    html
}

fn strips<'a>(folder: &Path, runs: impl Iterator<Item = &'a EvaluatedEpisode>) -> String {
    let mut html = String::new();
    for run in runs {
        let name = episode_folder(run.seed);
        let count = run.steps as usize + 1;
        let shown = STRIP.min(count);
        let mut pictures = String::new();
        for k in 0..shown {
            let at = if shown < 2 {
                0
            } else {
                k * (count - 1) / (shown - 1)
            };
            if let Ok(bytes) = std::fs::read(view(folder, run.seed, at)) {
                pictures += &format!(
                    "<img src=\"{}\" alt=\"seed {} before step {}\">",
                    jpeg_url(&bytes),
                    run.seed,
                    at + 1
                );
            }
        }
        if pictures.is_empty() {
            continue;
        }
        let caption = format!(
            "<a href=\"{name}/report.html\">seed {}</a>: {}",
            run.seed,
            escape(&run.verdict.reason)
        );
        html += &figure("", &format!("<div class=strip>{pictures}</div>"), &caption);
    }
    if html.is_empty() {
        html
    } else {
        format!("<div class=strips>{html}</div>")
    }
}

fn table(folder: &Path, e: &Evaluation) -> String {
    let mut rows = String::new();
    for run in &e.runs {
        let name = episode_folder(run.seed);
        let link = if folder.join(&name).join("report.html").exists() {
            format!("<a href=\"{name}/report.html\">{}</a>", run.seed)
        } else {
            run.seed.to_string()
        };
        let verdict = if achieved(run) {
            "<span class=yes-text>achieved</span>".to_owned()
        } else {
            format!("<span class=no-text>{}</span>", escape(&kind_of(run)))
        };
        rows += &format!(
            "<tr><td>{link}</td><td>{verdict}</td><td>{}</td><td>{}</td><td>{:.2} s</td></tr>",
            escape(&run.verdict.reason),
            run.steps,
            run.seconds_per_action
        );
    }
    format!(
        "<div class=scroll><table><thead><tr><th>seed<th>verdict<th>why<th>steps<th>planning</tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}
