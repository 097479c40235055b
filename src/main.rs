//! The `foresight` command line: one subcommand a file.
//!
//! Exit codes: 0 when what was asked for was done (for `run`: the task was achieved; for
//! `replay`: the poses were reproduced), 1 when not, 2 for bad input (arguments, files), 3 when a robot or a model failed.

mod bench;
mod calibrate;
mod classify;
mod clone;
mod connection;
mod dataset;
mod doctor;
#[cfg(test)]
#[path = "../tests/unit/documented.rs"]
mod documented;
mod embed;
mod energy;
mod eval;
mod exit;
mod export_options;
mod finetune;
mod logging;
mod model;
mod monitor;
mod overrides;
mod plan;
mod pretrain;
mod probe;
mod progress_view;
mod record;
mod replay;
mod report;
mod robot;
mod run;
mod scenario;
mod serve;
mod sim;
mod stream;
mod task;
mod train;
mod train_compact;
mod train_goals;
mod training;
mod workers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Plans a Franka arm's motions in the latent space of V-JEPA 2-AC.
///
/// Exit codes: 0 done (for `run`: task achieved; for `replay`: reproduced), 1 not, 2 bad input, 3 robot or
/// model error. Progress and logs go to standard error (RUST_LOG sets their level); with --json
/// standard output is one JSON object.
#[derive(Debug, Parser)]
#[command(version, about, long_about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a scenario: plan, move, look again, until its sub-goals are worked through.
    Run(run::RunArgs),
    /// Play many unseen scenes of a scenario in virtual time and count successes.
    Eval(eval::EvalArgs),
    /// One decision from images on disk.
    Plan(plan::PlanArgs),
    /// The energy landscape between two images: CSV and picture.
    Energy(energy::EnergyArgs),
    /// Play a run, an episode or a file of poses again and compare.
    Replay(replay::ReplayArgs),
    /// Write a run's report anew.
    Report(report::ReportArgs),
    /// Record scripted demonstrations in the simulator, or what an arm does.
    Record(record::RecordArgs),
    /// Train an encoder on recorded frames.
    Pretrain(training::TrainingArgs),
    /// Train an action-conditioned predictor on a frozen encoder.
    Train(train::TrainArgs),
    /// Fine-tune a model's predictor on DROID or on one's own episodes.
    Finetune(finetune::FinetuneArgs),
    /// Train a policy that imitates demonstrations: the baseline planning is held against.
    Clone(clone::CloneArgs),
    /// Train a compact model, encoder and predictor jointly.
    TrainCompact(training::TrainingArgs),
    /// Train what makes sentences a model's goals, from demonstrations with sentences.
    TrainGoals(train_goals::TrainGoalsArgs),
    /// Write features of videos and images from a model's encoder.
    Embed(embed::EmbedArgs),
    /// Tell classes of films apart by a probe on a frozen encoder.
    #[command(subcommand)]
    Classify(classify::ClassifyCommand),
    /// What `model foresees` was called.
    #[command(hide = true)]
    Probe(probe::ProbeArgs),
    /// List, check and summarise recorded episodes.
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// Look into, convert, check and make models.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Fit what watches runs for the unexpected, and try it on recorded ones.
    #[command(subcommand)]
    Monitor(monitor::MonitorCommand),
    /// Check scenario files, or print their JSON schema.
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Measure planning: speed, quality for cost, bf16 against f32.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Serve the simulator on franka-node's and franka-cam's zenoh keys.
    Sim(sim::SimArgs),
    /// Offer a model's encoding and rollouts to planners on other machines.
    Serve(serve::ServeArgs),
    /// Check an arm, its node, its camera and a scenario before anything moves.
    Doctor(doctor::DoctorArgs),
    /// Look at an arm, stop it, home it, take goal images.
    #[command(subcommand)]
    Robot(robot::RobotCommand),
    /// Measure how far the model sees the table turned.
    Calibrate(calibrate::CalibrateArgs),
}

fn main() -> ExitCode {
    foresight_robot::link::arrange_threads();
    foresight_training::arrange_process();
    logging::start();
    let done = match Cli::parse().command {
        Command::Run(args) => return exit::with(run::run(args)),
        Command::Doctor(args) => return exit::with(doctor::run(&args)),
        Command::Robot(command) => robot::run(command),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Replay(args) => return exit::with(replay::run(args)),
        Command::Eval(args) => eval::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Energy(args) => energy::run(args),
        Command::Report(args) => report::run(args),
        Command::Record(args) => record::run(args),
        Command::Pretrain(args) => pretrain::run(args).map(drop),
        Command::Train(args) => train::run(args).map(drop),
        Command::Finetune(args) => finetune::run(args),
        Command::Clone(args) => clone::run(args),
        Command::TrainCompact(args) => train_compact::run(args),
        Command::TrainGoals(args) => train_goals::run(args),
        Command::Classify(command) => classify::run(command),
        Command::Embed(args) => embed::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Dataset(command) => dataset::run(command),
        Command::Model(command) => model::run(command),
        Command::Monitor(command) => monitor::run(command),
        Command::Scenario(command) => scenario::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Sim(args) => sim::run(args),
        Command::Serve(args) => serve::run(&args),
    };
    exit::with(done.map(|()| true))
}
