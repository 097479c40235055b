//! `foresight replay`: what was recorded, played again and compared.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{bail, Context, Result};
use clap::{Args, ValueEnum};
use foresight_report::replay_folder;
use foresight_report::timeline::exporter;
use foresight_runs::replay::Place;
use foresight_runs::replay::{
    self, OpenOptions, PoseFrame, Recording, Replay, ReplayOptions, ReplayedStep, Tolerance,
};
use foresight_scenarios::scenario::RobotKind;
use foresight_scenarios::LoadedScenario;

use crate::export_options::ExportOptions;
use crate::overrides::{interruption, read};

/// Arguments of `foresight replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A run folder, an episode folder (of `record`, or DROID's raw layout), a LeRobot v3 dataset
    /// (with --episode), or a CSV file of poses (x_m, y_m, z_m, rx_rad, ry_rad, rz_rad, gripper, time_s).
    recording: PathBuf,
    /// In the simulator. This is the default.
    #[arg(long, conflicts_with = "robot")]
    sim: bool,
    /// On the real arm of --scenario (robot.kind = "franka"): its poses are followed, starting
    /// with the way from where the arm stands to the first one. Keep a hand on the stop button.
    #[arg(long, requires = "scenario")]
    robot: bool,
    /// Simulate in real time over zenoh instead of in virtual time.
    #[arg(long, conflicts_with = "robot")]
    real_time: bool,
    /// Scene and limits of this scenario instead of the recording's own; poses are then followed.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Seed of that scene; the scenario's when absent.
    #[arg(long, requires = "scenario")]
    seed: Option<u64>,
    /// First pose compared, counted from 0.
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// Last pose compared; the recording's last when absent.
    #[arg(long)]
    to: Option<usize>,
    /// Share of the speed and acceleration the limits allow, 0.05 to 1.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Poses a second kept of recordings with times that are followed; 0 keeps all.
    #[arg(long, default_value_t = 4.0)]
    rate_hz: f64,
    /// What recorded poses are of; by default the flange in DROID's own episodes, else the TCP.
    #[arg(long, value_enum)]
    frame: Option<FrameName>,
    /// Which camera's frames to compare with; the first when absent.
    #[arg(long)]
    camera: Option<String>,
    /// Which episode of a LeRobot dataset, by its number there; the first that can be used when absent.
    #[arg(long)]
    episode: Option<usize>,
    /// Largest position error that counts as reproduced, mm.
    #[arg(long, default_value_t = 10.0, value_name = "MM")]
    tolerance_mm: f64,
    /// Largest rotation error, °.
    #[arg(long, default_value_t = 5.0, value_name = "DEG")]
    tolerance_deg: f64,
    /// Largest error of the gripper's closedness.
    #[arg(long, default_value_t = 0.15, value_name = "SHARE")]
    tolerance_gripper: f64,
    /// Folder that gets a folder with errors (CSV, JSON), a strip of pictures, an animation and
    /// a video.
    #[arg(long, default_value = "replays")]
    out: PathBuf,
    #[command(flatten)]
    exports: ExportOptions,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FrameName {
    /// The tool centre point between the fingertips.
    Tcp,
    /// The flange, 10.34 cm behind it.
    Flange,
}

