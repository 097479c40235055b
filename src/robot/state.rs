//! `foresight robot state`: what the arm reports.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use foresight_planner::Pose;
use foresight_robot::{hand, Viewer};
use foresight_scenarios::RunError;
use serde_json::json;

use crate::connection::Connection;
use crate::overrides::interruption;

/// Arguments of `foresight robot state`.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    #[command(flatten)]
    connection: Connection,
    /// Once a second until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Runs `foresight robot state`.
///
/// # Errors
/// When no state arrives.
pub(super) fn run(args: &StateArgs) -> Result<()> {
    let (config, _) = args.connection.resolve()?;
    let viewer = Viewer::connect(&config).map_err(RunError::from)?;
    // The gripper publishes five times slower.
    std::thread::sleep(Duration::from_millis(200));
    if !args.watch {
        return show(&viewer, args.json);
    }
    let interrupted = interruption();
    while !interrupted.load(Ordering::Relaxed) {
        show(&viewer, args.json)?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn show(viewer: &Viewer, as_json: bool) -> Result<()> {
    let state = viewer.state().map_err(RunError::from)?;
    let gripper = viewer.monitor().gripper();
    let closedness = gripper.map_or(0.0, |(g, _)| hand::closedness(g.width.get()));
    let pose = Pose::from_isometry(&state.placement, closedness);
    let phase = state
        .phase()
        .map_or_else(|| "unknown".to_string(), |p| p.to_string());
    let joints = state.joints_rad();
    if as_json {
        let object = json!({
            "phase": phase,
            "holder": state.msg.client_id.get(),
            "pose": pose.to_array(),
            "joints_rad": joints,
            "joint_speed_rad_s": state.joint_speed_rad_s(),
            "gripper_width_m": gripper.map(|(g, _)| g.width.get()),
            "grasped": gripper.map(|(g, _)| g.flags & foresight_robot::GRIPPER_GRASPED != 0),
            "robot_time_ms": state.msg.robot_time_ms.get(),
            "refused": state.msg.refused.get(),
            "age_ms": state.received.elapsed().as_secs_f64() * 1e3,
        });
        println!("{object}");
        return Ok(());
    }
    let holder = match state.msg.client_id.get() {
        0 => "free".to_string(),
        id => format!("held by client {id}"),
    };
    let numbers = |values: &[f64]| {
        let words: Vec<String> = values.iter().map(|v| format!("{v:.4}")).collect();
        words.join(", ")
    };
    println!(
        "{phase}, {holder}, {} targets refused",
        state.msg.refused.get()
    );
    println!("position [{}] m", numbers(&pose.position_m));
    println!("euler    [{}] rad", numbers(&pose.euler_rad));
    println!("joints   [{}] rad", numbers(&joints));
    match gripper {
        Some((g, _)) => println!(
            "gripper  {:.1} cm open{}",
            g.width.get() * 100.0,
            if g.flags & foresight_robot::GRIPPER_GRASPED != 0 {
                ", holding something"
            } else {
                ""
            }
        ),
        None => println!("gripper  none"),
    }
    Ok(())
}
