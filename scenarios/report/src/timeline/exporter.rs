//! What happened, in order.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use foresight_planner::Pose;
use foresight_sim::{parts, Scene};
use image::{ImageFormat, RgbImage};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

use super::arm::{object, place_hand, ArmShown};
use super::sink::{Dot, Sink, TimelineError};
use crate::heatmap;
use foresight_runs::read::RunData;
use foresight_runs::replay::Replay;
use foresight_runs::trace::{IterationTrace, StepTrace};
use foresight_scenarios::monitor::Watched;

/// Tells the run in `folder`.
///
/// # Errors
/// [`TimelineError`] when the folder is no run's or the sink can't be written.
pub fn run(folder: &Path, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    let data = RunData::read(folder).map_err(TimelineError::Run)?;
    let frame = |i: usize| fs::read(folder.join(format!("frames/{i:04}.png"))).ok();
    let mut exporter = RunExporter::begin(data.scene.as_ref(), sink)?;
    for (i, step) in data.steps.iter().enumerate() {
        let pictures = StepPictures {
            frame: frame(i),
            goal: data.goals.get(step.subgoal_index),
            imagined: data.imagined.get(i).and_then(Option::as_ref),
        };
        exporter.step(step, pictures, sink)?;
    }
    let record = data.record.unwrap_or_default();
    let joints = record.end.and_then(|end| end.last_joints_rad);
    exporter.end(frame(data.steps.len()), joints.as_ref(), sink)?;
    let result = record.result;
    verdict(result.success == Some(false), &result.reason, sink)
}

/// Tells how it ended.
///
/// # Errors
/// [`TimelineError`] when the sink can't be written.
pub fn verdict(failed: bool, reason: &str, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    if reason.is_empty() {
        return Ok(());
    }
    sink.say(failed, reason)
}

/// Tells what the monitor makes of a look: where in it the surprise is, and how much of what raises
/// an alarm.
///
/// # Errors
/// [`TimelineError`] when the sink can't be written.
pub fn surprise(watched: &Watched, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    let Watched { map, frame, .. } = watched;
    let map = heatmap::overlay(frame, &map.tokens, map.grid, map.brightest());
    sink.picture("surprise", png(&map))?;
    sink.numbers("monitor", &[("score", watched.score), ("alarm_above", 1.0)])
}

/// What there is to see of a step.
pub struct StepPictures<'a> {
    /// What the camera saw before it, a PNG file.
    pub frame: Option<Vec<u8>>,
    /// The goal pursued.
    pub goal: Option<&'a RgbImage>,
    /// The frame that the predicted latent was recognised as.
    pub imagined: Option<&'a RgbImage>,
}

/// A run being told step by step, after it or while it goes on.
pub struct RunExporter {
    arm: ArmShown,
    time_s: f64,
    shown_goal: Option<usize>,
    last_pose: Option<Pose>,
}

impl RunExporter {
    /// Begins: shapes, and the object where it stands.
    ///
    /// # Errors
    /// [`TimelineError`] when the sink can't be written; so below.
    pub fn begin(scene: Option<&Scene>, sink: &mut dyn Sink) -> Result<Self, TimelineError> {
        sink.at(0.0, 0);
        let arm = ArmShown::new(sink)?;
        if let Some(scene) = scene {
            sink.part(&object(scene))?;
            sink.placed(parts::OBJECT, &scene.object.pose())?;
        }
        Ok(RunExporter {
            arm,
            time_s: 0.0,
            shown_goal: None,
            last_pose: None,
        })
    }

    /// The next step.
    ///
    /// # Errors
    /// See [`RunExporter::begin`].
    pub fn step(
        &mut self,
        step: &StepTrace,
        pictures: StepPictures<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), TimelineError> {
        self.time_s += step.seconds.observe;
        sink.at(self.time_s, step.step);
        if self.shown_goal != Some(step.subgoal_index) {
            self.shown_goal = Some(step.subgoal_index);
            sink.say(false, &format!("sub-goal {}", step.subgoal))?;
            if let Some(goal) = pictures.goal {
                sink.picture("goal", png(goal))?;
            }
        }
        if let Some(frame) = pictures.frame {
            sink.picture("camera", frame)?;
        }
        look(step, &self.arm, sink)?;
        decide(step, self.time_s, sink)?;
        self.time_s += step.seconds.plan;
        sink.at(self.time_s, step.step);
        act(step, sink)?;
        if let Some(imagined) = pictures.imagined {
            sink.picture("imagined", png(imagined))?;
        }
        self.time_s += step.seconds.arm;
        sink.at(self.time_s, step.step);
        self.last_pose = Some(Pose::from_array(step.reached_pose));
        came(step, sink)
    }

    /// What was there to see at the end: the last frame as a PNG file, the last joints in rad.
    ///
    /// # Errors
    /// See [`RunExporter::begin`].
    pub fn end(
        &self,
        frame: Option<Vec<u8>>,
        joints_rad: Option<&[f64; 7]>,
        sink: &mut dyn Sink,
    ) -> Result<(), TimelineError> {
        if let Some(frame) = frame {
            sink.picture("camera", frame)?;
        }
        match (joints_rad, &self.last_pose) {
            (Some(joints), Some(pose)) => self.arm.place(joints, pose, sink),
            _ => Ok(()),
        }
    }
}

