//! One decision: what was seen, wanted, imagined and came; how the search converged, and where.

use super::filmstrip::{goal, seen};
use super::heatmap;
use super::page::{data_url, figure, picture};
use super::svg::{escape, Axis, Chart};
use foresight_runs::analysis_record::StepAnalysis;
use foresight_runs::read::RunData;
use foresight_runs::trace::{IterationTrace, StepTrace};

/// Half the side of a cloud's figure when nothing tells the search's box, cm.
const DEFAULT_BOX_CM: f64 = 7.5;

/// The words above the decisions.
pub(crate) fn explanation(data: &RunData) -> String {
    let mut text = "The curve is the energy of the elites, iteration by iteration; the clouds are \
                    the elites' first actions, those of the last iteration outlined, the spread of \
                    the sampling distribution as ellipses, the chosen action in red."
        .to_owned();
    let Some(analysis) = &data.analysis else {
        return text;
    };
    if analysis.steps.iter().any(|s| !s.plane_xy.is_empty()) {
        text += " Behind them the energy around the chosen action: bright is low.";
    }
    if !analysis.gallery.is_empty() {
        text += &format!(
            " The model has no decoder. <b>Imagined</b> is the frame whose latent lies nearest to \
             the predicted one, out of {}.",
            escape(&analysis.gallery)
        );
    }
    text
}

/// Every decision, one below the other.
pub(crate) fn all(data: &RunData) -> String {
    data.steps
        .iter()
        .enumerate()
        .map(|(i, step)| one(data, i, step))
        .collect()
}

fn one(data: &RunData, i: usize, step: &StepTrace) -> String {
    let analysis = data.analysis.as_ref().and_then(|h| h.steps.get(i));
    let [dx, dy, dz, rx, ry, rz, dg] = step.action;
    let cm = |v: f64| format!("{:+.1}", 100.0 * v).replace('-', "−");
    let mut facts = format!("Δ {} {} {} cm", cm(dx), cm(dy), cm(dz));
    if [rx, ry, rz].iter().any(|r| r.abs() > 1e-9) {
        let degrees = |v: f64| format!("{:+.0}", v.to_degrees()).replace('-', "−");
        facts += &format!(", turn {} {} {}°", degrees(rx), degrees(ry), degrees(rz));
    }
    if dg.abs() > 1e-9 {
        let verb = if dg > 0.0 { "close" } else { "open" };
        facts += &format!(", {verb} by {:.2}", dg.abs());
    }
    facts += &format!(", arrived within {:.1} mm", 1000.0 * step.error_m);
    let mut notes: Vec<String> = step.adjustments.iter().map(|a| a.to_string()).collect();
    notes.extend(step.refusal.as_ref().map(|r| format!("not moved: {r}")));
    let notes = if notes.is_empty() {
        String::new()
    } else {
        format!("<span class=no-text>{}</span>", escape(&notes.join("; ")))
    };
    let charts = [
        convergence(step),
        cloud(step, analysis, 1),
        cloud(step, analysis, 2),
    ];
    format!(
        "<article class=decision id=step{n}><header><h3>Step {n} · {} {}</h3>\
         <span class=meta>{facts}</span>{notes}</header>{}{}<div class=row>{}</div></article>",
        escape(&step.subgoal),
        step.subgoal_step + 1,
        pictures(data, i, step, analysis),
        waypoints(data, i, analysis),
        charts.concat(),
        n = step.step + 1,
    )
}

/// Seen, wanted, imagined, came.
fn pictures(data: &RunData, i: usize, step: &StepTrace, analysis: Option<&StepAnalysis>) -> String {
    let Some(Some(imagined)) = data.imagined.get(i) else {
        return String::new();
    };
    let Some(analysis) = analysis else {
        return String::new();
    };
    let camera = |i: usize| match data.frames.get(i) {
        Some(Some(frame)) => picture(frame, "camera frame"),
        _ => seen(data, i),
    };
    let alarms = data.record.iter().flat_map(|r| &r.result.alarms);
    let mut alarms = alarms.filter(|alarm| alarm.step == step.step);
    let surprise = match (
        data.frames.get(i + 1),
        alarms.find_map(|alarm| alarm.map.as_ref()),
    ) {
        (Some(Some(came)), Some(map)) => {
            let map = heatmap::overlay(came, &map.tokens, map.grid, map.brightest());
            let where_ = picture(&map, "where what came differs from the usual");
            figure("", &where_, "where the alarm is, bright most")
        }
        (Some(Some(came)), None) if !analysis.surprise.is_empty() => {
            let map =
                heatmap::overlay(came, &analysis.surprise, analysis.surprise_grid, most(data));
            let where_ = picture(&map, "where what came differs from the prediction");
            figure("", &where_, "where the surprise is, bright most")
        }
        _ => String::new(),
    };
    let figures = [
        figure("", &camera(i), "seen"),
        figure("", &goal(step.subgoal_index, &step.subgoal), "wanted"),
        figure(
            "",
            &picture(imagined, "the frame nearest to the predicted latent"),
            &format!(
                "imagined, nearest at {:.3}",
                analysis.nearest_distance.unwrap_or(f32::NAN)
            ),
        ),
        figure(
            "",
            &camera(i + 1),
            &format!(
                "came, {:.3} from the prediction",
                analysis.predicted_to_reached
            ),
        ),
        surprise,
    ];
    format!("<div class=four>{}</div>", figures.concat())
}

