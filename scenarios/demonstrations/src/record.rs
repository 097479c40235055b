//! Records episodes: one virtual arm a worker, one action a step.

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use foresight_datasets::metadata::{BranchOf, Recording, SCHEMA};
use foresight_datasets::{layout, Episode, FrameStack, Metadata, Recorder, Split};
use foresight_robot::{Arm, EnvelopeConfig, VirtualArm, VirtualArmConfig};
use foresight_sim::{SceneDistribution, Simulator};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::branch::{self, BranchPoints};
use crate::episode_config::EpisodeConfig;
use crate::error::RecordError;
use crate::policy::Demonstrator;
use crate::scene_setup;
use crate::summary::RecordingSummary;
use crate::task_text;
use crate::track::{Effort, EpisodeTrack, LAB};
use foresight_scenarios::demonstrations::DemonstrationConfig;
use foresight_scenarios::{LoadedScenario, Scenario};

/// Steps a second a step stands for; true times are recorded.
const STEP_RATE_HZ: f64 = 4.0;

/// Behaviour and start of branches.
const BRANCH: &str = "branch";

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
    /// Width and height of a camera's picture, px; a frame shows those of all cameras side by side.
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

    /// How an episode of a seed that is there differs from what would be recorded, as far as it says.
    fn recorded_otherwise(&self, seed: u64, folder: &Path) -> Option<String> {
        let metadata = layout::metadata_file(folder).and_then(|file| Metadata::read(&file));
        let metadata = metadata.unwrap_or_default();
        let actions = metadata.trajectory_length.checked_sub(1);
        let files = layout::frame_files(folder).unwrap_or_default();
        let shape = files.first().map(|(_, file)| FrameStack::read_shape(file));
        let px = |width: u32, height: u32| format!("{width}×{height} px");
        let was = [
            metadata.foresight.map(|recording| recording.scenario),
            actions.map(|actions| actions.to_string()),
            shape.and_then(|s| s.ok()).map(|s| px(s.width, s.height)),
        ];
        let width = self.image_px * self.scenes.sample(seed).cameras().count() as u32;
        let now = [
            ("the scenario was", self.scenario.clone()),
            ("its actions were", self.steps.to_string()),
            ("its frames were", px(width, self.image_px)),
        ];
        let both = was.into_iter().zip(now);
        let differences = both.filter_map(|(was, (what, now))| {
            let was = was.filter(|was| *was != now)?;
            Some(format!("{what} {was}, now {now}"))
        });
        let differences: Vec<String> = differences.collect();
        (!differences.is_empty()).then(|| {
            format!(
                "{} was recorded from something else ({}); record into another folder, or other episodes \
                 with --seed",
                folder.display(),
                differences.join("; ")
            )
        })
    }
}

