//! `foresight record --robot` and `--follow`: what an arm does, whoever drives it.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use clap::{Args, ValueEnum};
use foresight_datasets::video::{self, VideoCodec};
use foresight_datasets::view::{Role, View};
use foresight_demonstrations::live::{
    LiveCamera, LiveFormat, LiveLabel, LivePlan, LiveRecorder, LiveSummary,
};
use foresight_demonstrations::RecordError;
use foresight_planner::Action;
use foresight_robot::{Arm, ArmError, EnvelopeConfig, ZenohArm, ZenohArmConfig};
use foresight_runs::utc;
use foresight_scenarios::scenario::RobotKind;
use foresight_scenarios::LoadedScenario;
use serde::Serialize;

use super::words::{self, Word};
use super::RecordArgs;
use crate::overrides::{interruption, read};

/// How often words are looked for.
const TICK: Duration = Duration::from_millis(20);
/// How long node and cameras may take to be heard of.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the arm is held in place between two motions' words.
const HELD: Duration = Duration::from_secs(1);

/// Arguments of recordings of an arm.
#[derive(Debug, Args)]
pub(crate) struct LiveArgs {
    /// Record the scenario's arm, driven from here by keys or by lines on standard input; every
    /// motion passes the safety envelope, and nobody else can drive meanwhile.
    #[arg(long, conflicts_with = "follow")]
    pub robot: bool,
    /// Record what an arm does that another program drives, or a hand guides; nothing is sent to
    /// it.
    #[arg(long)]
    pub follow: bool,
    /// Endpoint of franka-node, and of franka-cam when it is another process, instead of the
    /// scenario's.
    #[arg(long, value_name = "ENDPOINT", help_heading = LIVE)]
    pub connect: Vec<String>,
    /// The arm's name in franka/ARM/… instead of the scenario's.
    #[arg(long, help_heading = LIVE)]
    pub arm: Option<String>,
    /// A camera by its name in franka/cam/NAME/…, or left=NAME, right=NAME, wrist=NAME; several are
    /// recorded beside the first, whose pictures are the rows. The scenario's when absent.
    #[arg(long, value_name = "NAME", help_heading = LIVE)]
    pub camera: Vec<String>,
    /// What is attempted; the scenario's description when absent.
    #[arg(long, help_heading = LIVE)]
    pub task: Option<String>,
    /// What recordings become.
    #[arg(long, value_enum, default_value = "lerobot", help_heading = LIVE)]
    pub to: LiveFormatName,
    /// Frames a second of a LeRobot dataset; as they come when absent.
    #[arg(long, value_name = "HZ", help_heading = LIVE)]
    pub fps: Option<u32>,
    /// An episode ends by itself after so many seconds, with an unknown outcome.
    #[arg(long, help_heading = LIVE)]
    pub seconds: Option<f64>,
    /// How far a key moves the hand, m.
    #[arg(long, value_name = "M", default_value_t = 0.02, help_heading = LIVE)]
    pub step_m: f64,
    /// DROID's top folder, the laboratory.
    #[arg(long, default_value = "LAB", help_heading = LIVE)]
    pub lab: String,
}

/// Heading of the options that are about recordings of an arm.
const LIVE: &str = "With --robot or --follow";

impl Default for LiveArgs {
    fn default() -> Self {
        LiveArgs {
            robot: false,
            follow: false,
            connect: Vec::new(),
            arm: None,
            camera: Vec::new(),
            task: None,
            to: LiveFormatName::Lerobot,
            fps: None,
            seconds: None,
            step_m: 0.02,
            lab: "LAB".into(),
        }
    }
}

/// A dataset's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LiveFormatName {
    /// LeRobot v3, to which every episode is added.
    Lerobot,
    /// DROID raw: a folder for every episode.
    Droid,
}

/// One line of the summary.
#[derive(Debug, Serialize)]
struct Recorded {
    name: String,
    task: String,
    success: Option<bool>,
    #[serde(flatten)]
    summary: LiveSummary,
}

