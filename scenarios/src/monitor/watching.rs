//! A fitted monitor at work: predicts when an action is done, compares when its outcome is seen.

use std::path::{Path, PathBuf};

use foresight_planner::control_loop::Step;
use foresight_planner::Pose;
use foresight_predictor::{Latent, WorldModel};
use foresight_robot::Observation;
use image::RgbImage;

use super::fitted::{unusable, Fitted, StepScore};
use super::transition::{expected_action, Expectation, Transition};
use crate::action_map::ActionMap;
use crate::alarm::{Alarm, MonitorConfig, SurpriseMap};
use crate::controllers::{EncodedObservation, LastLook, LoadedModel, ModelSource};
use crate::env::Executed;
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};

/// What a look told.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The score, 1 at the threshold.
    pub score: f64,
    /// Where in the picture what came differs.
    pub map: SurpriseMap,
    /// The picture.
    pub frame: RgbImage,
    /// The alarm it raises.
    pub alarm: Option<Alarm>,
}

/// Watches one episode.
#[derive(Debug)]
pub struct Monitor<'a> {
    model: &'a WorldModel,
    fitted: Fitted,
    looks: LastLook,
    extrinsics: Option<[f32; 6]>,
    map: ActionMap,
    /// The last action, its step, and what is expected of it; of an action in motion what the hand
    /// did from the pose of one frame to that of the next.
    acted: Option<(u32, Transition, Option<Pose>)>,
    last: Option<StepScore>,
}

impl<'a> Monitor<'a> {
    /// The monitor that an episode's scenario asks for.
    ///
    /// # Errors
    /// [`RunError::Input`] when its file is missing, damaged or another model's, or nothing is
    /// predicted that could be compared.
    pub fn of(
        spec: &EpisodeSpec,
        source: &'a ModelSource,
        looks: LastLook,
    ) -> RunResult<Option<Self>> {
        let Some(config) = &spec.loaded.scenario.monitor else {
            return Ok(None);
        };
        let loaded = source.eyes().ok_or_else(|| {
            unusable("the oracle sees nothing that could be watched; remove [monitor]".into())
        })?;
        let fitted = Fitted::read(&file(spec, config, loaded))?;
        fitted.check(&spec.loaded.scenario, loaded)?;
        if !matches!(
            fitted.expectation,
            Expectation::Action | Expectation::NoAction
        ) {
            let what = "a file of --expect goal or goal-distance watches no run";
            return Err(unusable(what.into()));
        }
        Ok(Some(Monitor {
            model: &loaded.model,
            fitted,
            looks,
            extrinsics: spec.rollout_extrinsics(&loaded.model)?,
            map: spec.loaded.scenario.action_map(),
            acted: None,
            last: None,
        }))
    }

    /// After an action: what should be seen next.
    ///
    /// # Errors
    /// [`RunError`] when the model fails.
    pub fn acted(&mut self, step: &Step<'_, Observation, Executed>) -> RunResult<()> {
        let executed = &step.execution.execution;
        let seen = self.looks.encode(self.model, step.observation)?;
        let transition = Transition {
            subgoal: step.goal,
            subgoal_step: step.goal_step,
            action: expected_action(&step.plan.first(), &executed.sent, &self.map),
            closedness: [step.pose.gripper; 2],
            expected: nothing(),
            reached: nothing(),
            before: seen.latent,
            goal_distance: [step.distance; 2],
        };
        let in_motion = step.committed.is_some() || executed.under_way;
        self.acted = Some(if in_motion {
            (step.number, transition, Some(step.pose))
        } else {
            let transition = self.expecting(transition, &step.pose)?;
            (step.number, transition, None)
        });
        Ok(())
    }

    fn expecting(&self, transition: Transition, pose: &Pose) -> RunResult<Transition> {
        transition.expecting(self.model, self.fitted.expectation, pose, self.extrinsics)
    }

