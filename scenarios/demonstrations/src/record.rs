//! Records episodes: one virtual arm a worker, one action a step.

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use foresight_datasets::metadata::{Recording, SCHEMA};
use foresight_datasets::{
    CommandedStep, DatasetError, Episode, FrameStack, Metadata, Recorder, SimulatorTrack, Split,
    Trajectory,
};
use foresight_robot::{Arm, ArmError, EnvelopeConfig, Observation, VirtualArm, VirtualArmConfig};
use foresight_sim::{GroundTruth, Scene, SceneDistribution, SimError, Simulator};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::episode_config::{Behaviour, EpisodeConfig};
use crate::policy::Demonstrator;
use crate::scene_setup;
use crate::script::DemonstratorView;
use crate::summary::RecordingSummary;
use foresight_scenarios::demonstrations::DemonstrationConfig;
use foresight_scenarios::{LoadedScenario, Scenario, ScenarioError};

/// The dataset's top folder, DROID's laboratory.
const LAB: &str = "SIM";
/// The simulated exterior camera's name.
const CAMERA: &str = "tabletop";
/// Steps a second a step stands for; true times are recorded.
const STEP_RATE_HZ: f64 = 4.0;
/// An object this near the target's centre counts as placed, m.
const PLACED_WITHIN_M: f64 = 0.05;
/// An object this far above where it stood counts as lifted, m.
const LIFTED_BY_M: f64 = 0.03;
/// An object moved this far counts as pushed, m.
const PUSHED_BY_M: f64 = 0.02;

/// What is recorded, apart from the seeds.
#[derive(Debug, Clone)]
pub struct RecordingPlan {
    /// Name of the scenario, for the metadata.
    pub scenario: String,
    /// Where scenes come from.
    pub scenes: SceneDistribution,
    /// The safety envelope the arm moves in.
    pub envelope: EnvelopeConfig,
    /// The demonstrators.
    pub mix: DemonstrationConfig,
    /// What the episodes are for.
    pub split: Split,
    /// Width and height of the frames, px.
    pub image_px: u32,
    /// Actions an episode.
    pub steps: usize,
    /// Day of recording, `YYYY-MM-DD`.
    pub date: String,
}

impl RecordingPlan {
    /// The plan of a scenario file: its scenes, limits and demonstrations, and the size of its
    /// camera's pictures. The model it names need not exist yet.
    ///
    /// # Errors
    /// [`RecordError::Scenario`] lists every fault of the file.
    pub fn from_scenario(file: &Path) -> Result<Self, RecordError> {
        Ok(RecordingPlan::of(LoadedScenario::read(file)?.scenario))
    }

    /// The plan of a scenario that was read.
    pub fn of(scenario: Scenario) -> Self {
        RecordingPlan {
            scenario: scenario.name,
            scenes: scenario.scene,
            envelope: scenario.safety,
            mix: scenario.demonstrations,
            split: Split::Train,
            image_px: scenario.camera.width_px,
            steps: 16,
            date: String::new(),
        }
    }
}

