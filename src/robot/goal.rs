//! `foresight robot goal capture`: the camera's picture and the arm's pose as a sub-goal.

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::{Args, Subcommand};
use foresight_robot::Viewer;
use foresight_scenarios::RunError;
use serde_json::json;

use crate::connection::Connection;

/// Commands of `foresight robot goal`.
#[derive(Debug, Subcommand)]
pub(crate) enum GoalCommand {
    /// Save what the camera sees now, with the arm at rest, and the arm's pose.
    Capture(CaptureArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// The sub-goal's name: lower-case letters, digits, `_` and `-`.
    name: String,
    #[command(flatten)]
    connection: Connection,
    /// Folder for `<name>.png` and `<name>.json`.
    #[arg(long, default_value = "goals")]
    out: PathBuf,
    /// Replace an earlier goal of that name.
    #[arg(long)]
    replace: bool,
}

/// Runs `foresight robot goal`.
///
/// # Errors
/// When no frame arrives, the arm moves, or the folder can't be written to.
pub(super) fn run(command: &GoalCommand) -> Result<()> {
    let GoalCommand::Capture(args) = command;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if args.name.is_empty() || !args.name.chars().all(plain) {
        bail!(
            "{:?} is no name for a sub-goal; use lower-case letters, digits, _ and -",
            args.name
        );
    }
    let image_file = args.out.join(format!("{}.png", args.name));
    if image_file.exists() && !args.replace {
        bail!(
            "{} exists; choose another name, or --replace",
            image_file.display()
        );
    }
    let (config, loaded) = args.connection.resolve()?;
    let viewer = Viewer::connect(&config).map_err(RunError::from)?;
    let seen = viewer.look().map_err(RunError::from)?;
    let image = &seen.frame.image;
    fs::create_dir_all(&args.out).with_context(|| format!("creating {}", args.out.display()))?;
    image
        .save(&image_file)
        .with_context(|| format!("writing {}", image_file.display()))?;
    let pose = seen.pose.to_array();
    let details = args.out.join(format!("{}.json", args.name));
    let joints = viewer.state().map_err(RunError::from)?.joints_rad();
    let object = json!({
        "name": args.name,
        "pose": pose,
        "joints_rad": joints,
        "grasped": seen.grasped,
        "arm": config.arm,
        "camera": config.camera,
        "other_cameras": config.other_cameras,
        "frame_px": [image.width(), image.height()],
        "frame_captured_ns": seen.frame.captured_ns,
        "pose_age_ms": seen.pose_age_ms,
    });
    fs::write(&details, serde_json::to_string_pretty(&object)? + "\n")
        .with_context(|| format!("writing {}", details.display()))?;
    let numbers: Vec<String> = pose.iter().map(|v| format!("{v:.5}")).collect();
    println!("[[subgoal]]");
    println!("name = {:?}", args.name);
    println!("steps = 8");
    println!("image = {:?}", image_file.display().to_string());
    println!("pose = [{}]", numbers.join(", "));
    println!("gripper = \"hold\"");
    eprintln!(
        "saved {} and {}; the lines above are a sub-goal for a scenario{}",
        image_file.display(),
        details.display(),
        match loaded {
            Some(loaded) => format!(" (paths count from {}'s folder)", loaded.file.display()),
            None => String::new(),
        }
    );
    Ok(())
}
