//! What to plan between, as `plan` and `energy` are given it: two pictures and a pose, or an episode.

use std::path::PathBuf;

use anyhow::{bail, Result};
use clap::Args;
use foresight_datasets::picture;
use foresight_planner::{pose_units, Action, Pose};
use foresight_predictor::npz::Trajectory;
use foresight_predictor::WorldModel;
use image::RgbImage;

/// Two pictures and a pose, or an episode that has them.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// What the camera sees now.
    #[arg(long, value_name = "IMAGE", requires_all = ["goal", "state"], conflicts_with = "npz")]
    context: Option<PathBuf>,
    /// What it should see.
    #[arg(long, value_name = "IMAGE", requires_all = ["context", "state"], conflicts_with = "npz")]
    goal: Option<PathBuf>,
    /// The robot's pose now: x,y,z in m in its base frame, extrinsic xyz Euler angles in rad,
    /// gripper from 0 (open) to 1 (closed).
    #[arg(long, value_name = "X,Y,Z,RX,RY,RZ,G", allow_hyphen_values = true, requires_all = ["context", "goal"], conflicts_with = "npz")]
    state: Option<String>,
    /// Where the camera stands, for models that take its pose: x,y,z in m in the robot's base
    /// frame, extrinsic xyz Euler angles in rad, its z axis pointing into the picture.
    #[arg(long, value_name = "X,Y,Z,RX,RY,RZ", allow_hyphen_values = true)]
    extrinsics: Option<String>,
    /// An episode instead, from first to last frame: observations of 1×T×H×W×3, states of 1×T×7.
    #[arg(long, value_name = "FILE")]
    npz: Option<PathBuf>,
}

/// What to plan from and to.
pub(crate) struct Task {
    /// What is seen now.
    pub(crate) context: RgbImage,
    /// What should be seen.
    pub(crate) goal: RgbImage,
    /// Where the hand is now.
    pub(crate) pose: Pose,
    /// What really led from one to the other, where an episode tells it.
    pub(crate) true_action: Option<Action>,
}

impl TaskArgs {
    /// Reads what was given; an episode from its last frame to its first where it is to be reversed.
    ///
    /// # Errors
    /// When neither is given, or a file or a number can't be used.
    pub(crate) fn read(&self, reversed: bool) -> Result<Task> {
        if let Some(path) = &self.npz {
            let mut episode = Trajectory::read(path)?;
            if reversed {
                episode.frames.reverse();
                episode.states.reverse();
            }
            let (count, states) = (episode.frames.len(), episode.states);
            let (Some(goal), Some(goal_pose)) = (episode.frames.pop(), states.last()) else {
                bail!("{}: the episode has no frame", path.display());
            };
            let (Some(context), Some(pose)) = (episode.frames.into_iter().next(), states.first())
            else {
                bail!(
                    "{}: the episode has {count} frame; planning needs a first and a last one",
                    path.display()
                );
            };
            return Ok(Task {
                context,
                goal,
                pose: *pose,
                true_action: Some(pose.action_to(goal_pose)),
            });
        }
        let (Some(context), Some(goal), Some(state)) = (&self.context, &self.goal, &self.state)
        else {
            bail!("give --context, --goal and --state, or --npz");
        };
        Ok(Task {
            context: picture::open(context)?,
            goal: picture::open(goal)?,
            pose: pose_from(state)?,
            true_action: None,
        })
    }

    /// Where the camera stands, for a model that takes its pose.
    ///
    /// # Errors
    /// When it is not six sane numbers, the model takes it and it is missing, or the other way round.
    pub(crate) fn camera(&self, model: &WorldModel) -> Result<Option<[f32; 6]>> {
        let name = &model.config().name;
        match (&self.extrinsics, model.takes_extrinsics()) {
            (None, false) => Ok(None),
            (Some(text), true) => {
                let camera = numbers::<6>("--extrinsics", text, "six numbers: x,y,z,rx,ry,rz")?;
                if let Some(doubt) = pose_units::camera_doubt(&camera) {
                    bail!("--extrinsics {text:?}: {doubt}");
                }
                Ok(Some(camera.map(|v| v as f32)))
            }
            (None, true) => bail!(
                "the model {name} plans with the camera's pose; add --extrinsics X,Y,Z,RX,RY,RZ: \
                 where the camera stands in the robot's base frame, m and rad"
            ),
            (Some(_), false) => {
                bail!("the model {name} doesn't take the camera's pose; leave out --extrinsics")
            }
        }
    }
}

/// A pose from `x,y,z,rx,ry,rz,g`.
fn pose_from(text: &str) -> Result<Pose> {
    let array = numbers::<7>("--state", text, "seven numbers: x,y,z,rx,ry,rz,g")?;
    if let Some(doubt) = pose_units::doubt(&array) {
        bail!("--state {text:?}: {doubt}");
    }
    Ok(Pose::from_array(array))
}

/// `N` finite numbers, separated by commas.
fn numbers<const N: usize>(flag: &str, text: &str, wanted: &str) -> Result<[f64; N]> {
    let values: Option<Vec<f64>> = text.split(',').map(|v| v.trim().parse().ok()).collect();
    let array = values.and_then(|values| <[f64; N]>::try_from(values).ok());
    let Some(array) = array else {
        bail!("{flag} {text:?} is not {wanted}");
    };
    if array.iter().any(|v| !v.is_finite()) {
        bail!("{flag} {text:?} has a value that is not finite");
    }
    Ok(array)
}

#[cfg(test)]
#[path = "../tests/unit/task.rs"]
mod tests;
