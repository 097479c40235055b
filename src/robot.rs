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
pub struct RobotArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
pub fn run(args: RobotArgs) -> Result<()> {
    match args.command {
        Command::State(args) => state::run(&args),
        Command::Home(args) => home::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Gripper(args) => gripper::run(&args),
        Command::Goal(args) => goal::run(&args),
        Command::Certificates(args) => certificates::run(&args),
    }
}
