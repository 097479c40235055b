//! What decides in an episode: a search through one of three cost models, or a policy.
//!
//! | controller | sees | acts by |
//! |---|---|---|
//! | [`LatentModel`] | the frame's latent | a search through the predictor |
//! | [`Hierarchy`] | the frame's latent; its proposals the frame | the same, led by a search through the second level |
//! | [`TrueDynamics`] | the frame's latent | a search through copies of the simulator |
//! | [`Oracle`] | the pose alone | a search through exact kinematics |
//! | [`PolicyController`] | the frame | a cloned policy |

mod back_out;
mod encode;
pub mod hierarchy;
pub mod latent;
pub mod oracle;
pub mod policy;
pub mod sentences;
pub mod true_dynamics;

use std::path::{Path, PathBuf};

use foresight_planner::{Controller, Mpc, PlannerConfig, WaypointSource};
use foresight_predictor::goal_head::GoalHead;
use foresight_predictor::policy::Policy;
use foresight_predictor::{ComputeDevice, LevelTwo, Precision, WorldModel};
use foresight_robot::Observation;
use image::RgbImage;

pub use encode::{EncodedObservation, LastLook};
pub use hierarchy::{Hierarchy, SecondLevel};
pub use latent::LatentModel;
pub use oracle::{Oracle, OracleGoal};
pub use policy::PolicyController;
pub use sentences::{SaidLog, SentenceGoals};
pub use true_dynamics::TrueDynamics;

use crate::anchors::Anchors;
use crate::env::ObservedSimulator;
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};

/// What controllers are made of; loaded once, used for any number of episodes.
#[derive(Debug)]
pub enum ModelSource {
    /// A world model.
    Latent(Box<LoadedModel>),
    /// A model's encoder and the simulator's dynamics.
    TrueDynamics(Box<LoadedModel>),
    /// A cloned policy. A baseline.
    Policy {
        /// The model whose encoder tells how far goals are.
        eyes: Box<LoadedModel>,
        /// The policy.
        policy: Box<Policy>,
    },
    /// Knows the goal poses. For baselines and tests.
    Oracle,
}

/// A model, and where it came from.
#[derive(Debug)]
pub struct LoadedModel {
    /// The model.
    pub model: WorldModel,
    /// Its folder.
    pub dir: PathBuf,
    /// Its second level, once that was asked for.
    pub level_two: Option<LevelTwo>,
    /// Recorded frames to aim at, where some were given.
    pub anchors: Option<Anchors>,
    /// What makes sentences its goals, where the folder has one.
    pub head: Option<Box<GoalHead>>,
}

/// A controller as an episode needs it.
pub type EpisodeController<'a> = dyn Controller<Observation, Error = RunError> + 'a;

/// A controller with an episode's goals, ready to decide.
pub struct ReadyController<'a> {
    /// The controller.
    pub controller: Box<EpisodeController<'a>>,
    /// Where the environment has to leave its simulator at every observation; `None` for
    /// controllers that don't ask for one.
    pub observed: Option<ObservedSimulator>,
    /// The looks it encodes, for whoever looks at the same.
    pub looks: LastLook,
    /// What it makes of sentences.
    pub said: SaidLog,
}

impl ModelSource {
    /// Loads a model folder to compute on the CPU in f32.
    ///
    /// # Errors
    /// [`RunError::Model`] when it can't be used.
    pub fn model(dir: &Path) -> RunResult<Self> {
        ModelSource::model_on(dir, ComputeDevice::Cpu, Precision::F32)
    }

    /// Loads a model folder to compute on `device` in `precision`.
    ///
    /// # Errors
    /// As [`ModelSource::model`], and when the device doesn't answer.
    pub fn model_on(dir: &Path, device: ComputeDevice, precision: Precision) -> RunResult<Self> {
        let model =
            WorldModel::load_on(dir, device, precision).map_err(|e| RunError::model(dir, e))?;
        let head = match GoalHead::is_in(dir) {
            true => Some(GoalHead::load(dir, &model.config().encoder)),
            false => None,
        };
        let head = head.transpose().map_err(|e| RunError::model(dir, e))?;
        Ok(ModelSource::Latent(Box::new(LoadedModel {
            head: head.map(Box::new),
            model,
            dir: dir.to_owned(),
            level_two: None,
            anchors: None,
        })))
    }

    /// The same with what `planner` needs for two levels: the model's second level unless waypoints
    /// are recorded frames, and `anchors`, a dataset of such frames, where it is given. What doesn't
    /// plan through a model stays what it is.
    ///
    /// # Errors
    /// [`RunError::Model`] when the model has no second level or it can't be used; [`RunError::Input`]
    /// when the recordings can't be read, or are given to a planner of one level.
    pub fn with_levels(
        mut self,
        planner: &PlannerConfig,
        anchors: Option<&Path>,
        device: ComputeDevice,
        precision: Precision,
    ) -> RunResult<Self> {
        let ModelSource::Latent(loaded) = &mut self else {
            return Ok(self);
        };
        if planner.levels < 2 {
            return match anchors {
                None => Ok(self),
                Some(_) => Err(RunError::Input(
                    "--anchors are waypoints of a second level: set planner.levels = 2".into(),
                )),
            };
        }
        if planner.level_two.waypoints == WaypointSource::Foreseen {
            let second = LevelTwo::load(&loaded.dir, &loaded.model, device, precision);
            loaded.level_two = Some(second.map_err(|e| RunError::model(&loaded.dir, e))?);
        }
        if let Some(dataset) = anchors {
            loaded.anchors = Some(Anchors::index(&loaded.model, dataset)?);
        }
        Ok(self)
    }

