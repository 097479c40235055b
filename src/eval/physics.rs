//! `foresight eval --physics`: does the impossible surprise the model more than the possible?

use std::path::Path;

use anyhow::{anyhow, Context, Result};
use foresight_scenarios::physics::{pair, try_physics, Pair, PhysicsKind, PhysicsRow};
use foresight_scenarios::{LoadedScenario, ModelSource};
use image::{imageops, RgbImage};
use serde::Serialize;

/// What `physics.json` and `--json` say.
#[derive(Debug, Serialize)]
struct Physics<'a> {
    scenario: &'a str,
    planned_by: String,
    seed: u64,
    kinds: Vec<PhysicsRow>,
}

/// Tries `pairs` pairs of every kind in a scenario's scenes and prints how often the model finds the
/// impossible one; `out` gets the numbers, and the first pair of every kind as a picture.
///
/// # Errors
/// When the scenario isn't simulated, or nothing predicts.
pub(super) fn run(
    scenario: &LoadedScenario,
    source: &ModelSource,
    [seed, pairs]: [u64; 2],
    out: Option<&Path>,
    json: bool,
) -> Result<()> {
    let loaded = source.eyes().ok_or_else(|| {
        anyhow!(
            "{} predicts nothing that could surprise it",
            source.describe()
        )
    })?;
    let physics = Physics {
        scenario: &scenario.scenario.name,
        planned_by: source.describe(),
        seed,
        kinds: try_physics(scenario, loaded, seed, pairs)?,
    };
    let text = serde_json::to_string(&physics)?;
    if let Some(out) = out {
        std::fs::create_dir_all(out).with_context(|| format!("can't write {}", out.display()))?;
        let file = out.join("physics.json");
        std::fs::write(&file, text.clone() + "\n")
            .with_context(|| format!("can't write {}", file.display()))?;
        for kind in PhysicsKind::ALL {
            let file = out.join(format!("{}.png", name(kind)?));
            picture(&pair(scenario, seed, kind)?)
                .save(&file)
                .with_context(|| format!("can't write {}", file.display()))?;
        }
    }
    if json {
        println!("{text}");
    } else {
        print!("{}", table(&physics.kinds)?);
    }
    Ok(())
}

/// Both continuations from left to right, the usual one above.
fn picture(pair: &Pair) -> RgbImage {
    let rows = [&pair.usual.frames, &pair.other.frames];
    let (width, height) = rows[0].first().map_or((0, 0), |f| f.dimensions());
    let mut sheet = RgbImage::new(width * rows[0].len() as u32, 2 * height);
    for (row, frames) in rows.iter().enumerate() {
        for (column, frame) in frames.iter().enumerate() {
            let (x, y) = (column as u32 * width, row as u32 * height);
            imageops::replace(&mut sheet, frame, i64::from(x), i64::from(y));
        }
    }
    sheet
}

fn table(rows: &[PhysicsRow]) -> Result<String> {
    let mut text =
        String::from("| surprises more | model | without actions | pixels |\n|---|---|---|---|\n");
    for row in rows {
        let what = name(row.kind)?.replace('_', " ");
        let control = if row.control { "possible: " } else { "" };
        text += &format!(
            "| {control}{what} | {} | {} | {} |\n",
            row.predictor, row.without_actions, row.pixels
        );
    }
    Ok(text)
}

fn name(kind: PhysicsKind) -> Result<String> {
    let value = serde_json::to_value(kind)?;
    let name = value.as_str().map(str::to_owned);
    name.ok_or_else(|| anyhow!("a kind without a name: {value}"))
}