    /// After the look that follows: what it tells; `None` when nothing was expected.
    ///
    /// # Errors
    /// [`RunError::Monitor`] when the score is no number, [`RunError`] when the model fails.
    pub fn looked(&mut self, look: &Observation) -> RunResult<Option<Watched>> {
        let Some((step, mut transition, in_motion)) = self.acted.take() else {
            return Ok(None);
        };
        if let Some(from) = in_motion {
            transition.action = self.map.undo(&from.action_to(&look.pose));
            transition = self.expecting(transition, &from)?;
        }
        transition.reached = self.looks.encode(self.model, look)?.latent;
        transition.closedness[1] = look.pose.gripper;
        let score = self.fitted.score(&transition, self.last.as_ref());
        if !score.score.is_finite() {
            return Err(RunError::Monitor(format!(
                "its score after step {step} is {}: what was seen or predicted can't be compared",
                score.score
            )));
        }
        let share = score.score / self.fitted.threshold;
        let map = SurpriseMap {
            grid: self.fitted.grid(),
            tokens: score.tokens.clone(),
        };
        let alarm = (score.score > self.fitted.threshold).then(|| Alarm {
            step,
            subgoal: self
                .fitted
                .subgoals
                .get(transition.subgoal)
                .cloned()
                .unwrap_or_default(),
            score: share,
            reason: self.fitted.reason(&transition, &score),
            done: "warned".into(),
            map: Some(map.clone()),
        });
        let watched = Watched {
            score: share,
            map,
            frame: look.frame.image.clone(),
            alarm,
        };
        self.last = Some(score);
        Ok(Some(watched))
    }

    /// Forgets what was expected: something else moved the arm meanwhile.
    pub fn forget(&mut self) {
        (self.acted, self.last) = (None, None);
    }
}

fn nothing() -> Latent {
    Latent {
        values: Vec::new(),
        tokens: 0,
    }
}

/// Whether episodes end at their goal, as far as a model can tell.
#[derive(Debug)]
pub struct GoalCheck<'a> {
    model: &'a WorldModel,
    fitted: Fitted,
    goal: Latent,
}

impl<'a> GoalCheck<'a> {
    /// Of an episode that ends at the image `goal`.
    ///
    /// # Errors
    /// [`RunError::Input`] when its file is missing, damaged or another model's.
    pub fn of(spec: &EpisodeSpec, source: &'a ModelSource, goal: &RgbImage) -> RunResult<Self> {
        let missing = || unusable("latent success needs a model that looks".into());
        let loaded = source.eyes().ok_or_else(missing)?;
        let config = spec.loaded.scenario.monitor.clone().unwrap_or_default();
        let fitted = Fitted::read(&goal_file(&file(spec, &config, loaded)))?;
        fitted.check(&spec.loaded.scenario, loaded)?;
        if fitted.expectation != Expectation::Goal {
            return Err(unusable(
                "the goal's file was not fitted with --expect goal".into(),
            ));
        }
        let goal = loaded.encode(std::slice::from_ref(goal))?.pop();
        Ok(GoalCheck {
            model: &loaded.model,
            fitted,
            goal: goal.ok_or_else(missing)?,
        })
    }

    /// How far a look is from the goal, 1 at the threshold.
    ///
    /// # Errors
    /// [`RunError::Monitor`] when that is no number, [`RunError`] when the model fails.
    pub fn distance(&self, look: &Observation) -> RunResult<f64> {
        let seen = EncodedObservation::new(self.model, look)?;
        let end = Transition::at_end(&self.goal, &seen.latent, look.pose.gripper);
        let share = self.fitted.score(&end, None).score / self.fitted.threshold;
        if share.is_finite() {
            return Ok(share);
        }
        Err(RunError::Monitor(format!(
            "the distance to the goal is {share}"
        )))
    }
}

/// What a monitor's file has beside it for latent success.
pub fn goal_file(monitor: &Path) -> PathBuf {
    monitor.with_extension("goal.json")
}

/// The file of a scenario's monitor.
fn file(spec: &EpisodeSpec, config: &MonitorConfig, loaded: &LoadedModel) -> PathBuf {
    match &config.file {
        Some(file) => spec.loaded.path(file),
        None => own_file(&loaded.dir, &spec.loaded.scenario.name),
    }
}

/// Where a model folder keeps a scenario's monitor.
pub fn own_file(folder: &Path, scenario: &str) -> PathBuf {
    folder.join(format!("monitor-{scenario}.json"))
}
