//! An episode's `trajectory.h5`: DROID's groups, plus `simulator_state` in our recordings.
//!
//! | dataset | shape | meaning |
//! |---|---|---|
//! | `observation/robot_state/cartesian_position` | `[T, 6]` f64 | x y z m, extrinsic xyz Euler rad |
//! | `observation/robot_state/gripper_position` | `[T]` f64 | closedness, 0 open to 1 closed |
//! | `observation/robot_state/joint_positions` | `[T, 7]` f64 | rad |
//! | `observation/timestamp/robot_state/read_end` | `[T]` i64 | ms on the arm's clock |
//! | `observation/timestamp/time_s` | `[T]` f64 | the same in s, not rounded |
//! | `observation/timestamp/cameras/<camera>_estimated_capture` | `[T]` i64 | ms on the same clock, in live recordings |
//! | `action/cartesian_position`, `action/gripper_position` | `[T, 6]`, `[T]` f64 | the pose commanded at step t; the last row repeats the last pose |
//! | `action/requested` | `[T-1, 7]` f64 | the action asked for, before the safety envelope |
//! | `simulator_state/object_position_m` | `[T, 3]` f64 | base frame |
//! | `simulator_state/object_quaternion_xyzw` | `[T, 4]` f64 | |
//! | `simulator_state/held`, `simulator_state/upright` | `[T]` u8 | 0 or 1 |
//! | `simulator_state/target_position_m` | `[2]` f64 | x y in the base frame |
//! | `simulator_state/begin_pose`, `simulator_state/begin_object`, `simulator_state/begin_flags` | `[7]`, `[7]`, `[3]` f64 | how the simulator was posed before the first state: hand, object with its quaternion xyzw, and grasping, settling time in s, object posed |
//! | `simulator_state/envelope` | `[n]` u8 | the safety envelope's limits as JSON text |
//! | `simulator_state/scene` | `[n]` u8 | the scene as JSON text; its seed is the attribute `scene_seed` of the group |
//!
//! Datasets from elsewhere need only the first two; whatever else is missing reads as absent, as do
//! joint angles and commands that can't be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use foresight_planner::{Action, Pose};
use hdf5_pure::{AttrValue, File};

use crate::arrays::{dispensable, optional, required, text, Array};
use crate::error::{DatasetError, Result};

mod write;

const CARTESIAN: &str = "observation/robot_state/cartesian_position";
const GRIPPER: &str = "observation/robot_state/gripper_position";
const JOINTS: &str = "observation/robot_state/joint_positions";
const TIME: &str = "observation/timestamp/time_s";
const TIME_MS: &str = "observation/timestamp/robot_state/read_end";

/// States, actions and times of one episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// Measured poses, `T`.
    pub states: Vec<Pose>,
    /// When each state was measured, s on the arm's clock, `T`; empty when not recorded.
    pub time_s: Vec<f64>,
    /// Joint angles, rad, `T`; empty when not recorded.
    pub joints_rad: Vec<[f64; 7]>,
    /// What was commanded between the states, `T - 1`; empty when not recorded.
    pub commands: Vec<CommandedStep>,
    /// The simulator's truth, in recordings from the simulator.
    pub simulator: Option<SimulatorTrack>,
}

/// One commanded step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommandedStep {
    /// What the demonstrator asked for.
    pub requested: Action,
    /// The pose the safety envelope let through.
    pub target: Pose,
}

/// The simulator's truth along an episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SimulatorTrack {
    /// Object's position in the base frame, m, `T`.
    pub object_position_m: Vec<[f64; 3]>,
    /// Object's orientation, `T`.
    pub object_quaternion_xyzw: Vec<[f64; 4]>,
    /// Whether the object is between both fingers, `T`.
    pub held: Vec<bool>,
    /// Whether the object stands upright, `T`.
    pub upright: Vec<bool>,
    /// The target's centre, x y in the base frame, m.
    pub target_position_m: [f64; 2],
    /// Seed of the scene.
    pub scene_seed: u64,
    /// The scene as JSON.
    pub scene: String,
    /// How it began; `None` in recordings that don't say.
    pub initial_state: Option<InitialState>,
}

/// How the simulator was set up before the first state: what an exact replay needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InitialState {
    /// Hand and gripper it was posed at; `None` when it began as the scene says.
    pub pose: Option<[f64; 7]>,
    /// The object's position in m and quaternion xyzw, when it was posed too.
    pub object: Option<[f64; 7]>,
    /// Whether the fingers pressed on the object.
    pub grasping: bool,
    /// Virtual time that passed to come to rest, s.
    pub settling_s: f64,
    /// The safety envelope's limits as JSON.
    pub envelope: String,
}