/// Records until `quit`, Ctrl-C or the end of standard input.
///
/// # Errors
/// When the arm or a camera can't be reached or driven, or an episode could not be written.
pub(super) fn run(args: &RecordArgs) -> Result<()> {
    let live = &args.live;
    if live.fps == Some(0) || live.seconds.is_some_and(|s| !(s.is_finite() && s > 0.0)) {
        bail!("--fps and --seconds must be above 0");
    }
    if !(live.step_m > 0.0 && live.step_m <= 0.1) {
        bail!("--step-m must be above 0 and at most 0.1");
    }
    if live.lab.is_empty() || live.lab.contains(['/', '\\']) || live.lab.starts_with('.') {
        bail!("--lab {:?} is no name for a folder", live.lab);
    }
    video::available()?;
    let loaded = read(&args.scenario)?;
    let config = link(&loaded, live)?;
    let plan = LivePlan {
        cameras: cameras(&loaded, &config, live)?,
        link: config.link.clone(),
        arm: config.arm.clone(),
        out: args.out.clone(),
        format: match live.to {
            LiveFormatName::Lerobot => LiveFormat::LeRobot,
            LiveFormatName::Droid => LiveFormat::Droid,
        },
        fps: live.fps,
        codec: VideoCodec::H264,
        lab: live.lab.clone(),
    };
    let recorder = LiveRecorder::connect(plan).map_err(robot_first)?;
    recorder.wait_for_all(SILENCE).map_err(robot_first)?;
    let driver = match live.robot {
        true => Some(Driver::start(config, loaded.scenario.safety)?),
        false => None,
    };
    eprintln!("ready; {}; {}", words::KEYS, words::LINES);
    if live.robot {
        eprintln!("{}", words::MOVES);
    }
    let scenario = &loaded.scenario;
    let named = match scenario.description.as_str() {
        "" => &scenario.name,
        described => described,
    };
    let mut session = Session {
        args,
        recorder,
        driver,
        task: live.task.clone().unwrap_or_else(|| named.to_owned()),
        started_with: None,
        recorded: Vec::new(),
        lost: 0,
    };
    let ended = session.go_on(&words::listen(live.step_m));
    if session.recorder.running().is_some() {
        session.recorder.discard();
        eprintln!("the running episode is discarded");
    }
    let (recorded, lost) = (session.recorded, session.lost);
    if args.json {
        let summary = serde_json::json!({"out": args.out, "episodes": recorded, "lost": lost});
        println!("{summary}");
    }
    ended?;
    if let Some(driver) = session.driver {
        driver.end()?;
    }
    if lost > 0 {
        bail!(
            "{lost} episodes could not be recorded; {} are in {}",
            recorded.len(),
            args.out.display()
        );
    }
    Ok(())
}

/// An error of the arm itself, where that is what happened: its exit code is another.
fn robot_first(error: RecordError) -> anyhow::Error {
    match error {
        RecordError::Arm(error) => error.into(),
        other => other.into(),
    }
}

/// How to reach the arm.
fn link(loaded: &LoadedScenario, live: &LiveArgs) -> Result<ZenohArmConfig> {
    let simulated = loaded.scenario.robot.kind != RobotKind::Franka;
    if simulated && live.connect.is_empty() {
        bail!(
            "{} drives the built-in simulator: serve it with `foresight sim`, and name its endpoint \
             with --connect; or give a scenario with robot.kind = \"franka\"",
            loaded.file.display()
        );
    }
    let mut config = match simulated {
        true => ZenohArmConfig::default(),
        false => loaded.franka(),
    };
    if !live.connect.is_empty() {
        config.link.connect.clone_from(&live.connect);
    }
    if let Some(arm) = &live.arm {
        config.arm.clone_from(arm);
    }
    Ok(config)
}

/// The cameras asked for; the first two without a role are the left and the right one.
fn cameras(
    loaded: &LoadedScenario,
    config: &ZenohArmConfig,
    live: &LiveArgs,
) -> Result<Vec<LiveCamera>> {
    let own = [config.camera.clone()];
    let asked = if live.camera.is_empty() {
        &own[..]
    } else {
        &live.camera
    };
    let mut cameras: Vec<LiveCamera> = Vec::new();
    let mut free = [Role::Left, Role::Right].into_iter();
    for (number, text) in asked.iter().enumerate() {
        let (role, name) = match text.split_once('=') {
            None => (free.next(), text.as_str()),
            Some((role, name)) => match role.parse::<View>().map_err(anyhow::Error::msg)?.role {
                Role::Named(_) => bail!("--camera {text}: the role is left, right or wrist"),
                role => (Some(role), name),
            },
        };
        let taken = |c: &LiveCamera| c.name == name || (role.is_some() && c.role == role);
        if name.is_empty() || cameras.iter().any(taken) {
            bail!("--camera {text}: a camera and a role can be named once, and not be empty");
        }
        let extrinsics = loaded.scenario.camera.extrinsics.filter(|_| number == 0);
        cameras.push(LiveCamera {
            name: name.to_owned(),
            role,
            extrinsics,
        });
    }
    Ok(cameras)
}

/// A recording session.
struct Session<'a> {
    args: &'a RecordArgs,
    recorder: LiveRecorder,
    driver: Option<Driver>,
    task: String,
    /// The running episode's own task.
    started_with: Option<String>,
    recorded: Vec<Recorded>,
    lost: usize,
}