/// Why nothing could be recorded at all.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The scenario file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The plan makes no sense.
    #[error("{0}")]
    Plan(String),
    /// The disk, or a seed that may not be recorded.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A scene could not be built.
    #[error("the simulator could not be built: {0}")]
    Simulator(#[from] SimError),
    /// The arm could not be driven.
    #[error(transparent)]
    Arm(#[from] ArmError),
}

/// One recorded episode and what it took.
#[derive(Debug)]
pub struct RecordedEpisode {
    /// The episode.
    pub episode: Episode,
    /// Targets the guard refused; 0 in normal operation.
    pub refused_targets: u64,
    /// Actions the envelope shortened.
    pub shortened_actions: u64,
    building_seconds: f64,
    moving_seconds: f64,
    observing_seconds: f64,
}

/// Records the episodes of these scene seeds below `root`, `jobs` at a time.
///
/// Episodes already there are left alone. One that can't be recorded is listed in the summary
/// with its reason; the others go on. `done` is called after each episode.
///
/// # Errors
/// [`RecordError`] when the plan is wrong, a seed may not be recorded, or the disk refuses.
pub fn record_all(
    plan: &RecordingPlan,
    seeds: Range<u64>,
    root: &Path,
    jobs: usize,
    done: impl Fn(u64) + Sync,
) -> Result<RecordingSummary, RecordError> {
    if let Some(fault) = plan.mix.faults().first() {
        return Err(RecordError::Plan(fault.to_string()));
    }
    if plan.steps == 0 || !(8..=1024).contains(&plan.image_px) {
        return Err(RecordError::Plan(format!(
            "an episode needs at least 1 step and frames of 8 to 1024 px, not {} and {}",
            plan.steps, plan.image_px
        )));
    }
    let recorder = Recorder::new(root, LAB)?;
    let there = recorder.recorded_seeds()?;
    let seeds: Vec<u64> = seeds.collect();
    let summary = Mutex::new(RecordingSummary::default());
    let start = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.max(1))
        .build()
        .map_err(|e| RecordError::Plan(format!("no worker threads: {e}")))?;
    pool.install(|| {
        // One seed a task: episodes differ in length of computation.
        seeds
            .into_par_iter()
            .with_max_len(1)
            .try_for_each(|seed| -> Result<(), RecordError> {
                if there.contains(&seed) {
                    lock(&summary).already_there += 1;
                    done(seed);
                    return Ok(());
                }
                plan.split.check(seed)?;
                match record_episode(plan, seed) {
                    Ok(recorded) => {
                        let writing = Instant::now();
                        recorder.write(&recorded.episode)?;
                        let writing_seconds = writing.elapsed().as_secs_f64();
                        lock(&summary).add(&recorded, writing_seconds);
                    }
                    Err(error) => lock(&summary).failed.push((seed, error.to_string())),
                }
                done(seed);
                Ok(())
            })
    })?;
    let mut summary = summary.into_inner().unwrap_or_else(|e| e.into_inner());
    summary.failed.sort();
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

fn lock(summary: &Mutex<RecordingSummary>) -> std::sync::MutexGuard<'_, RecordingSummary> {
    // Numbers stay numbers when another worker panicked.
    summary.lock().unwrap_or_else(|e| e.into_inner())
}

/// Records one episode: a pure function of plan and seed.
///
/// # Errors
/// [`RecordError::Simulator`] or [`RecordError::Arm`].
pub fn record_episode(plan: &RecordingPlan, seed: u64) -> Result<RecordedEpisode, RecordError> {
    let building = Instant::now();
    let scene = plan.scenes.sample(seed);
    // The scene has drawn from the seed itself; the demonstrator draws from another stream.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    let style = EpisodeConfig::sample(&plan.mix, &mut rng);
    let site = scene_setup::site(&scene, &plan.envelope, &plan.mix);
    let mut simulator = Simulator::new(&scene)?;
    let mut initial_state =
        scene_setup::place(&mut simulator, &scene, &site, style.start, &mut rng)?;
    initial_state.envelope = serde_json::to_string(&plan.envelope)
        .map_err(|e| RecordError::Plan(format!("the limits cannot be written: {e}")))?;
    let config = VirtualArmConfig {
        frame_width: plan.image_px,
        frame_height: plan.image_px,
        ..VirtualArmConfig::default()
    };
    let mut arm = VirtualArm::with_simulator(simulator, plan.envelope, config)?;
    let building_seconds = building.elapsed().as_secs_f64();

    let mut demonstrator = Demonstrator::new(&plan.mix, style.clone(), site, rng);
    let mut track = EpisodeTrack::new(plan.image_px, &scene, seed)?;
    track.simulator.initial_state = Some(initial_state);
    let (mut moving_seconds, mut observing_seconds) = (0.0, 0.0);
    let mut shortened_actions = 0;
    for step in 0..=plan.steps {
        let observing = Instant::now();
        let observation = arm.observe()?;
        let truth = arm.simulator().truth();
        let joints_rad = arm.simulator().arm().q;
        track.observe(&observation, &truth, joints_rad)?;
        observing_seconds += observing.elapsed().as_secs_f64();
        if step == plan.steps {
            break;
        }
        let action = demonstrator.act(&DemonstratorView {
            pose: observation.pose,
            object_m: truth.object_position_m,
            held: truth.held,
        });
        let moving = Instant::now();
        let execution = arm.execute(&action)?;
        moving_seconds += moving.elapsed().as_secs_f64();
        shortened_actions += u64::from(!execution.changed.is_empty());
        track.commands.push(CommandedStep {
            requested: action,
            target: execution.commanded_pose,
        });
    }
    let refused_targets = arm.refused_targets();
    let success = track.achieved(style.behaviour);
    Ok(RecordedEpisode {
        episode: track.into_episode(plan, &style, seed, success),
        refused_targets,
        shortened_actions,
        building_seconds,
        moving_seconds,
        observing_seconds,
    })
}

