//! `foresight calibrate`: how far the model sees the table turned.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use foresight_scenarios::calibrate::{
    calibrate, Calibration, CalibrationOptions, FollowMoves, Move,
};

use crate::overrides::{interruption, Overrides};

/// Arguments of `foresight calibrate`.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// The scenario file: its arm moves, its model looks.
    scenario: PathBuf,
    /// Number of small random moves in x and y.
    #[arg(long, default_value_t = 40)]
    moves: u32,
    /// Largest x and y of a move, m.
    #[arg(long, default_value_t = 0.05)]
    reach: f64,
    /// Seed of the moves, the searches and a simulated scene; the scenario's when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Simulate in virtual time instead of in real time.
    #[arg(long)]
    virtual_time: bool,
    /// File for the map and every move, for `run --action-map` and `eval --action-map`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// One JSON object on standard output at the end.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight calibrate`.
///
/// # Errors
/// When scenario, model, arm or disk fail.
pub(crate) fn run(args: &CalibrateArgs) -> Result<()> {
    let (loaded, source) = args.overrides.load(&args.scenario)?;
    let options = CalibrationOptions {
        moves: args.moves,
        reach_m: args.reach,
        seed: args.seed.unwrap_or(loaded.scenario.seed),
        virtual_time: args.virtual_time,
    };
    eprintln!(
        "{}: {} moves, {}",
        loaded.scenario.name,
        args.moves,
        source.describe()
    );
    let mut progress = Progress(interruption());
    let found = calibrate(&loaded, &source, &options, &mut progress)?;
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&found)? + "\n";
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        print!("{}", report(&found));
    }
    Ok(())
}

fn report(found: &Calibration) -> String {
    let fit = &found.fit;
    let [[a, b], [c, d]] = fit.action_map_xy;
    format!(
        "{} moves\n\
         rotation error    {:+.1}° ({:+.3} rad): the model sees the table turned by this\n\
         condition number  {:.2}: 1 stretches no direction more than another\n\
         inferred against true translation: {:.1} mm off as it is, {:.1} mm after the map (each move judged by the others' map)\n\n\
         To apply the map, add to the scenario:\n\n\
         [robot]\naction_map_xy = [[{a:.4}, {b:.4}], [{c:.4}, {d:.4}]]\n",
        found.moves.len(),
        fit.rotation_error_rad.to_degrees(),
        fit.rotation_error_rad,
        fit.condition_number,
        fit.error_m * 1e3,
        fit.mapped_error_m * 1e3,
    )
}

struct Progress(Arc<AtomicBool>);

impl FollowMoves for Progress {
    fn moved(&mut self, number: u32, seen: &Move) {
        let mm = |v: [f64; 2]| format!("[{:+.1}, {:+.1}] mm", v[0] * 1e3, v[1] * 1e3);
        eprintln!(
            "move {:>3}  true {}  inferred {}",
            number + 1,
            mm(seen.true_m),
            mm(seen.inferred_m)
        );
    }

    fn interrupted(&mut self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
