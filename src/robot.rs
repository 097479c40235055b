//! `foresight robot`: an arm by hand.

mod certificates;
mod goal;
mod gripper;
mod home;
mod recover;
mod state;
mod stop;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Arguments of `foresight robot`.
#[derive(Debug, Args)]
pub(crate) struct RobotArgs {
    #[command(subcommand)]
    command: RobotCommand,
}

#[derive(Debug, Subcommand)]
enum RobotCommand {
    /// What the arm reports: phase, lease, pose, joints, gripper.
    State(state::StateArgs),
    /// Move the joints to the ready pose, under a lease.
    Home(home::HomeArgs),
    /// Stop the arm now: no lease needed, whoever drives it.
    Stop(stop::StopArgs),
    /// Clear an error, once its cause is gone.
    Recover(recover::RecoverArgs),
    /// Home, open, close or stop the gripper.
    Gripper(gripper::GripperArgs),
    /// Take goal images.
    Goal(goal::GoalArgs),
    /// Make certificates for node, camera, planner and viewer, and the node's access control.
    Certificates(certificates::CertificatesArgs),
}

/// Runs `foresight robot`.
///
/// # Errors
/// When the arm can't be reached or refuses.
pub(crate) fn run(args: RobotArgs) -> Result<()> {
    match args.command {
        RobotCommand::State(args) => state::run(&args),
        RobotCommand::Home(args) => home::run(&args),
        RobotCommand::Stop(args) => stop::run(&args),
        RobotCommand::Recover(args) => recover::run(&args),
        RobotCommand::Gripper(args) => gripper::run(&args),
        RobotCommand::Goal(args) => goal::run(&args),
        RobotCommand::Certificates(args) => certificates::run(&args),
    }
}
