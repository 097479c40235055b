//! The page about what a predictor foresees.

use foresight_scenarios::foreseen::{
    Displacements, Estimate, Example, Foreseen, Kind, ObjectForesight,
};

use crate::page::{figure, picture, Page};
use crate::svg::{escape, Axis, Chart};

/// The page as HTML; `model` and `data` say what was measured on what.
pub fn html(model: &str, data: &str, foreseen: &Foreseen) -> String {
    let mut page = Page::new(&format!("What {model} foresees"));
    page.push(&header(model, data, foreseen));
    if let Some(object) = &foreseen.object {
        page.section(
            "displacements",
            "Where objects go",
            "Displacements read by the gauge from imagined latents, against the true ones. Share is their \
             projection on the true displacement, R² counts what is beside it too: 1 and 1 are right, \
             imagining no change has 0 and 0. Beside them what the same gauge reads from the latents that \
             really came: a perfect predictor's row. Lines of the charts: \
             <span class=\"key a\">imagined</span><span class=\"key c\">really came</span>.",
            &displacements(object),
        );
        page.section(
            "still",
            "Objects that lie still",
            "How far they seem to move, in the table's plane. What is read from the latents that \
             really came is the gauge's own noise.",
            &false_motion(object),
        );
        page.section(
            "ranking",
            "Actions from one state, in order",
            "Several actions from one and the same state; each one's outcome is the goal in turn. \
             Spearman's correlation of what is said of every action with how far the object really ends \
             from where the goal has it. The arm's poses alone are the blind baseline.",
            &rankings(object),
        );
    }
    page.section(
        "robot",
        "The latent, the hand, the fingers",
        "L1 errors over those of imagining no change; closedness and the hand's position as read \
         from imagined latents. Zero steps ahead: from latents that really came.",
        &robot(foreseen),
    );
    page.section(
        "pictures",
        "Imagined and real",
        "Above what came, below the recorded frame whose latent is nearest to the imagined one.",
        &foreseen.examples.iter().map(example).collect::<String>(),
    );
    page.html()
}

/// A number with its interval.
fn number(estimate: Option<Estimate>, digits: usize) -> String {
    estimate.map_or("–".into(), |e| {
        let [low, high] = e.ci95;
        format!(
            "{:.digits$} <span class=note>[{low:.digits$}, {high:.digits$}]</span>",
            e.value
        )
    })
}

fn header(model: &str, data: &str, foreseen: &Foreseen) -> String {
    let plain = |e: Option<Estimate>| e.map_or("–".into(), |e| format!("{:.2}", e.value));
    let mut tiles = Vec::new();
    if let Some(object) = &foreseen.object {
        let push = object.displacements.iter();
        if let Some(push) = push.clone().find(|d| d.kind == Kind::Push) {
            let of = |seen, foreseen| format!("{} of {}", plain(foreseen), plain(seen));
            tiles.push(("Pushes: share", of(push.seen.share, push.foreseen.share)));
            tiles.push(("Pushes: R²", of(push.seen.r2, push.foreseen.r2)));
            tiles.push(("Pushes measured", push.count.to_string()));
        }
        if let Some(ranking) = object.rankings.first() {
            tiles.push(("Ranking of actions", plain(ranking.energy)));
        }
    }
    tiles.push(("Closedness error", plain(foreseen.robot_read.closedness)));
    if let Some(first) = foreseen.robot.first() {
        tiles.push(("L1 / no change", plain(first.l1_over_persistence)));
    }
    let tiles: String = tiles
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>"))
        .collect();
    format!(
        "<header><span class=verdict>Foresight</span><h1>{}</h1>\
         <p class=meta>{} episodes in {} scenes, {} of them branches · {} · gauges fitted on {} \
         other episodes · 95% intervals by resampling scenes · foresight {}</p>\
         <dl class=tiles>{tiles}</dl></header>",
        escape(model),
        foreseen.episodes,
        foreseen.scenes,
        foreseen.branches,
        escape(data),
        foreseen.fitted_episodes,
        env!("CARGO_PKG_VERSION"),
    )
}