impl Trajectory {
    /// Number of states, `T`.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is no state.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The realised actions, `T - 1`: differences of measured poses by the official formula
    /// (`poses_to_diffs`), which is what the predictor is trained on.
    pub fn actions(&self) -> Vec<Action> {
        self.states
            .windows(2)
            .map(|pair| pair[0].action_to(&pair[1]))
            .collect()
    }

    /// Writes the trajectory as HDF5.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] when the parts disagree in length, [`DatasetError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_with_cameras(path, &BTreeMap::new(), &BTreeMap::new())
    }

    /// Writes the trajectory and where cameras were, by `<camera>_left` or `<camera>_right`:
    /// x y z m, extrinsic xyz Euler rad, base frame, one row a state; and when each camera's
    /// pictures were captured, s, by the camera's name.
    ///
    /// # Errors
    /// As [`Trajectory::write`].
    pub fn write_with_cameras(
        &self,
        path: &Path,
        cameras: &BTreeMap<String, Vec<[f64; 6]>>,
        captured_s: &BTreeMap<String, Vec<f64>>,
    ) -> Result<()> {
        let poses = cameras.iter().map(|(name, rows)| (name, rows.len()));
        let times = captured_s.iter().map(|(name, times)| (name, times.len()));
        if let Some((name, rows)) = poses.chain(times).find(|(_, rows)| *rows != self.len()) {
            return Err(DatasetError::corrupt(
                path,
                format!("{rows} rows of camera {name} for {} states", self.len()),
            ));
        }
        self.check_lengths()
            .map_err(|reason| DatasetError::corrupt(path, reason))?;
        let bytes = self
            .to_hdf5(cameras, captured_s)
            .map_err(|e| DatasetError::corrupt(path, format!("cannot be encoded: {e}")))?;
        fs::write(path, bytes).map_err(|e| DatasetError::io("write", path, e))
    }

    /// Reads a trajectory; parts beyond poses and gripper are optional.
    ///
    /// # Errors
    /// [`DatasetError::Io`], or [`DatasetError::Corrupt`] when the file is not HDF5, lacks the
    /// required datasets, has lengths that disagree, or values that are not finite.
    pub fn read(path: &Path) -> Result<Self> {
        Trajectory::read_noted(path).map(|(trajectory, _)| trajectory)
    }

    /// As [`Trajectory::read`], with what of the file can't be used and is left out.
    pub(crate) fn read_noted(path: &Path) -> Result<(Self, Vec<String>)> {
        let bytes = fs::read(path).map_err(|e| DatasetError::io("read", path, e))?;
        let mut notes = Vec::new();
        let read = Trajectory::from_hdf5(bytes, &mut notes);
        let trajectory = read.map_err(|reason| DatasetError::corrupt(path, reason))?;
        Ok((trajectory, notes))
    }

    fn from_hdf5(bytes: Vec<u8>, notes: &mut Vec<String>) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("the file is empty; the recording was interrupted".to_owned());
        }
        let file = File::from_bytes(bytes)
            .map_err(|e| format!("not a readable HDF5 file ({e}); it may be cut short"))?;
        let cartesian = required(&file, CARTESIAN)?;
        let gripper = required(&file, GRIPPER)?;
        let steps = gripper.values.len();
        cartesian.check_shape(CARTESIAN, &[steps, 6])?;
        gripper.check_shape(GRIPPER, &[steps])?;
        let mut trajectory = Trajectory {
            states: poses(&cartesian, &gripper),
            time_s: Vec::new(),
            joints_rad: Vec::new(),
            commands: Vec::new(),
            simulator: None,
        };
        if let Some(joints) = dispensable(&file, JOINTS, &[steps, 7], notes) {
            trajectory.joints_rad = joints.rows::<7>().collect();
        }
        if let Some(time) = optional(&file, TIME)? {
            time.check_shape(TIME, &[steps])?;
            trajectory.time_s = time.values;
        } else if let Some(time) = optional(&file, TIME_MS)? {
            time.check_shape(TIME_MS, &[steps])?;
            trajectory.time_s = time.values.iter().map(|ms| ms / 1000.0).collect();
        }
        trajectory.commands = read_commands(&file, steps, notes);
        trajectory.simulator = read_simulator(&file, steps)?;
        trajectory.check_lengths()?;
        Ok(trajectory)
    }

    fn check_lengths(&self) -> Result<(), String> {
        let steps = self.len();
        let mut parts = vec![
            ("times", self.time_s.len(), steps),
            ("joint positions", self.joints_rad.len(), steps),
            ("commands", self.commands.len(), steps.saturating_sub(1)),
        ];
        parts.retain(|(_, length, _)| *length > 0);
        if let Some(s) = &self.simulator {
            parts.push(("object positions", s.object_position_m.len(), steps));
            parts.push(("object rotations", s.object_quaternion_xyzw.len(), steps));
            parts.push(("held flags", s.held.len(), steps));
            parts.push(("upright flags", s.upright.len(), steps));
        }
        for (what, length, expected) in parts {
            if length != expected {
                return Err(format!(
                    "it has {steps} states but {length} {what}, where {expected} belong"
                ));
            }
        }
        Ok(())
    }
}

