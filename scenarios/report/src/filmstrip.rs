//! The filmstrip: every step with its goal beside it.

use super::page::{figure, jpeg_url, picture};
use super::svg::escape;
use foresight_runs::read::RunData;

/// One figure a step, and one for the end.
pub(crate) fn strip(data: &RunData) -> String {
    let mut cards = String::new();
    for (i, step) in data.steps.iter().enumerate() {
        let pair = format!(
            "<div class=pair>{}{}</div>",
            seen(data, i),
            goal(step.subgoal_index, &step.subgoal)
        );
        let caption = format!(
            "<b>{}</b> {} · distance {:.3}",
            step.step + 1,
            escape(&step.subgoal),
            step.distance
        );
        cards += &figure("", &pair, &caption);
    }
    if let Some(last) = data.steps.last() {
        let pair = format!(
            "<div class=pair>{}{}</div>",
            seen(data, data.steps.len()),
            goal(last.subgoal_index, &last.subgoal)
        );
        cards += &figure("", &pair, "<b>end</b>");
    }
    format!("<div class=film>{cards}</div>")
}

/// What was seen before step number `i`.
pub(crate) fn seen(data: &RunData, i: usize) -> String {
    let alt = format!("the scene before step {}", i + 1);
    if let Some(Some(view)) = data.views.get(i) {
        return format!("<img src=\"{}\" alt=\"{alt}\">", jpeg_url(view));
    }
    match data.frames.get(i) {
        Some(Some(frame)) => picture(frame, &alt),
        _ => "<span class=note>no frame</span>".into(),
    }
}

/// A goal image, from the style sheet.
pub(crate) fn goal(index: usize, name: &str) -> String {
    format!(
        "<div class=\"pic goal goal{index}\" role=img aria-label=\"goal {}\"></div>",
        escape(name)
    )
}
