//! What imagines the outcome of actions: a world model with the goals encoded, the simulator
//! itself, or the oracle.

pub mod ground_truth;
pub mod oracle;

use std::path::{Path, PathBuf};

use foresight_planner::control_loop::Imagination;
use foresight_planner::{Action, Energy, Pose, Slack};
use foresight_predictor::goal_distance::{GoalDistance, GoalWeighting, GoalWeights};
use foresight_predictor::policy::Policy;
use foresight_predictor::{Budget, ComputeDevice, Latent, Precision, PredictorError, WorldModel};
use foresight_robot::Observation;
use image::RgbImage;

use crate::controllers::ground_truth::{Rehearsal, Snapshot};
use crate::controllers::oracle::{OracleGoal, PoseEnergy};
use crate::episode_spec::EpisodeSpec;
use crate::run::RunError;

/// Where imagination comes from; loaded once, used for any number of episodes.
#[derive(Debug)]
pub enum ModelSource {
    /// A world model.
    Model {
        /// The model.
        model: Box<WorldModel>,
        /// Its folder.
        dir: PathBuf,
    },
    /// A model's encoder and the simulator's dynamics.
    Dynamics {
        /// The model.
        model: Box<WorldModel>,
        /// Its folder.
        dir: PathBuf,
    },
    /// A cloned policy, which acts without imagining. A baseline.
    Policy {
        /// The model whose encoder it looks through.
        model: Box<WorldModel>,
        /// The policy.
        policy: Box<Policy>,
        /// The model's folder.
        dir: PathBuf,
    },
    /// Knows the goal poses. For baselines and tests.
    Oracle,
}

/// Imagination for one episode: the goals are encoded.
#[derive(Debug)]
pub enum World<'a> {
    /// By a world model.
    Model {
        /// The model.
        model: &'a WorldModel,
        /// The latents of the goal images.
        goals: Vec<Latent>,
        /// How differences to them are weighed.
        weighting: GoalWeighting,
        /// Memory for rollouts.
        budget: Budget,
    },
    /// By trying actions out in copies of the simulator.
    Dynamics {
        /// The model, for its encoder.
        model: &'a WorldModel,
        /// The latents of the goal images.
        goals: Vec<Latent>,
        /// How differences to them are weighed.
        weighting: GoalWeighting,
        /// The copies.
        rehearsal: Box<Rehearsal>,
    },
    /// By nobody: a policy acts at once.
    Policy {
        /// The model, for its encoder.
        model: &'a WorldModel,
        /// The policy.
        policy: &'a Policy,
        /// The latents of the goal images.
        goals: Vec<Latent>,
    },
    /// By the goal poses.
    Oracle {
        /// The poses.
        goals: Vec<OracleGoal>,
    },
}

/// An observation as a [`World`] sees it.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Its latent.
    Latent(Latent),
    /// Its pose.
    Pose(Pose),
}

/// One of a [`World`]'s goals, and what its latent's entries count while it is pursued.
#[derive(Debug, Clone)]
pub struct Aim {
    goal: usize,
    weights: GoalWeights,
}

impl ModelSource {
    /// Loads a model folder to compute on the CPU in f32.
    ///
    /// # Errors
    /// [`RunError::Model`] when it can't be used.
    pub fn model(dir: &Path) -> Result<Self, RunError> {
        ModelSource::model_on(dir, ComputeDevice::Cpu, Precision::F32)
    }

    /// Loads a model folder to compute on `device` in `precision`.
    ///
    /// # Errors
    /// As [`ModelSource::model`], and when the device doesn't answer.
    pub fn model_on(
        dir: &Path,
        device: ComputeDevice,
        precision: Precision,
    ) -> Result<Self, RunError> {
        let model =
            WorldModel::load_on(dir, device, precision).map_err(|source| RunError::Model {
                dir: dir.to_owned(),
                source: Box::new(source),
            })?;
        Ok(ModelSource::Model {
            model: Box::new(model),
            dir: dir.to_owned(),
        })
    }

    /// The same model, its planning replaced by the policy in a folder. The oracle stays what it
    /// is.
    ///
    /// # Errors
    /// [`RunError::Model`] when the policy can't be used.
    pub fn with_policy(self, folder: &Path) -> Result<Self, RunError> {
        let policy = Policy::load(folder).map_err(|source| RunError::Model {
            dir: folder.to_owned(),
            source: Box::new(source),
        })?;
        Ok(match self {
            ModelSource::Model { model, dir } => ModelSource::Policy {
                model,
                policy: Box::new(policy),
                dir,
            },
            other => other,
        })
    }

    /// The same model, its predictor replaced by the simulator. The oracle stays what it is.
    pub fn with_true_dynamics(self) -> Self {
        match self {
            ModelSource::Model { model, dir } => ModelSource::Dynamics { model, dir },
            other => other,
        }
    }

    /// In one line, for reports.
    pub fn describe(&self) -> String {
        match self {
            ModelSource::Model { model, dir } => {
                let computes = model.computes();
                let name = &model.config().name;
                format!("model {name} ({}), {computes}", dir.display())
            }
            ModelSource::Dynamics { model, dir } => format!(
                "true dynamics, encoder of {} ({})",
                model.config().name,
                dir.display()
            ),
            ModelSource::Policy { model, dir, .. } => format!(
                "cloned policy, encoder of {} ({})",
                model.config().name,
                dir.display()
            ),
            ModelSource::Oracle => "oracle of goal poses".into(),
        }
    }

