//! The replay itself: same actions or same poses, compared as it goes.

use std::ops::ControlFlow;

use foresight_planner::Pose;
use foresight_robot::{Execution, Observation};
use image::RgbImage;
use serde::Serialize;

use super::follow::Follower;
use super::out_of_bounds::{out_of_bounds, OutOfBoundsInterval};
use super::pose_error::{PoseError, Tolerance};
use super::recording::Recording;
use super::scene::ReplayScene;
use foresight_scenarios::env::Env;
use foresight_scenarios::EpisodeSpec;
use foresight_scenarios::LoadedScenario;
use foresight_scenarios::RunError;

/// Side of the pictures for people, px.
const VIEW_PX: u32 = 192;
/// Speeds below this share of the limits move nothing in a bearable time.
const SLOWEST: f64 = 0.05;

/// Where a recording is replayed.
#[derive(Debug, Clone)]
pub enum Place {
    /// The simulator in virtual time: as fast as it can be computed, the same bits every time.
    VirtualTime,
    /// The simulator in real time, over zenoh.
    RealTime,
    /// The real arm of a scenario.
    Robot(Box<LoadedScenario>),
}

/// How a recording is replayed.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Where.
    pub place: Place,
    /// The first pose compared.
    pub from: usize,
    /// The last pose compared; the recording's last when absent.
    pub to: Option<usize>,
    /// Share of the speed and acceleration the limits allow, above 0 to 1.
    pub speed: f64,
    /// The largest difference that counts as reproduced.
    pub tolerance: Tolerance,
}

/// One pose of a recording and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayedStep {
    /// Its number on the recording.
    pub step: usize,
    /// When it was recorded, s from the first one.
    pub time_s: Option<f64>,
    /// The recorded pose.
    pub recorded: [f64; 7],
    /// The pose replayed.
    pub replayed: [f64; 7],
    /// Their difference.
    pub error: PoseError,
    /// Whether every bit of pose and frame is the same; `None` when there is nothing to compare.
    pub identical: Option<bool>,
    /// What the envelope changed or refused on the way here, and other things worth knowing.
    pub notes: Vec<String>,
    /// The recorded frame.
    #[serde(skip)]
    pub recorded_view: Option<RgbImage>,
    /// The replayed one.
    #[serde(skip)]
    pub replayed_view: Option<RgbImage>,
}

/// What a replay came to.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// The recording's name.
    pub name: String,
    /// Every pose compared.
    pub steps: Vec<ReplayedStep>,
    /// Whether the same actions were given again rather than the poses followed.
    pub same_actions: bool,
    /// Whether every compared pose and frame has the same bits.
    pub identical: bool,
    /// The largest differences.
    pub worst: PoseError,
    /// Whether all differences are within the tolerance.
    pub within_tolerance: bool,
    /// The tolerance.
    pub tolerance: Tolerance,
    /// Where the recording leaves the workspace.
    pub outside: Vec<OutOfBoundsInterval>,
    /// Targets the guard refused.
    pub refused_targets: u64,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Replays a recording; `watch` sees every compared pose and may end it.
///
/// # Errors
/// [`RunError`] when options make no sense, or the arm can't be set up or driven.
pub fn replay(
    recording: &Recording,
    options: &ReplayOptions,
    watch: &mut dyn FnMut(&ReplayedStep) -> ControlFlow<()>,
) -> Result<Replay, RunError> {
    let last = recording.poses.len().saturating_sub(1);
    let to = options.to.unwrap_or(last);
    if options.from >= to || to > last {
        return Err(RunError::Input(format!(
            "--from {} and --to {to} don't fit: the recording has the poses 0 to {last}",
            options.from
        )));
    }
    if !(SLOWEST..=1.0).contains(&options.speed) {
        return Err(RunError::Input(format!(
            "--speed {} is outside {SLOWEST} to 1: it is the share of the speed the limits allow",
            options.speed
        )));
    }
    let mut notes = recording.notes.clone();
    let mut same_actions = recording.is_exact() && !matches!(options.place, Place::Robot(_));
    if same_actions && options.speed < 1.0 {
        notes.push("at another speed the arm gets there another way: not bit for bit".into());
    }
    let (mut env, limits) = set_up(recording, options, same_actions)?;
    if same_actions && env.truth().is_none() {
        same_actions = false;
    }
    let outside: Vec<OutOfBoundsInterval> = out_of_bounds(&recording.poses, &limits)
        .into_iter()
        .filter(|s| s.to >= options.from && s.from <= to)
        .collect();
    let mut player = Player {
        recording,
        env: &mut env,
        follower: Follower::new(limits),
        range: options.from..=to,
        steps: Vec::new(),
        notes: Vec::new(),
    };
    if same_actions {
        player.repeat(watch)?;
    } else {
        player.follow(watch)?;
    }
    let steps = player.steps;
    let worst = steps
        .iter()
        .map(|s| s.error)
        .fold(PoseError::default(), PoseError::max);
    let refused_targets = env.arm().refused_targets();
    Ok(Replay {
        name: recording.name.clone(),
        same_actions,
        identical: !steps.is_empty() && steps.iter().all(|s| s.identical == Some(true)),
        within_tolerance: !steps.is_empty()
            && steps.iter().all(|s| options.tolerance.allows(&s.error)),
        worst,
        tolerance: options.tolerance,
        outside,
        refused_targets,
        notes,
        steps,
    })
}