/// One recorded episode and what it took.
#[derive(Debug)]
pub struct RecordedEpisode {
    /// The episode.
    pub episode: Episode,
    /// What was recorded from copies of some of its states.
    pub branches: Vec<Episode>,
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
    let there = recorder.recorded()?;
    let seeds: Vec<u64> = seeds.collect();
    let other = |seed: &u64| plan.recorded_otherwise(*seed, there.get(seed)?);
    if let Some(fault) = seeds.par_iter().find_map_first(other) {
        return Err(RecordError::Plan(fault));
    }
    let summary = Mutex::new(RecordingSummary::default());
    let start = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.min(seeds.len()).max(1))
        .build()
        .map_err(|e| RecordError::Plan(format!("no worker threads: {e}")))?;
    pool.install(|| {
        // One seed a task: episodes differ in length of computation.
        seeds
            .into_par_iter()
            .with_max_len(1)
            .try_for_each(|seed| -> Result<(), RecordError> {
                if there.contains_key(&seed) {
                    lock(&summary).already_there += 1;
                    done(seed);
                    return Ok(());
                }
                plan.split.check(seed)?;
                match record_episode(plan, seed) {
                    Ok(recorded) => {
                        let writing = Instant::now();
                        // The episode last: while it is missing, its branches are recorded again.
                        for episode in recorded.branches.iter().chain([&recorded.episode]) {
                            recorder.write(episode)?;
                        }
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
    let frame_width = plan.image_px * scene.cameras().count() as u32;
    let config = VirtualArmConfig {
        frame_width,
        frame_height: plan.image_px,
        ..VirtualArmConfig::default()
    };
    let mut arm = VirtualArm::with_simulator(simulator, plan.envelope, config)?;
    let building_seconds = building.elapsed().as_secs_f64();

    let mut demonstrator = Demonstrator::new(&plan.mix, style.clone(), site, rng);
    let mut track = EpisodeTrack::new([frame_width, plan.image_px], &scene, seed)?;
    track.simulator.initial_state = Some(initial_state);
    let mut points = BranchPoints::new(&plan.mix.branches, seed);
    let mut effort = Effort::default();
    effort.play(&mut arm, &mut track, plan.steps, |step, arm, view| {
        points.offer(step, arm, view);
        demonstrator.act(view)
    })?;
    let mut refused_targets = arm.refused_targets();
    let success = track.achieved(style.behaviour);
    let recording = Recording {
        waypoint_noise_m: style.waypoint_noise_m,
        random_action_share: style.random_action_share,
        ..recording_of(plan, seed, style.behaviour.name(), style.start.name())
    };
    let told = task_text::of(style.behaviour, &scene, plan.split, seed);
    let (task, named) = match told {
        Some((task, named)) => (Some(task), Some(named)),
        None => (None, None),
    };
    let recording = Recording { named, ..recording };

    let mut branches = Vec::new();
    for point in points.chosen() {
        for index in 0..plan.mix.branches.per_state {
            let actions = branch::actions(&plan.mix, &site, &point, seed, index);
            let mut arm = point.arm.clone();
            let refused = arm.refused_targets();
            let mut track = EpisodeTrack::new([frame_width, plan.image_px], &scene, seed)?;
            effort.play(&mut arm, &mut track, actions.len(), |step, _, _| {
                actions[step]
            })?;
            refused_targets += arm.refused_targets() - refused;
            let branch_of = BranchOf {
                seed,
                step: point.step,
                index,
            };
            let recording = Recording {
                branch_of: Some(branch_of),
                ..recording_of(plan, seed, BRANCH, BRANCH)
            };
            branches.push(track.into_episode(&plan.date, recording, None, false));
        }
    }
    Ok(RecordedEpisode {
        episode: track.into_episode(&plan.date, recording, task, success),
        branches,
        refused_targets,
        shortened_actions: effort.shortened_actions,
        building_seconds,
        moving_seconds: effort.moving_seconds,
        observing_seconds: effort.observing_seconds,
    })
}

/// What a recording says of itself, but for a demonstrator's noise.
fn recording_of(plan: &RecordingPlan, seed: u64, behaviour: &str, start: &str) -> Recording {
    Recording {
        schema: SCHEMA,
        split: plan.split,
        seed,
        scenario: plan.scenario.clone(),
        behaviour: behaviour.to_owned(),
        start: start.to_owned(),
        waypoint_noise_m: 0.0,
        random_action_share: 0.0,
        step_rate_hz: STEP_RATE_HZ,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        branch_of: None,
        named: None,
    }
}

impl RecordingSummary {
    fn add(&mut self, recorded: &RecordedEpisode, writing_seconds: f64) {
        let episode = &recorded.episode;
        let success = u64::from(episode.metadata.success == Some(true));
        self.recorded += 1;
        self.successes += success;
        self.branches += recorded.branches.len() as u64;
        let episodes = recorded.branches.iter().chain([episode]);
        self.frames += episodes.map(|e| e.frames.len() as u64).sum::<u64>();
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