/// Where the second level's plan leads, where a step begins to follow one.
fn waypoints(data: &RunData, i: usize, analysis: Option<&StepAnalysis>) -> String {
    let planned = analysis.map_or(&[][..], |analysis| &analysis.waypoints);
    if planned.is_empty() {
        return String::new();
    }
    let pictures = data.waypoints.get(i).into_iter().flatten();
    let pictures = pictures.map(Option::as_ref).chain(std::iter::repeat(None));
    let figures = planned.iter().zip(pictures).enumerate();
    let figures = figures.map(|(at, (waypoint, image))| {
        let [x, y, z, .., closed] = waypoint.pose;
        let cm = |v: f64| format!("{:.0}", 100.0 * v).replace('-', "−");
        let caption = format!(
            "waypoint {}: {} {} {} cm, {:.0} % closed; {:.3} from the goal",
            at + 1,
            cm(x),
            cm(y),
            cm(z),
            100.0 * closed,
            waypoint.to_goal,
        );
        let shown = image.map(|image| picture(image, "the frame nearest to the waypoint's latent"));
        figure("", &shown.unwrap_or_default(), &caption)
    });
    let figures: String = figures.collect();
    format!("<p class=meta>The second level plans these waypoints from here:</p><div class=four>{figures}</div>")
}

/// The largest surprise of any token in the run: maps of one run have one scale.
fn most(data: &RunData) -> f32 {
    let steps = data.analysis.iter().flat_map(|a| &a.steps);
    steps.flat_map(|s| &s.surprise).copied().fold(0.0, f32::max)
}

/// Energy of the elites against iterations.
fn convergence(step: &StepTrace) -> String {
    let iterations: Vec<&IterationTrace> = step
        .plan
        .iterations
        .iter()
        .filter(|i| !i.elite_energies.is_empty())
        .collect();
    if iterations.is_empty() {
        return figure("", "<p class=note>No energy was searched.</p>", "");
    }
    let line = |value: fn(&[f32]) -> f32| -> Vec<(f64, f64)> {
        let point = |(k, i): (usize, &&IterationTrace)| {
            (k as f64 + 1.0, f64::from(value(&i.elite_energies)))
        };
        iterations.iter().enumerate().map(point).collect()
    };
    let best = line(|e| e.first().copied().unwrap_or(f32::NAN));
    let worst = line(|e| e.last().copied().unwrap_or(f32::NAN));
    let mean = line(|e| e.iter().sum::<f32>() / e.len() as f32);
    let all = best.iter().chain(&worst).map(|p| p.1);
    let x = Axis {
        low: 0.7,
        high: iterations.len() as f64 + 0.3,
        name: "iteration",
        whole: true,
    };
    let mut chart = Chart::new(
        360.0,
        224.0,
        "energy of the elites against iterations",
        x,
        Axis::around(all, "energy"),
    );
    chart.band("a", &best, &worst);
    chart.line("a thin", mean.into_iter());
    chart.dotted_line("a", &best);
    let caption = format!(
        "best {:.4} → {:.4}, {} futures in {:.2} s",
        best.first().map_or(f64::NAN, |p| p.1),
        best.last().map_or(f64::NAN, |p| p.1),
        step.plan.evaluations,
        step.seconds.plan
    );
    figure("", &chart.svg(), &caption)
}

/// The elites' first actions over Δx and Δy (`up` = 1) or Δz (`up` = 2), cm.
fn cloud(step: &StepTrace, analysis: Option<&StepAnalysis>, up: usize) -> String {
    let plane = analysis.and_then(|h| {
        let energies = if up == 1 { &h.plane_xy } else { &h.plane_xz };
        (!energies.is_empty()).then_some((h, energies))
    });
    let half_cm = plane.map_or(DEFAULT_BOX_CM, |(h, _)| 100.0 * h.plane_half_width_m);
    let spacing = plane.map_or(0.0, |(h, _)| {
        2.0 * half_cm / (h.plane_side.max(2) - 1) as f64
    });
    let reach = step
        .plan
        .iterations
        .iter()
        .flat_map(|i| &i.elite_actions)
        .filter_map(|a| a.first())
        .flat_map(|a| [a[0], a[up]])
        .map(|v| 100.0 * f64::from(v).abs())
        .fold(half_cm, f64::max);
    let edge = (half_cm + spacing / 2.0).max(1.06 * reach);
    let axis = |name| Axis {
        low: -edge,
        high: edge,
        name,
        whole: false,
    };
    let name = if up == 1 { "Δy, cm" } else { "Δz, cm" };
    let title = format!("elites over Δx and {name}");
    let mut chart = Chart::new(240.0, 224.0, &title, axis("Δx, cm"), axis(name));
    if let Some((h, energies)) = plane {
        let url = data_url(&heatmap::picture(energies, h.plane_side));
        let out = half_cm + spacing / 2.0;
        chart.image(&url, (-out, -out), (out, out));
    }
    let last = step.plan.iterations.len().saturating_sub(1);
    for (k, iteration) in step.plan.iterations.iter().enumerate() {
        if let (Some(mean), Some(std)) = (iteration.mean.first(), iteration.std.first()) {
            let cm = |v: f32| 100.0 * f64::from(v);
            chart.ellipse(
                "spread",
                (cm(mean[0]), cm(mean[up])),
                (cm(std[0]), cm(std[up])),
            );
        }
        for action in iteration.elite_actions.iter().filter_map(|a| a.first()) {
            let (class, radius) = if k == last {
                ("elite", 2.8)
            } else {
                ("early", 1.7)
            };
            let cm = |v: f32| 100.0 * f64::from(v);
            chart.dot(class, cm(action[0]), cm(action[up]), radius);
        }
    }
    let chosen = step.planned_action();
    chart.target("", 100.0 * chosen[0], 100.0 * chosen[up]);
    let class = if plane.is_some() { "" } else { "plain" };
    let view = if up == 1 {
        "from above"
    } else {
        "from the side"
    };
    figure(class, &chart.svg(), view)
}