/// The poses commanded in an episode, `T`, in m and rad and closedness; `None` when the file has
/// none that can be used.
///
/// # Errors
/// [`DatasetError::Io`], [`DatasetError::Corrupt`].
pub fn read_commanded(path: &Path, states: usize) -> Result<Option<Vec<Pose>>> {
    let bytes = fs::read(path).map_err(|e| DatasetError::io("read", path, e))?;
    let file = File::from_bytes(bytes)
        .map_err(|e| DatasetError::corrupt(path, format!("not a readable HDF5 file ({e})")))?;
    Ok(targets(&file, states, &mut Vec::new()))
}

/// The commanded poses of `states` rows; of none where some can't be used.
fn targets(file: &File, states: usize, notes: &mut Vec<String>) -> Option<Vec<Pose>> {
    let cartesian = dispensable(file, "action/cartesian_position", &[states, 6], notes)?;
    let gripper = dispensable(file, "action/gripper_position", &[states], notes)?;
    Some(poses(&cartesian, &gripper))
}

fn poses(cartesian: &Array, gripper: &Array) -> Vec<Pose> {
    let rows = cartesian.rows::<6>().zip(&gripper.values);
    rows.map(|([x, y, z, a, b, c], g)| Pose::from_array([x, y, z, a, b, c, *g]))
        .collect()
}

fn read_commands(file: &File, steps: usize, notes: &mut Vec<String>) -> Vec<CommandedStep> {
    // Only our recordings say what was asked for; DROID's own action group is not needed.
    let shape = [steps.saturating_sub(1), 7];
    let commands = dispensable(file, "action/requested", &shape, notes).and_then(|requested| {
        let steps = requested.rows::<7>().zip(targets(file, steps, notes)?);
        let step = |(requested, target)| CommandedStep {
            requested: Action::from_array(requested),
            target,
        };
        Some(steps.map(step).collect())
    });
    commands.unwrap_or_default()
}

fn read_simulator(file: &File, steps: usize) -> Result<Option<SimulatorTrack>, String> {
    const POSITION: &str = "simulator_state/object_position_m";
    const ROTATION: &str = "simulator_state/object_quaternion_xyzw";
    const TARGET: &str = "simulator_state/target_position_m";
    let Some(position) = optional(file, POSITION)? else {
        return Ok(None);
    };
    position.check_shape(POSITION, &[steps, 3])?;
    let rotation = required(file, ROTATION)?;
    rotation.check_shape(ROTATION, &[steps, 4])?;
    let target = required(file, TARGET)?;
    target.check_shape(TARGET, &[2])?;
    let flags = |name: &str| -> Result<Vec<bool>, String> {
        let array = required(file, name)?;
        array.check_shape(name, &[steps])?;
        Ok(array.values.iter().map(|v| *v != 0.0).collect())
    };
    let group = file
        .group("simulator_state")
        .map_err(|e| format!("simulator_state: {e}"))?;
    let attributes = group.attrs().map_err(|e| format!("simulator_state: {e}"))?;
    let scene_seed = attributes
        .get("scene_seed")
        .and_then(AttrValue::as_u64)
        .ok_or("simulator_state lacks its attribute scene_seed")?;
    Ok(Some(SimulatorTrack {
        object_position_m: position.rows::<3>().collect(),
        object_quaternion_xyzw: rotation.rows::<4>().collect(),
        held: flags("simulator_state/held")?,
        upright: flags("simulator_state/upright")?,
        target_position_m: [target.values[0], target.values[1]],
        scene_seed,
        scene: text(file, "simulator_state/scene")?,
        initial_state: read_initial_state(file)?,
    }))
}

fn read_initial_state(file: &File) -> Result<Option<InitialState>, String> {
    const FLAGS: &str = "simulator_state/begin_flags";
    const POSE: &str = "simulator_state/begin_pose";
    const OBJECT: &str = "simulator_state/begin_object";
    let Some(flags) = optional(file, FLAGS)? else {
        return Ok(None);
    };
    flags.check_shape(FLAGS, &[3])?;
    let seven = |name: &str| -> Result<Option<[f64; 7]>, String> {
        let Some(array) = optional(file, name)? else {
            return Ok(None);
        };
        array.check_shape(name, &[7])?;
        let values = array.rows::<7>().next();
        Ok(values)
    };
    Ok(Some(InitialState {
        pose: seven(POSE)?,
        object: if flags.values[2] == 0.0 {
            None
        } else {
            seven(OBJECT)?
        },
        grasping: flags.values[0] != 0.0,
        settling_s: flags.values[1],
        envelope: text(file, "simulator_state/envelope")?,
    }))
}
