//! Figures along the whole episode.

use std::f64::consts::TAU;

use super::page::figure;
use super::svg::{Axis, Chart};
use foresight_runs::analysis_record::StepAnalysis;
use foresight_runs::read::RunData;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;

/// All of them.
pub(crate) fn charts(data: &RunData) -> String {
    if data.steps.is_empty() {
        return String::new();
    }
    let figures = [
        distance(data),
        surprise(data),
        gripper(data),
        latency(data),
        path(data, 1),
        path(data, 2),
    ];
    format!("<div class=charts>{}</div>", figures.concat())
}

/// Steps are counted from 1 where people read them.
fn number(step: u32) -> f64 {
    f64::from(step) + 1.0
}

/// Thin vertical lines where a new sub-goal begins.
fn subgoals(data: &RunData, chart: &mut Chart, y: Axis<'_>) {
    for pair in data.steps.windows(2) {
        if pair[0].subgoal_index != pair[1].subgoal_index {
            let x = number(pair[1].step) - 0.5;
            let line = [(x, y.low), (x, y.high)];
            chart.line("thin faint", line.into_iter());
        }
    }
}

/// Distance to the goal: seen, predicted for the chosen action, and what came.
fn distance(data: &RunData) -> String {
    let seen: Vec<(f64, f64)> = data
        .steps
        .iter()
        .map(|s| (number(s.step), f64::from(s.distance)))
        .collect();
    let analysis = data.analysis.as_ref();
    let of = |value: fn(&StepAnalysis) -> f32| -> Vec<(f64, f64)> {
        let steps = analysis.map_or(&[][..], |h| &h.steps);
        let point = |s: &StepAnalysis| (number(s.step), f64::from(value(s)));
        steps.iter().map(point).collect()
    };
    let (predicted, reached) = (of(|s| s.predicted_to_goal), of(|s| s.reached_to_goal));
    let all = seen.iter().chain(&predicted).chain(&reached).map(|p| p.1);
    let (x, y) = (
        Axis::steps(1, data.steps.len()),
        Axis::around(all, "distance to goal"),
    );
    let mut chart = Chart::new(
        WIDTH,
        HEIGHT,
        "distance to the goal along the episode",
        x,
        y,
    );
    subgoals(data, &mut chart, y);
    let mut caption = "<span class=\"key a\">seen before the step</span>".to_owned();
    chart.dotted_line("a", &seen);
    if !predicted.is_empty() {
        chart.dotted_line("b", &predicted);
        chart.line("c", reached.iter().copied());
        caption += "<span class=\"key b\">predicted for its action</span>\
                    <span class=\"key c\">what came</span>";
    }
    figure("", &chart.svg(), &caption)
}

/// How far the prediction was from what came, against expecting no change.
fn surprise(data: &RunData) -> String {
    let Some(analysis) = &data.analysis else {
        return String::new();
    };
    let point = |at: u32, value: f32| (number(at), f64::from(value));
    let wrong: Vec<(f64, f64)> = analysis
        .steps
        .iter()
        .map(|s| point(s.step, s.predicted_to_reached))
        .collect();
    let still: Vec<(f64, f64)> = analysis
        .steps
        .iter()
        .map(|s| point(s.step, s.seen_to_reached))
        .collect();
    let all = wrong.iter().chain(&still).map(|p| p.1);
    let (x, y) = (
        Axis::steps(1, data.steps.len()),
        Axis::from_zero(all, "distance to what came"),
    );
    let mut chart = Chart::new(WIDTH, HEIGHT, "predicted against reached latent", x, y);
    subgoals(data, &mut chart, y);
    chart.line("d", still.iter().copied());
    chart.dotted_line("b", &wrong);
    let mean = |values: &[(f64, f64)]| {
        values.iter().map(|v| v.1).sum::<f64>() / values.len().max(1) as f64
    };
    let caption = format!(
        "<span class=\"key b\">the model's prediction, mean {:.3}</span>\
         <span class=\"key d\">expecting no change, {:.3}</span>",
        mean(&wrong),
        mean(&still)
    );
    figure("", &chart.svg(), &caption)
}

/// Gripper: commanded and measured, and whether the object is held.
fn gripper(data: &RunData) -> String {
    let x = Axis::steps(0, data.steps.len());
    let y = Axis {
        low: -0.06,
        high: 1.06,
        name: "closedness",
        whole: false,
    };
    let mut chart = Chart::new(WIDTH, HEIGHT, "gripper along the episode", x, y);
    subgoals(data, &mut chart, y);
    let mut known = false;
    for step in &data.steps {
        if let Some(truth) = &step.truth {
            known = true;
            if truth.held {
                let at = number(step.step);
                chart.block("c", (at - 0.5, y.low), (at + 0.5, y.high));
            }
        }
    }
    let first = data.steps.first().map(|s| (0.0, s.pose[6]));
    let measured: Vec<(f64, f64)> = first
        .into_iter()
        .chain(
            data.steps
                .iter()
                .map(|s| (number(s.step), s.reached_pose[6])),
        )
        .collect();
    let commanded = data
        .steps
        .iter()
        .map(|s| (number(s.step), s.commanded_pose[6]));
    chart.line("d", commanded);
    chart.dotted_line("a", &measured);
    let mut caption = "<span class=\"key a\">measured after the step</span>\
                       <span class=\"key d\">commanded</span>"
        .to_owned();
    if known {
        caption += "<span class=\"key c\">object held (simulator's truth)</span>";
    }
    figure("", &chart.svg(), &caption)
}