    /// With an instance's goals encoded.
    ///
    /// # Errors
    /// When a goal image can't be encoded, or the oracle is asked about image files.
    pub fn with_goals(
        &self,
        instance: &EpisodeSpec,
        images: &[RgbImage],
    ) -> Result<World<'_>, RunError> {
        let weighting = instance.loaded.scenario.planner.weighting();
        match self {
            ModelSource::Model { model, dir } => Ok(World::Model {
                goals: encode(model, dir, images)?,
                weighting,
                model,
                budget: model.budget(),
            }),
            ModelSource::Policy { model, policy, dir } => Ok(World::Policy {
                goals: encode(model, dir, images)?,
                model,
                policy,
            }),
            ModelSource::Dynamics { model, dir } => Ok(World::Dynamics {
                goals: encode(model, dir, images)?,
                weighting,
                model,
                rehearsal: Box::new(Rehearsal::new(instance)),
            }),
            ModelSource::Oracle => {
                let poses = instance.goal_poses().into_iter().zip(&instance.goal_states);
                let states = poses.map(|(pose, state)| {
                    pose.map(|pose| OracleGoal {
                        pose,
                        grasping: state.as_ref().is_some_and(|state| state.grasping),
                    })
                });
                let goals = states.collect::<Option<Vec<OracleGoal>>>().ok_or_else(|| {
                    RunError::Input(
                        "the oracle needs the pose of every sub-goal: a simulator state, or an image with its pose".into(),
                    )
                })?;
                Ok(World::Oracle { goals })
            }
        }
    }
}

fn encode(model: &WorldModel, dir: &Path, images: &[RgbImage]) -> Result<Vec<Latent>, RunError> {
    let images: Vec<&RgbImage> = images.iter().collect();
    model.encode(&images).map_err(|source| RunError::Model {
        dir: dir.to_owned(),
        source: Box::new(source),
    })
}

impl World<'_> {
    /// Where the env leaves the simulator's state, for worlds that rehearse in it.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            World::Dynamics { rehearsal, .. } => Some(rehearsal.snapshot()),
            World::Model { .. } | World::Policy { .. } | World::Oracle { .. } => None,
        }
    }
}

impl Imagination<Observation> for World<'_> {
    type Context = Seen;
    type Aim = Aim;
    type Error = PredictorError;

    fn look(&self, observation: &Observation) -> Result<Seen, PredictorError> {
        match self {
            World::Oracle { .. } => Ok(Seen::Pose(observation.pose)),
            World::Model { model, .. }
            | World::Dynamics { model, .. }
            | World::Policy { model, .. } => {
                let latent = model
                    .encode(&[&observation.frame.image])?
                    .into_iter()
                    .next();
                let missing = || PredictorError::Model("the encoder returned no latent".into());
                Ok(Seen::Latent(latent.ok_or_else(missing)?))
            }
        }
    }

    fn act(
        &self,
        context: &Seen,
        pose: &Pose,
        goal: usize,
    ) -> Result<Option<Action>, PredictorError> {
        match (self, context) {
            (World::Policy { policy, goals, .. }, Seen::Latent(latent)) => {
                policy.act(latent, pose, &goals[goal]).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn distance(&self, context: &Seen, goal: usize) -> f32 {
        match (self, context) {
            (
                World::Model { goals, .. }
                | World::Dynamics { goals, .. }
                | World::Policy { goals, .. },
                Seen::Latent(latent),
            ) => latent.distance(&goals[goal]),
            (World::Oracle { goals }, Seen::Pose(pose)) => goals[goal].distance(pose),
            _ => f32::NAN,
        }
    }

    fn aim(
        &self,
        context: &Seen,
        pose: &Pose,
        goal: usize,
        slack: Option<Slack>,
    ) -> Result<Aim, PredictorError> {
        let slack = slack.as_ref();
        let weights = match (self, context) {
            (
                World::Model {
                    model,
                    goals,
                    weighting,
                    budget,
                },
                Seen::Latent(latent),
            ) => model
                .energy(latent, pose, &goals[goal], *budget)
                .weights(*weighting, slack)
                .map_err(|e| PredictorError::Model(e.to_string()))?,
            (
                World::Dynamics {
                    model,
                    goals,
                    weighting,
                    rehearsal,
                },
                Seen::Latent(latent),
            ) => rehearsal.weights(model, [latent, &goals[goal]], *weighting, slack)?,
            _ => GoalWeights::uniform(),
        };
        Ok(Aim { goal, weights })
    }

    fn energy<'a>(&'a self, context: &'a Seen, pose: &Pose, aim: &'a Aim) -> Box<dyn Energy + 'a> {
        let goal = aim.goal;
        match (self, context) {
            (
                World::Model {
                    model,
                    goals,
                    budget,
                    ..
                },
                Seen::Latent(latent),
            ) => {
                let energy = model.energy(latent, pose, &goals[goal], *budget);
                Box::new(energy.with_weights(&aim.weights))
            }
            (World::Oracle { goals }, _) => Box::new(PoseEnergy {
                from: *pose,
                to: goals[goal],
            }),
            (
                World::Dynamics {
                    model,
                    goals,
                    rehearsal,
                    ..
                },
                Seen::Latent(_),
            ) => {
                let distance = GoalDistance::weighed(&goals[goal].values, &aim.weights);
                Box::new(rehearsal.energy(model, distance))
            }
            // A policy is never asked, and a context of another world says nothing about the goals.
            (World::Policy { .. }, Seen::Latent(_)) => Box::new(PoseEnergy {
                from: *pose,
                to: OracleGoal {
                    pose: *pose,
                    grasping: false,
                },
            }),
            (
                World::Model { .. } | World::Dynamics { .. } | World::Policy { .. },
                Seen::Pose(seen),
            ) => Box::new(PoseEnergy {
                from: *pose,
                to: OracleGoal {
                    pose: *seen,
                    grasping: false,
                },
            }),
        }
    }
}
