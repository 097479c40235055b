//! `foresight robot`: an arm by hand.

mod certificates;
mod goal;
mod gripper;
mod home;
mod recover;
mod state;
mod stop;

use anyhow::Result;
use clap::Subcommand;

use crate::connection::Connection;

/// Commands of `foresight robot`.
#[derive(Debug, Subcommand)]
pub(crate) enum RobotCommand {
    /// What the arm reports: phase, lease, pose, joints, gripper.
    State(state::StateArgs),
    /// Move the joints to the ready pose, under a lease.
    Home(home::HomeArgs),
    /// Stop the arm now: no lease needed, whoever drives it.
    Stop(stop::StopArgs),
    /// Clear an error, once its cause is gone.
    Recover(Connection),
    /// Home, open, close or stop the gripper.
    Gripper(gripper::GripperArgs),
    /// Take goal images.
    #[command(subcommand)]
    Goal(goal::GoalCommand),
    /// Make certificates for node, camera, planner and viewer, and the node's access control.
    Certificates(certificates::CertificatesArgs),
}

/// Runs `foresight robot`.
///
/// # Errors
/// When the arm can't be reached or refuses.
pub(crate) fn run(command: RobotCommand) -> Result<()> {
    match command {
        RobotCommand::State(args) => state::run(&args),
        RobotCommand::Home(args) => home::run(&args),
        RobotCommand::Stop(args) => stop::run(&args),
        RobotCommand::Recover(connection) => recover::run(&connection),
        RobotCommand::Gripper(args) => gripper::run(&args),
        RobotCommand::Goal(command) => goal::run(&command),
        RobotCommand::Certificates(args) => certificates::run(&args),
    }
}
