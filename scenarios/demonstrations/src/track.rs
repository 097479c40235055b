//! Plays actions and keeps what an episode consists of.

use std::time::Instant;

use foresight_datasets::metadata::Recording;
use foresight_datasets::{
    CommandedStep, Episode, FrameStack, Metadata, SimulatorTrack, Trajectory,
};
use foresight_planner::Action;
use foresight_robot::{Arm, Observation, VirtualArm};
use foresight_sim::{GroundTruth, Scene};

use crate::episode_config::Behaviour;
use crate::error::RecordError;
use crate::stage::DemonstratorView;

/// The dataset's top folder, DROID's laboratory.
pub(crate) const LAB: &str = "SIM";
/// The simulated exterior camera's name.
const CAMERA: &str = "tabletop";
/// An object this near the target's centre counts as placed, m.
const PLACED_WITHIN_M: f64 = 0.05;
/// An object this far above where it stood counts as lifted, m.
const LIFTED_BY_M: f64 = 0.03;
/// An object moved this far counts as pushed, m.
const PUSHED_BY_M: f64 = 0.02;
/// An object moved less was not touched, m.
const UNMOVED_M: f64 = 0.003;

/// What playing took.
#[derive(Default)]
pub(crate) struct Effort {
    /// Time spent moving the arm, s.
    pub(crate) moving_seconds: f64,
    /// Time spent rendering and settling, s.
    pub(crate) observing_seconds: f64,
    /// Actions the envelope shortened.
    pub(crate) shortened_actions: u64,
}

impl Effort {
    /// Plays and tracks so many actions; `act` gives each from its number, the arm and the view.
    pub(crate) fn play(
        &mut self,
        arm: &mut VirtualArm,
        track: &mut EpisodeTrack,
        steps: usize,
        mut act: impl FnMut(usize, &VirtualArm, &DemonstratorView) -> Action,
    ) -> Result<(), RecordError> {
        for step in 0..=steps {
            let observing = Instant::now();
            let observation = arm.observe()?;
            let truth = arm.simulator().truth();
            let joints_rad = arm.simulator().arm().q;
            track.observe(&observation, &truth, joints_rad)?;
            self.observing_seconds += observing.elapsed().as_secs_f64();
            if step == steps {
                break;
            }
            let [i, j, k, w] = truth.object_quaternion_xyzw;
            let view = DemonstratorView {
                pose: observation.pose,
                object_m: truth.object_position_m,
                object_yaw_rad: (2.0 * (w * k + i * j)).atan2(1.0 - 2.0 * (j * j + k * k)),
                held: truth.held,
            };
            let action = act(step, arm, &view);
            let moving = Instant::now();
            let execution = arm.execute(&action)?;
            self.moving_seconds += moving.elapsed().as_secs_f64();
            self.shortened_actions += u64::from(!execution.changed.is_empty());
            track.commands.push(CommandedStep {
                requested: action,
                target: execution.commanded_pose,
            });
        }
        Ok(())
    }
}

/// What is collected along an episode.
pub(crate) struct EpisodeTrack {
    frames: FrameStack,
    trajectory: Trajectory,
    /// The simulator's truth.
    pub(crate) simulator: SimulatorTrack,
    commands: Vec<CommandedStep>,
    last: Option<GroundTruth>,
}

impl EpisodeTrack {
    pub(crate) fn new(
        [width, height]: [u32; 2],
        scene: &Scene,
        seed: u64,
    ) -> Result<Self, RecordError> {
        let text = serde_json::to_string(scene)
            .map_err(|e| RecordError::Plan(format!("the scene cannot be written: {e}")))?;
        Ok(EpisodeTrack {
            frames: FrameStack::new(width, height),
            trajectory: Trajectory {
                states: Vec::new(),
                time_s: Vec::new(),
                joints_rad: Vec::new(),
                commands: Vec::new(),
                simulator: None,
            },
            simulator: SimulatorTrack {
                target_position_m: scene.target.position_m,
                scene_seed: seed,
                scene: text,
                ..SimulatorTrack::default()
            },
            commands: Vec::new(),
            last: None,
        })
    }

    fn observe(
        &mut self,
        observation: &Observation,
        truth: &GroundTruth,
        joints_rad: [f64; 7],
    ) -> Result<(), RecordError> {
        self.frames.push(observation.frame.image.as_raw())?;
        self.trajectory.states.push(observation.pose);
        self.trajectory.time_s.push(observation.arm_time_s);
        self.trajectory.joints_rad.push(joints_rad);
        let s = &mut self.simulator;
        s.object_position_m.push(truth.object_position_m);
        s.object_quaternion_xyzw.push(truth.object_quaternion_xyzw);
        s.held.push(truth.held);
        s.upright.push(truth.upright);
        self.last = Some(truth.clone());
        Ok(())
    }

    /// Whether the behaviour achieved what it tries. Fumbling and random actions try nothing
    /// and count as failures; reaching can't fail.
    pub(crate) fn achieved(&self, behaviour: Behaviour) -> bool {
        let objects = &self.simulator.object_position_m;
        let (Some(first), Some(last), Some(truth)) = (objects.first(), objects.last(), &self.last)
        else {
            return false;
        };
        let moved = (last[0] - first[0]).hypot(last[1] - first[1]);
        let stood = objects.iter().map(|p| p[2]).fold(f64::INFINITY, f64::min);
        match behaviour {
            Behaviour::PickAndPlace | Behaviour::Carry => truth.placed_within(PLACED_WITHIN_M),
            Behaviour::Grasp => truth.held && last[2] > stood + LIFTED_BY_M,
            Behaviour::Push | Behaviour::PushAround | Behaviour::PushAndReturn => {
                moved > PUSHED_BY_M && !truth.held
            }
            Behaviour::NearMiss => moved < UNMOVED_M,
            Behaviour::Slip => !truth.held && self.simulator.held.contains(&true),
            Behaviour::EmptyGrasp => !self.simulator.held.contains(&true),
            Behaviour::Reach => true,
            Behaviour::Fumble | Behaviour::Random => false,
        }
    }

    /// The episode; `task` says in words what was attempted, where the behaviour's name doesn't do.
    pub(crate) fn into_episode(
        self,
        date: &str,
        recording: Recording,
        task: Option<String>,
        success: bool,
    ) -> Episode {
        let seed = recording.seed;
        let branch = recording.branch_of.map_or(String::new(), |b| {
            format!("+step{:02}+branch{:02}", b.step, b.index)
        });
        Episode {
            metadata: Metadata {
                uuid: format!("{LAB}+foresight+{seed:010}{branch}"),
                lab: LAB.to_owned(),
                user: "Foresight".to_owned(),
                user_id: "foresight".to_owned(),
                date: date.to_owned(),
                timestamp: date.to_owned(),
                hdf5_path: String::new(),
                building: "simulator".to_owned(),
                scene_id: seed as i64,
                success: Some(success),
                robot_serial: "fr3-simulated".to_owned(),
                current_task: task.unwrap_or_else(|| recording.behaviour.clone()),
                trajectory_length: 0,
                wrist_cam_serial: String::new(),
                ext1_cam_serial: CAMERA.to_owned(),
                ext2_cam_serial: String::new(),
                left_mp4_path: String::new(),
                right_mp4_path: String::new(),
                wrist_mp4_path: String::new(),
                foresight: Some(recording),
            },
            camera: CAMERA.to_owned(),
            frames: self.frames,
            trajectory: Trajectory {
                commands: self.commands,
                simulator: Some(self.simulator),
                ..self.trajectory
            },
        }
    }
}