/// Where the time of each step went.
fn latency(data: &RunData) -> String {
    let parts = |s: &foresight_runs::trace::StepSeconds| [s.observe, s.plan, s.execute];
    let sums = data.steps.iter().map(|s| parts(&s.seconds).iter().sum());
    let (x, y) = (
        Axis::steps(1, data.steps.len()),
        Axis::from_zero(sums, "seconds a step"),
    );
    let mut chart = Chart::new(WIDTH, HEIGHT, "where the time of each step went", x, y);
    let mut totals = [0.0; 3];
    for step in &data.steps {
        let at = number(step.step);
        let mut base = 0.0;
        for (i, (class, seconds)) in ["c full", "a full", "b full"]
            .into_iter()
            .zip(parts(&step.seconds))
            .enumerate()
        {
            chart.block(class, (at - 0.38, base), (at + 0.38, base + seconds));
            base += seconds;
            totals[i] += seconds;
        }
    }
    let count = data.steps.len() as f64;
    let caption = format!(
        "<span class=\"key c\">look {:.2} s</span><span class=\"key a\">encode and search {:.2} s</span>\
         <span class=\"key b\">move {:.2} s</span> mean, wall clock",
        totals[0] / count,
        totals[1] / count,
        totals[2] / count
    );
    figure("", &chart.svg(), &caption)
}

/// The hand's path from above (`up` = 1) or from the side (`up` = 2).
fn path(data: &RunData, up: usize) -> String {
    let cm = |pose: &[f64; 7]| (100.0 * pose[0], 100.0 * pose[up]);
    let mut way: Vec<(f64, f64)> = data.steps.iter().map(|s| cm(&s.pose)).collect();
    way.extend(data.steps.last().map(|s| cm(&s.reached_pose)));
    let object: Vec<(f64, f64)> = data
        .steps
        .iter()
        .filter_map(|s| s.truth.as_ref())
        .map(|t| {
            (
                100.0 * t.object_position_m[0],
                100.0 * t.object_position_m[up],
            )
        })
        .collect();
    let target = data.scene.as_ref().map(|s| {
        (
            100.0 * s.target.position_m[0],
            100.0 * s.target.position_m[1],
        )
    });
    let radius = data
        .scene
        .as_ref()
        .map_or(0.0, |s| 100.0 * s.target.radius_m);
    let mut points: Vec<(f64, f64)> = way.iter().chain(&object).copied().collect();
    if let Some((x, y)) = target {
        let y = if up == 1 { y } else { 0.0 };
        points.extend([(x - radius, y - radius), (x + radius, y + radius)]);
    }
    let (mut x, mut y) = (
        Axis::around(points.iter().map(|p| p.0), "x, cm"),
        Axis::around(
            points.iter().map(|p| p.1),
            if up == 1 { "y, cm" } else { "z, cm" },
        ),
    );
    same_scale(&mut x, &mut y);
    let view = if up == 1 { "above" } else { "the side" };
    let title = format!("the hand's path from {view}");
    let mut chart = Chart::new(WIDTH, HEIGHT + 40.0, &title, x, y);
    if let Some((tx, ty)) = target {
        if up == 1 {
            let circle = (0..=40).map(|k| {
                let angle = TAU * f64::from(k) / 40.0;
                (tx + radius * angle.cos(), ty + radius * angle.sin())
            });
            chart.line("c", circle);
        } else {
            chart.line("c", [(tx - radius, 0.0), (tx + radius, 0.0)].into_iter());
        }
    }
    let mut caption = format!("from {view}: <span class=\"key a\">hand</span>");
    if !object.is_empty() {
        chart.dotted_line("b", &object);
        caption += "<span class=\"key b\">object (truth)</span><span class=\"key c\">target</span>";
    }
    chart.dotted_line("a", &way);
    if let Some(first) = way.first() {
        chart.words("", first.0 + 0.4, first.1 + 0.4, "start");
    }
    figure("", &chart.svg(), &caption)
}

/// Widens one axis so that a centimetre is as long on both.
fn same_scale<'a>(x: &mut Axis<'a>, y: &mut Axis<'a>) {
    let (width, height) = (WIDTH - 56.0, HEIGHT + 40.0 - 44.0);
    let scale = ((x.high - x.low) / width).max((y.high - y.low) / height);
    for (axis, length) in [(x, width), (y, height)] {
        let middle = (axis.low + axis.high) / 2.0;
        axis.low = middle - scale * length / 2.0;
        axis.high = middle + scale * length / 2.0;
    }
}