fn set_up(
    recording: &Recording,
    options: &ReplayOptions,
    same_actions: bool,
) -> Result<(Env, foresight_robot::EnvelopeConfig), RunError> {
    if let Place::Robot(loaded) = &options.place {
        let mut loaded = loaded.clone();
        slow_down(&mut loaded.scenario.safety, options.speed);
        let instance = EpisodeSpec::new(&loaded, loaded.scenario.seed);
        return Ok((Env::in_real_time(&instance)?, loaded.scenario.safety));
    }
    let mut replay_scene = match &recording.replay_scene {
        Some(replay_scene) => replay_scene.clone(),
        None => ReplayScene::elsewhere(&recording.poses),
    };
    if !same_actions {
        replay_scene = replay_scene.starting_at(&recording.poses[options.from]);
    }
    slow_down(&mut replay_scene.safety, options.speed);
    let env = match options.place {
        Place::RealTime => replay_scene.in_real_time()?,
        _ => replay_scene.in_virtual_time()?,
    };
    Ok((env, replay_scene.safety))
}

fn slow_down(limits: &mut foresight_robot::EnvelopeConfig, share: f64) {
    limits.speed_m_s *= share;
    limits.acceleration_m_s2 *= share;
    limits.rotation_speed_rad_s *= share;
    limits.rotation_acceleration_rad_s2 *= share;
}

struct Player<'a> {
    recording: &'a Recording,
    env: &'a mut Env,
    follower: Follower,
    range: std::ops::RangeInclusive<usize>,
    steps: Vec<ReplayedStep>,
    notes: Vec<String>,
}

type Watch<'a> = &'a mut dyn FnMut(&ReplayedStep) -> ControlFlow<()>;

impl Player<'_> {
    /// The same actions again, from the start: what comes before `from` is played unseen.
    fn repeat(&mut self, watch: Watch<'_>) -> Result<(), RunError> {
        for step in 0..=*self.range.end() {
            let observation = self.env.arm().observe()?;
            if self.range.contains(&step) && self.compare(step, &observation, watch).is_break() {
                break;
            }
            if step == *self.range.end() {
                break;
            }
            let execution = self.env.arm().execute(&self.recording.actions[step])?;
            self.note(&execution);
        }
        Ok(())
    }

    /// From pose to pose.
    fn follow(&mut self, watch: Watch<'_>) -> Result<(), RunError> {
        for step in self.range.clone() {
            let observation = self.env.arm().observe()?;
            let target = self.recording.poses[step];
            let off = PoseError::between(&observation.pose, &target);
            // In the simulator the first pose is where the arm starts.
            let observation =
                if off.position_mm < 0.2 && off.rotation_deg < 0.1 && off.gripper < 0.01 {
                    observation
                } else {
                    let arm = self.env.arm();
                    for execution in self.follower.lead(arm, &observation.pose, &target)? {
                        self.note(&execution);
                    }
                    self.env.arm().observe()?
                };
            if self.compare(step, &observation, watch).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, execution: &Execution) {
        self.notes
            .extend(execution.changed.iter().map(|c| c.to_string()));
        let refusal = execution.refusal.as_ref();
        self.notes
            .extend(refusal.map(|r| format!("not moved: {r}")));
        if execution.blocked {
            self.notes.push("something was in the way".into());
        }
    }

    fn compare(
        &mut self,
        step: usize,
        observation: &Observation,
        watch: Watch<'_>,
    ) -> ControlFlow<()> {
        let recorded: Pose = self.recording.poses[step];
        let frame = &observation.frame.image;
        let recorded_frame = self.recording.frames.get(step);
        let same_pose =
            recorded.to_array().map(f64::to_bits) == observation.pose.to_array().map(f64::to_bits);
        let same_frame = recorded_frame.map(|r| r == frame);
        let replayed = ReplayedStep {
            step,
            time_s: self.recording.seconds(step),
            recorded: recorded.to_array(),
            replayed: observation.pose.to_array(),
            error: PoseError::between(&recorded, &observation.pose),
            identical: same_frame.map(|same| same && same_pose),
            notes: std::mem::take(&mut self.notes),
            recorded_view: recorded_frame.cloned(),
            replayed_view: match recorded_frame {
                // Beside a small recorded frame belongs the same small frame.
                Some(recorded) if frame.dimensions() == recorded.dimensions() => {
                    Some(frame.clone())
                }
                _ => self.env.view(VIEW_PX).or_else(|| Some(frame.clone())),
            },
        };
        let flow = watch(&replayed);
        self.steps.push(replayed);
        flow
    }
}