    /// The same model, its planning replaced by the policy in a folder. The oracle stays what it
    /// is.
    ///
    /// # Errors
    /// [`RunError::Model`] when the policy can't be used.
    pub fn with_policy(self, folder: &Path) -> RunResult<Self> {
        Ok(match self {
            ModelSource::Latent(eyes) => {
                let policy = Policy::load(folder, &eyes.model.config().encoder);
                ModelSource::Policy {
                    policy: Box::new(policy.map_err(|e| RunError::model(folder, e))?),
                    eyes,
                }
            }
            other => other,
        })
    }

    /// The same model, its predictor replaced by the simulator. The oracle stays what it is.
    pub fn with_true_dynamics(self) -> Self {
        match self {
            ModelSource::Latent(loaded) => ModelSource::TrueDynamics(loaded),
            other => other,
        }
    }

    /// The model whose encoder looks at frames; `None` where nobody looks.
    pub fn eyes(&self) -> Option<&LoadedModel> {
        match self {
            ModelSource::Latent(loaded)
            | ModelSource::TrueDynamics(loaded)
            | ModelSource::Policy { eyes: loaded, .. } => Some(loaded),
            ModelSource::Oracle => None,
        }
    }

    /// The model whose predictor plans; `None` where something else decides.
    pub fn predicting(&self) -> Option<&WorldModel> {
        match self {
            ModelSource::Latent(loaded) => Some(&loaded.model),
            _ => None,
        }
    }

    /// In one line, for reports.
    pub fn describe(&self) -> String {
        let of = |what: &str, loaded: &LoadedModel| {
            let name = &loaded.model.config().name;
            format!("{what} {name} ({})", loaded.dir.display())
        };
        match self {
            ModelSource::Latent(loaded) => {
                format!("{}, {}", of("model", loaded), loaded.model.computes())
            }
            ModelSource::TrueDynamics(loaded) => of("true dynamics, encoder of", loaded),
            ModelSource::Policy { eyes, .. } => of("cloned policy beside the encoder of", eyes),
            ModelSource::Oracle => "oracle of goal poses".into(),
        }
    }

    /// The controller of an episode; `goals` are its goal images.
    ///
    /// # Errors
    /// When a goal image can't be encoded, the model lacks the camera's pose or is given one in
    /// vain, or the oracle is asked about image files.
    pub fn controller(
        &self,
        spec: &EpisodeSpec,
        goals: &[RgbImage],
    ) -> RunResult<ReadyController<'_>> {
        let scenario = &spec.loaded.scenario;
        let (method, seed) = (scenario.planner.method(), spec.seed);
        let mut observed = None;
        let (looks, said) = (LastLook::default(), SaidLog::default());
        let speaks = scenario.subgoal.iter().any(|goal| goal.say.is_some());
        if speaks && !matches!(self, ModelSource::Latent(_)) {
            return Err(RunError::Input(
                "sentences are goals for planning with a world model alone".into(),
            ));
        }
        let controller: Box<EpisodeController<'_>> = match self {
            ModelSource::Latent(loaded) => {
                spec.check_cameras(&loaded.model)?;
                let pictures = goals;
                let (goals, weighting) = (loaded.encode(goals)?, scenario.goal_weighting());
                let extrinsics = spec.extrinsics_for(&loaded.model)?;
                let cost = LatentModel::new(&loaded.model, goals, weighting, extrinsics);
                let sentences = SentenceGoals::of(spec, loaded.head.as_deref(), said.clone())?;
                let cost = cost.with_looks(looks.clone()).with_sentences(sentences);
                let planner = &scenario.planner;
                match planner.levels {
                    2.. => {
                        let second = SecondLevel {
                            model: loaded.level_two.as_ref(),
                            anchors: loaded.anchors.as_ref(),
                        };
                        let pictures = loaded.pixels(pictures)?;
                        let hierarchy = Hierarchy::new(cost, second, planner, seed);
                        Box::new(hierarchy.with_pictures(pictures))
                    }
                    _ => Box::new(Mpc::new(cost, method, seed)),
                }
            }
            ModelSource::TrueDynamics(loaded) => {
                spec.check_cameras(&loaded.model)?;
                let cost = TrueDynamics::new(&loaded.model, loaded.encode(goals)?, spec);
                observed = Some(cost.observed());
                Box::new(Mpc::new(cost, method, seed))
            }
            ModelSource::Policy { eyes, policy } => {
                spec.check_cameras(&eyes.model)?;
                let goals = eyes.encode(goals)?.into_iter().zip(eyes.pixels(goals)?);
                Box::new(PolicyController::new(&eyes.model, policy, goals.collect()))
            }
            ModelSource::Oracle => Box::new(Mpc::new(Oracle::of(spec)?, method, seed)),
        };
        Ok(ReadyController {
            controller,
            observed,
            looks,
            said,
        })
    }
}

impl LoadedModel {
    /// The latents of images, in their order.
    ///
    /// # Errors
    /// [`RunError::Model`] when the model fails.
    pub fn encode(&self, images: &[RgbImage]) -> RunResult<Vec<foresight_predictor::Latent>> {
        let images: Vec<&RgbImage> = images.iter().collect();
        let encoded = self.model.encode(&images);
        encoded.map_err(|e| RunError::model(&self.dir, e))
    }

    /// What the model's encoder sees of images, in their order.
    ///
    /// # Errors
    /// [`RunError::Model`] when an image is empty.
    pub fn pixels(&self, images: &[RgbImage]) -> RunResult<Vec<Vec<f32>>> {
        let pixels = images.iter().map(|image| self.model.pixels(image));
        let pixels: Result<_, _> = pixels.collect();
        pixels.map_err(|e| RunError::model(&self.dir, e))
    }
}