/// Where the arm is and how far from the goal it looks.
fn look(step: &StepTrace, arm: &ArmShown, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    let pose = Pose::from_array(step.pose);
    place_hand("tcp", &pose, sink)?;
    if let Some(joints) = &step.joints_rad {
        arm.place(joints, &pose, sink)?;
    }
    let distance = f64::from(step.distance);
    sink.numbers(
        "state",
        &[("distance", distance), ("gripper", pose.gripper)],
    )
}

/// The search: each iteration's elites, spread over the time it took.
fn decide(step: &StepTrace, from_s: f64, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    let pose = Pose::from_array(step.pose);
    let count = step.plan.iterations.len();
    for (i, iteration) in step.plan.iterations.iter().enumerate() {
        let share = (i + 1) as f64 / count as f64;
        sink.at(from_s + share * step.seconds.plan, step.step);
        sink.dots("elites", &elites(&pose, iteration))?;
        if let (Some(best), Some(worst)) = (
            iteration.elite_energies.first(),
            iteration.elite_energies.last(),
        ) {
            let energies = [
                ("best", f64::from(*best)),
                ("worst_elite", f64::from(*worst)),
            ];
            sink.numbers("energy", &energies)?;
        }
    }
    sink.way("plan", &way(&pose, step.plan.actions.iter().copied()))?;
    match &step.plan.macro_actions[..] {
        [] => Ok(()),
        macro_actions => sink.way("waypoints", &way(&pose, macro_actions.iter().copied())),
    }
}

/// What is sent to the arm, and what the envelope made of it.
fn act(step: &StepTrace, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    place_hand("target", &Pose::from_array(step.commanded_pose), sink)?;
    for change in &step.adjustments {
        sink.say(true, &change.to_string())?;
    }
    if let Some(refusal) = &step.refusal {
        sink.say(true, &format!("refused: {refusal}"))?;
    }
    sink.numbers("latency", &[("plan_s", step.seconds.plan)])
}

/// Where the arm and the object ended up.
fn came(step: &StepTrace, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    let pose = Pose::from_array(step.reached_pose);
    place_hand("tcp", &pose, sink)?;
    if let Some(truth) = &step.truth {
        let [x, y, z] = truth.object_position_m;
        let [i, j, k, w] = truth.object_quaternion_xyzw;
        let turn = UnitQuaternion::from_quaternion(Quaternion::new(w, i, j, k));
        let at = Isometry3::from_parts(Translation3::new(x, y, z), turn);
        sink.placed(parts::OBJECT, &at)?;
    }
    let moved = [
        ("error_mm", step.error_m * 1e3),
        ("move_s", step.seconds.arm),
    ];
    sink.numbers("motion", &moved)
}

/// Where each elite sequence would end, coloured by its energy's place among the elites.
fn elites(pose: &Pose, iteration: &IterationTrace) -> Vec<Dot> {
    let last = iteration.elite_actions.len().saturating_sub(1).max(1);
    let dots = iteration.elite_actions.iter().enumerate();
    dots.filter_map(|(i, actions)| {
        let actions = actions.iter().map(|a| a.map(f64::from));
        Some(Dot {
            at_m: *way(pose, actions).last()?,
            rank: i as f64 / last as f64,
        })
    })
    .collect()
}

/// Where the hand goes by these actions: translations add up.
fn way(pose: &Pose, actions: impl Iterator<Item = [f64; 7]>) -> Vec<[f64; 3]> {
    let mut at_m = pose.position_m;
    let mut points = vec![at_m];
    for action in actions {
        at_m = [0, 1, 2].map(|i| at_m[i] + action[i]);
        points.push(at_m);
    }
    points
}

/// Tells a replay: recorded and replayed poses and frames, and how far they differ.
///
/// # Errors
/// [`TimelineError`] when the sink can't be written.
pub fn replay(replay: &Replay, sink: &mut dyn Sink) -> Result<(), TimelineError> {
    let mut recorded = Vec::new();
    let mut replayed = Vec::new();
    for (i, step) in replay.steps.iter().enumerate() {
        // Without times, a pose a second.
        sink.at(step.time_s.unwrap_or(i as f64), step.step as u32);
        for (name, pose, way) in [
            ("recorded", step.recorded, &mut recorded),
            ("replayed", step.replayed, &mut replayed),
        ] {
            let pose = Pose::from_array(pose);
            place_hand(name, &pose, sink)?;
            way.push(pose.position_m);
            sink.way(&format!("{name}_way"), way)?;
        }
        if let Some(view) = &step.recorded_view {
            sink.picture("recorded", png(view))?;
        }
        if let Some(view) = &step.replayed_view {
            sink.picture("replayed", png(view))?;
        }
        let error = [
            ("position_mm", step.error.position_mm),
            ("rotation_deg", step.error.rotation_deg),
            ("gripper", step.error.gripper),
        ];
        sink.numbers("error", &error)?;
        for note in &step.notes {
            sink.say(true, note)?;
        }
    }
    for note in &replay.notes {
        sink.say(false, note)?;
    }
    Ok(())
}

/// A picture as a PNG file.
pub fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory fails only for pictures without pixels.
    match image.write_to(&mut bytes, ImageFormat::Png) {
        Ok(()) => bytes.into_inner(),
        Err(_) => Vec::new(),
    }
}
