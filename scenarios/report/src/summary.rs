//! The top of a report: what happened, in one look, and what went not as it should.

use foresight_runs::read::RunData;
use foresight_scenarios::success::FailureKind;

use crate::svg::escape;

/// Verdict, reason and key numbers.
pub(crate) fn header(data: &RunData) -> String {
    let record = data.record.clone().unwrap_or_default();
    let (class, verdict) = match record.result.success {
        Some(true) => ("yes", "Achieved"),
        Some(false) => ("no", "Not achieved"),
        None => ("", "Done"),
    };
    let failure = record
        .failure
        .map_or_else(String::new, |kind| format!(" · {}", failure_words(kind)));
    let mut meta = vec![format!("seed {}", record.result.seed)];
    if let Some(end) = &record.end {
        meta.push(end.imagination.clone());
    }
    meta.extend(Some(record.time).filter(|time| !time.is_empty()));
    if let Some(end) = &record.end {
        let clock = if end.virtual_time { "virtual" } else { "real" };
        meta.push(format!("{clock} time"));
    }
    if !record.program_version.is_empty() {
        meta.push(format!("foresight {}", record.program_version));
    }
    let mut tiles = String::new();
    for (name, value) in numbers(data) {
        tiles += &format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    format!(
        "<header><span class=\"verdict {class}\">{verdict}{}</span><h1>{}</h1>\
         <p class=reason>{}</p><p class=meta>{}</p><dl class=tiles>{tiles}</dl></header>",
        escape(&failure),
        escape(&record.result.scenario),
        escape(&record.result.reason),
        escape(&meta.join(" · ")),
    )
}

/// A kind of failure in words.
pub(crate) fn failure_words(kind: FailureKind) -> String {
    let name = serde_json::to_value(kind).ok();
    name.and_then(|name| name.as_str().map(|name| name.replace('_', " ")))
        .unwrap_or_default()
}

fn numbers(data: &RunData) -> Vec<(&'static str, String)> {
    let result = data.record.as_ref().map(|record| &record.result);
    let end = data.record.as_ref().and_then(|record| record.end.as_ref());
    let steps = &data.steps;
    let mut tiles = vec![("Steps", steps.len().to_string())];
    if let (Some(result), Some(_)) = (result, end) {
        let reached = format!("{} of {}", result.subgoals_reached, data.goals.len());
        let seconds = format!("{:.2} s", result.seconds_per_action);
        tiles.extend([
            ("Sub-goals worked through", reached),
            ("Planning an action", seconds),
        ]);
    }
    let evaluations: usize = steps.iter().map(|s| s.plan.evaluations).sum();
    if evaluations > 0 {
        tiles.push(("Futures imagined", thousands(evaluations)));
    }
    if let Some(last) = end.and_then(|end| end.last_distance) {
        tiles.push(("Distance to the last goal", format!("{last:.3}")));
    }
    let touched = steps
        .iter()
        .filter(|s| !s.adjustments.is_empty() || s.refusal.is_some())
        .count();
    tiles.push(("Actions the envelope limited", touched.to_string()));
    let refused: u64 = steps.iter().map(|s| s.refused_targets).sum();
    let refused = match (result, end) {
        (Some(result), Some(_)) => result.refused_targets,
        _ => refused,
    };
    tiles.push(("Targets refused", refused.to_string()));
    tiles
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|g| std::str::from_utf8(g).unwrap_or_default())
        .collect();
    groups.join("\u{202f}")
}

/// What did not go as it should, or a line saying that everything did.
pub(crate) fn warnings(data: &RunData) -> String {
    let lines = warning_lines(data);
    if lines.is_empty() {
        return "<p class=calm>None: every action passed the safety envelope, no target was \
                refused, and the arm came to rest before every frame.</p>"
            .into();
    }
    let items: String = lines
        .iter()
        .map(|line| format!("<li>{}</li>", escape(line)))
        .collect();
    format!("<ul class=warnings>{items}</ul>")
}

fn warning_lines(data: &RunData) -> Vec<String> {
    let mut lines = Vec::new();
    if data.record.is_none() {
        lines.push("the run has no verdict: it was interrupted before it ended".to_owned());
    }
    for alarm in data.record.iter().flat_map(|record| &record.result.alarms) {
        let number = alarm.step + 1;
        lines.push(format!(
            "step {number}: alarm, {}; {}",
            alarm.reason, alarm.done
        ));
    }
    for step in &data.steps {
        let number = step.step + 1;
        if let Some(fault) = step.fault {
            let name = fault.name().replace('_', " ");
            lines.push(format!("step {number}: a fault on purpose, {name}"));
        }
        if let Some(refusal) = &step.refusal {
            lines.push(format!("step {number}: nothing was moved, {refusal}"));
        }
        for adjustment in &step.adjustments {
            lines.push(format!("step {number}: {adjustment}"));
        }
        if step.refused_targets > 0 {
            lines.push(format!(
                "step {number}: the guard refused {} targets",
                step.refused_targets
            ));
        }
        if step.blocked {
            lines.push(format!(
                "step {number}: something was in the way; the arm was led back"
            ));
        }
        let moving = step.motion.is_some_and(|motion| motion.committed.is_some());
        if !step.settled && !moving {
            lines.push(format!(
                "step {number}: planned from a frame taken before the arm had come to rest"
            ));
        }
        if !step.arm_settled && step.motion.is_none_or(|motion| !motion.under_way) {
            lines.push(format!(
                "step {number}: the arm did not come to rest in time"
            ));
        }
    }
    const MOST: usize = 12;
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and {more} more, see plan.jsonl"));
    }
    lines
}
