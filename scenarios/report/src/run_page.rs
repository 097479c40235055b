//! `report.html`: a run to look at. Self-contained: pictures and figures are
//! inside, nothing is fetched, and there is no script.

use std::path::Path;

use crate::page::Page;
use crate::svg::escape;
use crate::{course, decision, filmstrip, said, summary};
use foresight_runs::read::RunData;
use foresight_scenarios::RunError;

/// The report's file name inside a run folder.
pub const FILE_NAME: &str = "report.html";

/// Writes `report.html` into a run folder, from what lies in it.
///
/// # Errors
/// [`RunError::Input`] when it is no run folder, [`RunError::Write`] when the disk refuses.
pub fn write(run: &Path) -> Result<(), RunError> {
    let data = RunData::read(run).map_err(RunError::Input)?;
    let path = run.join(FILE_NAME);
    std::fs::write(&path, html(&data, run)).map_err(|e| RunError::write(&path, e))
}

/// The report as HTML.
pub fn html(data: &RunData, run: &Path) -> String {
    let title = match &data.record {
        Some(record) => format!("{}, seed {}", record.result.scenario, record.result.seed),
        None => "a run without a verdict".into(),
    };
    let mut page = Page::new(&title);
    for (i, goal) in data.goals.iter().enumerate() {
        page.shared_picture(&format!("goal{i}"), goal);
    }
    if let Some(frame) = data.frames.iter().flatten().next() {
        page.pictures_of(frame.dimensions());
    }
    page.push(&summary::header(data));
    page.section("warnings", "Warnings", "", &summary::warnings(data));
    page.section(
        "said",
        "What was said",
        said::EXPLANATION,
        &said::section(run),
    );
    page.section(
        "film",
        "What it saw, and where it wanted to go",
        "Left of each pair: the scene before the step. Right, outlined: the goal image pursued. \
         The model itself sees the camera frame at its own, smaller size.",
        &filmstrip::strip(data),
    );
    page.section(
        "course",
        "The course of the episode",
        "Distances are L1 between layer-normalised latents, as in the energy.",
        &course::charts(data),
    );
    page.section(
        "decisions",
        "Every decision",
        &decision::explanation(data),
        &decision::all(data),
    );
    page.push(&files(data, run));
    page.html()
}

fn files(data: &RunData, run: &Path) -> String {
    let name = run
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    format!(
        "<section id=scenario><h2>To repeat it</h2>\
         <p class=note>The resolved scenario with its seed; <code>foresight replay {name}</code> plays \
         the same actions again, <code>foresight run {name}/scenario.resolved.toml</code> plans anew.</p>\
         <details open><summary>scenario.resolved.toml</summary><pre>{}</pre></details></section>",
        escape(&data.scenario),
        name = escape(&name),
    )
}