/// What is collected along an episode.
struct EpisodeTrack {
    frames: FrameStack,
    trajectory: Trajectory,
    simulator: SimulatorTrack,
    commands: Vec<CommandedStep>,
    last: Option<GroundTruth>,
}

impl EpisodeTrack {
    fn new(image_px: u32, scene: &Scene, seed: u64) -> Result<Self, RecordError> {
        let text = serde_json::to_string(scene)
            .map_err(|e| RecordError::Plan(format!("the scene cannot be written: {e}")))?;
        Ok(EpisodeTrack {
            frames: FrameStack::new(image_px, image_px),
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
    fn achieved(&self, behaviour: Behaviour) -> bool {
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
            Behaviour::Push => moved > PUSHED_BY_M && !truth.held,
            Behaviour::Reach => true,
            Behaviour::Fumble | Behaviour::Random => false,
        }
    }

    fn into_episode(
        self,
        plan: &RecordingPlan,
        style: &EpisodeConfig,
        seed: u64,
        success: bool,
    ) -> Episode {
        Episode {
            metadata: Metadata {
                uuid: format!("{LAB}+foresight+{seed:010}"),
                lab: LAB.to_owned(),
                user: "Foresight".to_owned(),
                user_id: "foresight".to_owned(),
                date: plan.date.clone(),
                timestamp: plan.date.clone(),
                hdf5_path: String::new(),
                building: "simulator".to_owned(),
                scene_id: seed as i64,
                success,
                robot_serial: "fr3-simulated".to_owned(),
                current_task: style.behaviour.name().to_owned(),
                trajectory_length: 0,
                wrist_cam_serial: String::new(),
                ext1_cam_serial: CAMERA.to_owned(),
                ext2_cam_serial: String::new(),
                left_mp4_path: String::new(),
                right_mp4_path: String::new(),
                wrist_mp4_path: String::new(),
                foresight: Some(Recording {
                    schema: SCHEMA,
                    split: plan.split,
                    seed,
                    scenario: plan.scenario.clone(),
                    behaviour: style.behaviour.name().to_owned(),
                    start: style.start.name().to_owned(),
                    waypoint_noise_m: style.waypoint_noise_m,
                    random_action_share: style.random_action_share,
                    step_rate_hz: STEP_RATE_HZ,
                    program_version: env!("CARGO_PKG_VERSION").to_owned(),
                }),
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

impl RecordingSummary {
    fn add(&mut self, recorded: &RecordedEpisode, writing_seconds: f64) {
        let episode = &recorded.episode;
        let success = u64::from(episode.metadata.success);
        self.recorded += 1;
        self.successes += success;
        self.frames += episode.frames.len() as u64;
        self.refused_targets += recorded.refused_targets;
        self.shortened_actions += recorded.shortened_actions;
        self.building_seconds += recorded.building_seconds;
        self.moving_seconds += recorded.moving_seconds;
        self.observing_seconds += recorded.observing_seconds;
        self.writing_seconds += writing_seconds;
        let times = &episode.trajectory.time_s;
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            self.arm_seconds += last - first;
        }
        if let Some(recording) = &episode.metadata.foresight {
            for count in [
                self.behaviours
                    .entry(recording.behaviour.clone())
                    .or_default(),
                self.starts.entry(recording.start.clone()).or_default(),
            ] {
                count.episodes += 1;
                count.successes += success;
            }
        }
    }
}
