//! The top of a report: what happened, in one look, and what went not as it should.

use super::read::RunData;
use super::svg::escape;

/// Verdict, reason and key numbers.
pub fn header(data: &RunData) -> String {
    let result = &data.result["result"];
    let (class, verdict) = match result["success"].as_bool() {
        Some(true) => ("yes", "Achieved"),
        Some(false) => ("no", "Not achieved"),
        None => ("", "Done"),
    };
    let failure = data.result["failure"]
        .as_str()
        .map_or_else(String::new, |f| format!(" · {}", f.replace('_', " ")));
    let mut meta = vec![format!("seed {}", result["seed"])];
    for key in ["imagination", "time"] {
        meta.extend(data.result[key].as_str().map(str::to_owned));
    }
    if let Some(virtual_time) = data.result["virtual_time"].as_bool() {
        let time = if virtual_time {
            "virtual time"
        } else {
            "real time"
        };
        meta.push(time.into());
    }
    if let Some(version) = data.result["program_version"].as_str() {
        meta.push(format!("foresight {version}"));
    }
    let mut tiles = String::new();
    for (name, value) in numbers(data) {
        tiles += &format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    format!(
        "<header><span class=\"verdict {class}\">{verdict}{}</span><h1>{}</h1>\
         <p class=reason>{}</p><p class=meta>{}</p><dl class=tiles>{tiles}</dl></header>",
        escape(&failure),
        escape(data.text("scenario")),
        escape(data.text("reason")),
        escape(&meta.join(" · ")),
    )
}

fn numbers(data: &RunData) -> Vec<(&'static str, String)> {
    let result = &data.result["result"];
    let steps = &data.steps;
    let mut tiles = vec![("Steps", steps.len().to_string())];
    if let Some(reached) = result["subgoals_reached"].as_u64() {
        tiles.push((
            "Sub-goals worked through",
            format!("{reached} of {}", data.goals.len()),
        ));
    }
    if let Some(seconds) = result["seconds_per_action"].as_f64() {
        tiles.push(("Planning an action", format!("{seconds:.2} s")));
    }
    let evaluations: usize = steps.iter().map(|s| s.plan.evaluations).sum();
    if evaluations > 0 {
        tiles.push(("Futures imagined", thousands(evaluations)));
    }
    if let Some(last) = data.result["last_distance"].as_f64() {
        tiles.push(("Distance to the last goal", format!("{last:.3}")));
    }
    let touched = steps
        .iter()
        .filter(|s| !s.adjustments.is_empty() || s.refusal.is_some())
        .count();
    tiles.push(("Actions the envelope limited", touched.to_string()));
    let refused = result["refused_targets"].as_u64();
    tiles.push((
        "Targets refused",
        refused.map_or_else(|| "–".into(), |n| n.to_string()),
    ));
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
pub fn warnings(data: &RunData) -> String {
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
    if data.result.is_null() {
        lines.push("the run has no verdict: it was interrupted before it ended".to_owned());
    }
    for step in &data.steps {
        let number = step.step + 1;
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
        if !step.settled {
            lines.push(format!(
                "step {number}: planned from a frame taken before the arm had come to rest"
            ));
        }
        if !step.arm_settled {
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
