//! A simulator behind a bridge: its scenes, their goals, and its verdict (docs/bridges.md).

use std::time::Duration;

use serde::Deserialize;
use zenoh::sample::Sample;
use zenoh::Session;

use super::commands::{ask, FIND_TIMEOUT};
use super::LinkConfig;
use crate::arm::{ArmError, ArmResult};

/// How long drawing a scene and its goals may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A sub-goal of the scene that was begun.
#[derive(Debug, Clone, Deserialize)]
pub struct SceneGoal {
    /// Its name.
    pub name: String,
    /// The hand's pose there, `[x, y, z, rx, ry, rz, gripper]`, where it is known.
    pub pose: Option<[f64; 7]>,
    bytes: usize,
    /// Its picture, an image file's bytes.
    #[serde(skip)]
    pub image: Vec<u8>,
}

/// What the simulator's true state says of the task.
#[derive(Debug, Clone, Deserialize)]
pub struct SceneVerdict {
    /// Whether it is achieved; `None` where it can't tell.
    pub success: Option<bool>,
    /// Why.
    pub reason: String,
}

/// Begins the scene of a seed in the simulator behind `arm`; its sub-goals.
///
/// # Errors
/// [`ArmError::Command`] when nobody answers, as in front of a real arm, or the scene is refused.
pub fn begin_scene(link: &LinkConfig, arm: &str, seed: u64) -> ArmResult<Vec<SceneGoal>> {
    #[derive(Deserialize)]
    struct Header {
        goals: Vec<SceneGoal>,
    }
    let session = super::open(link)?;
    let payload = format!("{{\"seed\": {seed}}}");
    let answer = ask_scene(&session, arm, "reset", payload, FIND_TIMEOUT)?.ok_or_else(|| {
        refused(
            arm,
            "reset",
            "no simulator behind this arm draws scenes from seeds",
        )
    })?;
    let header = answer.attachment().map(|a| a.to_bytes().into_owned());
    let mut goals = serde_json::from_slice::<Header>(&header.unwrap_or_default())
        .map_err(|e| refused(arm, "reset", e))?
        .goals;
    let pictures = answer.payload().to_bytes();
    let mut rest = &*pictures;
    for goal in &mut goals {
        let (image, behind) = rest
            .split_at_checked(goal.bytes)
            .ok_or_else(|| refused(arm, "reset", "its pictures are cut short"))?;
        (goal.image, rest) = (image.to_vec(), behind);
    }
    Ok(goals)
}

/// The simulator's verdict on its scene as it is now; `None` where nobody judges, as with a real arm.
pub(crate) fn verdict(session: &Session, arm: &str) -> ArmResult<Option<SceneVerdict>> {
    let answer = ask_scene(session, arm, "verdict", "{}".into(), Duration::ZERO)?;
    let judged = answer.map(|a| serde_json::from_slice(&a.payload().to_bytes()));
    judged.transpose().map_err(|e| refused(arm, "verdict", e))
}

fn ask_scene(
    session: &Session,
    arm: &str,
    what: &'static str,
    payload: String,
    patience: Duration,
) -> ArmResult<Option<Sample>> {
    let key = format!("foresight/env/{arm}/{what}");
    let reply = ask(session, &key, &payload, TIMEOUT, patience)?;
    reply
        .map(|reply| reply.into_result())
        .transpose()
        .map_err(|e| refused(arm, what, e.payload().try_to_string().unwrap_or_default()))
}

fn refused(arm: &str, verb: &'static str, reason: impl ToString) -> ArmError {
    ArmError::Command {
        arm: arm.to_owned(),
        verb,
        reason: reason.to_string(),
    }
}