impl Session<'_> {
    /// Hears words and records until there is nothing more to do.
    fn go_on(&mut self, words: &Receiver<Word>) -> Result<()> {
        let interrupted = interruption();
        let wanted = self.args.episodes.unwrap_or(u64::MAX);
        while !interrupted.load(Ordering::Relaxed) && (self.recorded.len() as u64) < wanted {
            if let Err(error) = self.recorder.take_until(Instant::now() + TICK) {
                self.lose(&error.to_string());
            }
            if let Some(driver) = self.driver.take_if(|driver| driver.thread.is_finished()) {
                return driver.end();
            }
            let running = self.recorder.running();
            let seconds = self.args.live.seconds;
            if let (Some(since), Some(seconds)) = (running, seconds) {
                if since.elapsed().as_secs_f64() >= seconds {
                    self.finish(None);
                }
            }
            match words.try_recv() {
                Ok(Word::Quit) => return Ok(()),
                Ok(word) => self.hear(word),
                Err(TryRecvError::Empty) => {}
                // Nobody says anything any more: what ends by itself still may.
                Err(TryRecvError::Disconnected) if running.is_none() || seconds.is_none() => {
                    return Ok(())
                }
                Err(TryRecvError::Disconnected) => {}
            }
        }
        Ok(())
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Start(task) => {
                self.started_with = task;
                match self.recorder.start() {
                    Ok(()) => eprintln!("recording"),
                    Err(error) => self.lose(&error.to_string()),
                }
            }
            Word::Stop(success) if self.recorder.running().is_some() => self.finish(success),
            Word::Stop(_) => eprintln!("no episode runs; start one first"),
            Word::Discard => {
                self.recorder.discard();
                eprintln!("discarded");
            }
            Word::Task(task) => self.task = task,
            Word::Move(action) => match &self.driver {
                Some(driver) => driver.ask(action),
                None => eprintln!("the arm is only followed; --robot drives it"),
            },
            Word::Unknown(why) => eprintln!("{why}"),
            Word::Quit => {}
        }
    }

    fn finish(&mut self, success: Option<bool>) {
        let label = LiveLabel {
            name: utc::timestamp(),
            date: utc::today(),
            task: self
                .started_with
                .take()
                .unwrap_or_else(|| self.task.clone()),
            success,
        };
        let (name, task) = (label.name.clone(), label.task.clone());
        match self.recorder.finish(label) {
            Ok(summary) => {
                let recorded = Recorded {
                    name,
                    task,
                    success,
                    summary,
                };
                self.say(&recorded);
                self.recorded.push(recorded);
            }
            Err(error) => self.lose(&error.to_string()),
        }
    }

    fn say(&self, recorded: &Recorded) {
        let LiveSummary {
            rows,
            seconds,
            lost_frames,
            states,
            lost_states,
            measured_hz,
        } = &recorded.summary;
        let outcome = match recorded.success {
            Some(true) => "success",
            Some(false) => "failure",
            None => "outcome unknown",
        };
        let lost: Vec<String> = lost_frames.iter().map(u64::to_string).collect();
        let line = format!(
            "episode {}: {rows} frames in {seconds:.1} s (lost: {}), {states} states (lost or late: \
             {lost_states}), {outcome}",
            self.recorded.len() + 1,
            lost.join(" and ")
        );
        match self.args.json {
            true => eprintln!("{line}"),
            false => println!("{line}"),
        }
        if *measured_hz < 0.5 * *rows as f64 / seconds.max(1e-9) {
            eprintln!(
                "the node measured the arm only {measured_hz:.1} times a second: it does so while no \
                 session is enabled; enable one to record motions"
            );
        }
    }

    fn lose(&mut self, why: &str) {
        self.lost += 1;
        eprintln!("this episode is lost: {why}");
    }
}

/// Drives the arm from words, in a thread of its own.
struct Driver {
    actions: Sender<Action>,
    thread: JoinHandle<Result<(), ArmError>>,
}

impl Driver {
    fn start(config: ZenohArmConfig, envelope: EnvelopeConfig) -> Result<Self> {
        let arm = ZenohArm::connect(config, envelope)?;
        let (actions, asked) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("foresight-drive".into())
            .spawn(move || drive(arm, &asked))
            .context("starting the thread that drives the arm")?;
        Ok(Driver { actions, thread })
    }

    fn ask(&self, action: Action) {
        // A thread that has ended is noticed by the session.
        let _ = self.actions.send(action);
    }

    /// Stops the arm, gives its lease back, and says what went wrong.
    fn end(self) -> Result<()> {
        drop(self.actions);
        match self.thread.join() {
            Ok(done) => Ok(done?),
            Err(_) => bail!("the thread that drives the arm failed"),
        }
    }
}

fn drive(mut arm: ZenohArm, asked: &Receiver<Action>) -> Result<(), ArmError> {
    let mut moved = false;
    loop {
        match asked.recv_timeout(HELD / 4) {
            Ok(action) => {
                moved = true;
                let done = arm.execute(&action)?;
                if let Some(refusal) = done.refusal {
                    eprintln!("not moved: {refusal}");
                }
                for change in done.changed {
                    eprintln!("moved otherwise: {change}");
                }
            }
            Err(RecvTimeoutError::Timeout) if moved => arm.keep_alive_until(Instant::now() + HELD),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return arm.close(),
        }
    }
}