fn table(heads: &[&str], rows: &str) -> String {
    let heads: String = heads.iter().map(|head| format!("<th>{head}")).collect();
    format!(
        "<div class=scroll><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn displacements(object: &ObjectForesight) -> String {
    let mut charts = String::new();
    for kind in Kind::ALL {
        let of_kind: Vec<&Displacements> = object
            .displacements
            .iter()
            .filter(|d| d.kind == kind)
            .collect();
        let Some(last) = of_kind.last() else { continue };
        let steps = Axis::steps(1, last.steps_ahead.max(2));
        let share = Axis {
            low: -0.1,
            high: 1.2,
            name: "share",
            whole: false,
        };
        let mut chart = Chart::new(360.0, 200.0, kind.name(), steps, share);
        for (class, seen) in [("c", true), ("a", false)] {
            let of = |d: &&Displacements, pick: fn(Estimate) -> f64| {
                let fit = if seen { d.seen } else { d.foreseen };
                (d.steps_ahead as f64, fit.share.map_or(f64::NAN, pick))
            };
            let points = |pick: fn(Estimate) -> f64| -> Vec<(f64, f64)> {
                of_kind.iter().map(|d| of(d, pick)).collect()
            };
            chart.band(class, &points(|e| e.ci95[0]), &points(|e| e.ci95[1]));
            chart.dotted_line(class, &points(|e| e.value));
        }
        charts += &figure("", &chart.svg(), kind.name());
    }
    let rows = object.displacements.iter().map(|d| {
        format!(
            "<tr><td>{}<td>{}<td>{} in {}<td>{:.1} cm<td>{}<td>{}<td>{}<td>{}<td>{:.2}</tr>",
            d.kind.name(),
            d.steps_ahead,
            d.count,
            d.scenes,
            d.mean_cm,
            number(d.foreseen.share, 2),
            number(d.seen.share, 2),
            number(d.foreseen.r2, 2),
            number(d.seen.r2, 2),
            d.l1 / d.l1_persistence,
        )
    });
    let heads = [
        "kind",
        "steps",
        "count, scenes",
        "truly",
        "share",
        "really came",
        "R²",
        "really came",
        "L1 / no change",
    ];
    format!(
        "<div class=charts>{charts}</div>{}",
        table(&heads, &rows.collect::<String>())
    )
}

fn false_motion(object: &ObjectForesight) -> String {
    if object.false_motion.is_empty() {
        return String::new();
    }
    let rows = object.false_motion.iter().map(|f| {
        format!(
            "<tr><td>{}<td>{}<td>{}<td>{}</tr>",
            f.steps_ahead,
            f.count,
            number(f.foreseen_cm, 2),
            number(f.seen_cm, 2)
        )
    });
    table(
        &["steps", "count", "imagined, cm", "really came, cm"],
        &rows.collect::<String>(),
    )
}

fn rankings(object: &ObjectForesight) -> String {
    if object.rankings.is_empty() {
        return String::new();
    }
    let rows = object.rankings.iter().map(|r| {
        format!(
            "<tr><td>{}<td>{} of {}<td>{:.0}<td>{}<td>{}<td>{}<td>{}</tr>",
            r.steps_ahead,
            r.goals,
            r.states,
            r.actions,
            number(r.energy, 2),
            number(r.true_latents, 2),
            number(r.read, 2),
            number(r.arm_poses, 2)
        )
    });
    let heads = [
        "steps",
        "goals, states",
        "actions",
        "energy",
        "energy of what really came",
        "object read from the imagination",
        "arm poses alone",
    ];
    table(&heads, &rows.collect::<String>())
}

fn robot(foreseen: &Foreseen) -> String {
    let read = &foreseen.robot_read;
    let mut rows = format!(
        "<tr><td>0<td>{}<td>–<td>{} <span class=note>(guessing {:.3})</span><td>{}</tr>",
        read.states,
        number(read.closedness, 3),
        read.closedness_guess,
        number(read.hand_cm, 2)
    );
    for r in &foreseen.robot {
        rows += &format!(
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            r.steps_ahead,
            r.count,
            number(r.l1_over_persistence, 3),
            number(r.closedness, 3),
            number(r.hand_cm, 2)
        );
    }
    let heads = [
        "steps",
        "count",
        "L1 / no change",
        "closedness error",
        "hand error, cm",
    ];
    table(&heads, &rows)
}

fn example(example: &Example) -> String {
    let above = example
        .moments
        .iter()
        .map(|m| picture(&m.truth, "what came"));
    let below = example
        .moments
        .iter()
        .map(|m| picture(&m.imagined, "what was imagined"));
    let from = picture(&example.from, "before");
    let steps: Vec<String> = example
        .moments
        .iter()
        .map(|m| m.steps_ahead.to_string())
        .collect();
    let strip = |pictures: String| format!("<div class=strip>{from}{pictures}</div>");
    let caption = format!(
        "{}: {} from state {}; after {} steps",
        example.kind.map_or("episode", Kind::name),
        escape(&example.episode),
        example.start,
        steps.join(", ")
    );
    figure(
        "",
        &(strip(above.collect()) + &strip(below.collect())),
        &caption,
    )
}