/// Runs `foresight replay`; `false` when the differences exceed the tolerance.
///
/// # Errors
/// When the recording or an option can't be used, or the arm can't be driven.
pub(crate) fn run(args: ReplayArgs) -> Result<bool> {
    for (name, value) in [
        ("--tolerance-mm", args.tolerance_mm),
        ("--tolerance-deg", args.tolerance_deg),
        ("--tolerance-gripper", args.tolerance_gripper),
        ("--rate-hz", args.rate_hz),
    ] {
        if !(value >= 0.0 && value.is_finite()) {
            bail!("{name} is {value}; give a number from 0");
        }
    }
    let scenario = args.scenario.as_deref().map(read).transpose()?;
    args.exports.check()?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("--out {} has to be a folder", args.out.display()))?;
    let place = place(&args, scenario.as_ref())?;
    let open = OpenOptions {
        scenario: scenario.filter(|_| !args.robot),
        seed: args.seed,
        frame: args.frame.map(|f| match f {
            FrameName::Tcp => PoseFrame::Tcp,
            FrameName::Flange => PoseFrame::Flange,
        }),
        rate_hz: args.rate_hz,
        camera: args.camera.clone(),
        episode: args.episode,
    };
    let recording = replay::open(&args.recording, &open)?;
    let options = ReplayOptions {
        place,
        from: args.from,
        to: args.to,
        speed: args.speed,
        tolerance: Tolerance {
            position_mm: args.tolerance_mm,
            rotation_deg: args.tolerance_deg,
            gripper: args.tolerance_gripper,
        },
    };
    if !args.json {
        announce(&recording);
    }
    let interrupted = interruption();
    let mut watch = |step: &ReplayedStep| {
        if !args.json {
            println!("{}", line(step));
        }
        if interrupted.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let replay = replay::replay(&recording, &options, &mut watch)?;
    let folder = replay_folder::write(&args.out, &replay)?;
    args.exports.write(|sink| exporter::replay(&replay, sink))?;
    args.exports.show(|sink| exporter::replay(&replay, sink))?;
    if args.json {
        let mut object = serde_json::to_value(&replay)?;
        object["kind"] = serde_json::to_value(recording.kind)?;
        object["folder"] = serde_json::to_value(&folder)?;
        println!("{object}");
    } else {
        print!("{}", summary(&replay, &folder));
    }
    Ok(replay.within_tolerance)
}

fn place(args: &ReplayArgs, scenario: Option<&LoadedScenario>) -> Result<Place> {
    if !args.robot {
        return Ok(if args.real_time {
            Place::RealTime
        } else {
            Place::VirtualTime
        });
    }
    match scenario {
        Some(loaded) if loaded.scenario.robot.kind == RobotKind::Franka => {
            Ok(Place::Robot(Box::new(loaded.clone())))
        }
        _ => bail!("--robot needs a --scenario with [robot] kind = \"franka\""),
    }
}

fn announce(recording: &Recording) {
    let what = if recording.is_exact() {
        "the same actions in the same scene"
    } else {
        "its poses are followed"
    };
    println!(
        "{}: {} poses, {what}",
        recording.name,
        recording.poses.len()
    );
    println!("pose     time   position  rotation  gripper");
}

fn line(step: &ReplayedStep) -> String {
    let e = &step.error;
    let when = step
        .time_s
        .map_or_else(|| "-".into(), |t| format!("{t:.2} s"));
    let mut line = format!(
        "{:>4} {when:>9} {:>7.2} mm {:>6.2} ° {:>8.3}",
        step.step, e.position_mm, e.rotation_deg, e.gripper
    );
    match step.identical {
        Some(true) => line += "  identical",
        Some(false) if e.position_mm == 0.0 && e.gripper == 0.0 => line += "  another picture",
        _ => {}
    }
    if let Some(first) = step.notes.first() {
        line += &format!("  {first}");
        if step.notes.len() > 1 {
            line += &format!(" (and {} more)", step.notes.len() - 1);
        }
    }
    line
}

fn summary(replay: &Replay, folder: &Path) -> String {
    let mut text = String::new();
    for interval in &replay.outside {
        let poses = if interval.from == interval.to {
            format!("pose {}", interval.from)
        } else {
            format!("poses {} to {}", interval.from, interval.to)
        };
        let when = replay
            .steps
            .iter()
            .find(|s| s.step == interval.worst)
            .and_then(|s| s.time_s)
            .map_or_else(String::new, |t| format!(" ({t:.2} s)"));
        text += &format!(
            "leaves the workspace at {poses}: farthest at pose {}{when}, {} = {:.3} m, {:.1} cm beyond {:.3} m\n",
            interval.worst,
            interval.axis,
            interval.at_m,
            100.0 * interval.beyond_m(),
            interval.limit_m
        );
    }
    for note in &replay.notes {
        text += &format!("note: {note}\n");
    }
    let (w, t) = (&replay.worst, &replay.tolerance);
    let verdict = if replay.identical {
        "identical: every compared pose and frame has the same bits".to_owned()
    } else if replay.within_tolerance {
        "reproduced".to_owned()
    } else {
        "not reproduced".to_owned()
    };
    text += &format!(
        "{verdict}; largest errors {:.2} mm (of {}), {:.2} ° (of {}), gripper {:.3} (of {}), {} refused targets; see {}\n",
        w.position_mm,
        t.position_mm,
        w.rotation_deg,
        t.rotation_deg,
        w.gripper,
        t.gripper,
        replay.refused_targets,
        folder.display()
    );
    text
}
