//! What a scenario file says. Field names carry their units.

use std::path::PathBuf;

use foresight_planner::{GripperRule, PlannerConfig, WorkspaceBounds};
use foresight_predictor::goal_distance::GoalWeighting;
use foresight_predictor::{ComputeDevice, Precision};
use foresight_robot::link::LinkConfig;
use foresight_robot::{EnvelopeConfig, ZenohArmConfig};
use foresight_sim::SceneDistribution;
use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::action_map::ActionMap;
use crate::alarm::MonitorConfig;
use crate::demonstrations::DemonstrationConfig;
use crate::fault_kind::Faults;

/// A task for an arm: which model plans, which arm moves, within which limits, towards which
/// goal images, and what counts as success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name in reports and run folders: lower-case letters, digits and `_`.
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// Seed used when none is given on the command line. It decides the simulated scene and the
    /// search's noise; scenes of seeds up to 999999 are never recorded for training.
    #[serde(default)]
    pub seed: u64,
    /// The world model.
    pub model: Model,
    /// The arm.
    #[serde(default)]
    pub robot: Robot,
    /// The camera.
    #[serde(default)]
    pub camera: CameraPicture,
    /// Limits of every motion; the workspace box is required.
    pub safety: EnvelopeConfig,
    /// Whether the arm rests between actions.
    #[serde(default)]
    pub motion: MotionMode,
    /// What passes in virtual time between a frame taken in motion and the decision on it, s; in
    /// real time it is measured.
    #[serde(default = "virtual_latency_s")]
    pub virtual_latency_s: f64,
    /// The search for actions.
    #[serde(default)]
    pub planner: PlannerConfig,
    /// Where simulated scenes are drawn from.
    #[serde(default)]
    pub scene: SceneDistribution,
    /// How the episode begins in the simulator.
    #[serde(default)]
    pub start: Start,
    /// How far the simulated object is moved, in a direction drawn from the seed, after the goal
    /// images were taken, m. A goal image's arm pose alone carries much of an answer; an object
    /// that is no longer where the images show it has to be seen.
    #[serde(default)]
    pub displaced_after_goals_m: f64,
    /// Where the hand is parked, open, while every goal image is taken, base frame, m; where each
    /// sub-goal's state has it when absent. With it goal images differ only in where the object
    /// is.
    #[serde(default)]
    pub goals_with_hand_at_m: Option<[f64; 3]>,
    /// What is pursued, one after the other.
    pub subgoal: Vec<SubGoalSpec>,
    /// What counts as success, judged from the simulator's true state.
    #[serde(default)]
    pub success: Option<Success>,
    /// What watches for the unexpected; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<MonitorConfig>,
    /// What goes wrong on purpose; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Faults>,
    /// What `record` records in this scenario's scenes.
    #[serde(default)]
    pub demonstrations: DemonstrationConfig,
}

impl Scenario {
    /// From planned actions to those the arm is asked for.
    pub fn action_map(&self) -> ActionMap {
        ActionMap::new(self.robot.action_map_xy)
    }

    /// Where plans may lead the hand: as far as the safety envelope lets it go. What an
    /// `action_map_xy` turns has borders in z alone, the others being askew.
    pub fn workspace_bounds(&self) -> WorkspaceBounds {
        let mut bounds = self.safety.workspace_bounds();
        if self.robot.action_map_xy.is_some() {
            for axis in 0..2 {
                bounds.min_m[axis] = f64::NEG_INFINITY;
                bounds.max_m[axis] = f64::INFINITY;
            }
        }
        bounds
    }

    /// How differences to a goal are weighed; uniformly where the setting is impossible, which
    /// reading a scenario refuses.
    pub fn goal_weighting(&self) -> GoalWeighting {
        let power = self.planner.residual_power;
        GoalWeighting::residual(power).unwrap_or(GoalWeighting::UNIFORM)
    }
}

/// Whether the arm rests between actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MotionMode {
    /// It comes to rest after every action, and is looked at then.
    #[default]
    StopAndGo,
    /// The next action is decided on while one is under way, and turned to without a stop; the arm
    /// rests where the fingers may move.
    Continuous,
}

fn virtual_latency_s() -> f64 {
    0.1
}

/// The world model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Model folder, relative to the scenario file.
    pub dir: PathBuf,
    /// Where the networks compute: `cpu`, `cuda` or `cuda:N` for the GPU of that number, or
    /// `candle-cpu`, which does on the CPU what a GPU would.
    #[serde(default)]
    #[schemars(with = "String", regex(pattern = r"^(cpu|cuda(:[0-9]+)?|candle-cpu)$"))]
    pub device: ComputeDevice,
    /// Numbers that the networks' products are taken in; `bf16` is f32 on machines that are no
    /// faster in it.
    #[serde(default = "bf16")]
    #[schemars(schema_with = "precisions")]
    pub precision: Precision,
    /// How to reach machines that roll candidates out too (`foresight serve`); each must serve this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<LinkConfig>,
}

fn bf16() -> Precision {
    Precision::Bf16
}

fn precisions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["f32", "bf16"]})
}

/// Which arm moves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Robot {
    /// A simulated arm or a real one.
    pub kind: RobotKind,
    /// How to reach franka-node and franka-cam; for `kind = "franka"`.
    pub franka: Option<ZenohArmConfig>,
    /// Where a real arm is brought, inside its box and along straight lines, before the first
    /// decision; it starts where it stands when absent.
    pub home: Option<HomePose>,
    /// What a planned x and y translation, m, is multiplied by before it is executed: the map
    /// `foresight calibrate` finds when the camera sees the table turned.
    pub action_map_xy: Option<[[f64; 2]; 2]>,
}

/// Where a real arm starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HomePose {
    /// The TCP in the base frame, m.
    pub position_m: [f64; 3],
    /// Extrinsic xyz Euler angles, rad; pointing straight down when absent.
    #[serde(default = "pointing_down")]
    pub euler_rad: [f64; 3],
}

fn pointing_down() -> [f64; 3] {
    [std::f64::consts::PI, 0.0, 0.0]
}

/// A simulated arm or a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RobotKind {
    /// The built-in simulator.
    #[default]
    Sim,
    /// An arm behind franka-node.
    Franka,
}

/// The camera. Where a simulated one stands is part of the scene.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CameraPicture {
    /// Width, px.
    pub width_px: u32,
    /// Height, px.
    pub height_px: u32,
    /// Where the camera stands, for models that take its pose: `[x, y, z, rx, ry, rz]` in the
    /// robot's base frame, m and extrinsic xyz Euler angles in rad, its z axis pointing into the
    /// picture and its x axis to the right. The simulated camera's own when absent.
    pub extrinsics: Option<[f64; 6]>,
}

impl Default for CameraPicture {
    fn default() -> Self {
        CameraPicture {
            width_px: 64,
            height_px: 64,
            extrinsics: None,
        }
    }
}

/// How an episode begins in the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The hand where the scene puts it, the object on the table.
    #[default]
    Scene,
    /// The object in the closed hand, lifted from where it stood.
    InHand,
    /// The closed hand low beside the object, on the side it would be pushed from.
    Beside,
}

/// One sub-goal: an image to reach, and how many steps it may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubGoalSpec {
    /// A name for people.
    pub name: String,
    /// Step budget; when it is spent the next sub-goal begins.
    pub steps: u32,
    /// Goal image, relative to the scenario file. Either this or `state`.
    #[serde(default)]
    pub image: Option<PathBuf>,
    /// The pose the arm had when `image` was taken, `[x, y, z, rx, ry, rz, gripper]`: what
    /// `foresight robot goal capture` saves beside it. Only reports use it.
    #[serde(default)]
    pub pose: Option<[f64; 7]>,
    /// A sentence that says the goal, such as `put the red cup on the green disc`: for models with a goal
    /// head, see `foresight train-goals`. `{object}` and `{target}` stand for the names of the scene's
    /// first object and disc, `{phrasing}` for a sentence about them in words drawn by the seed. Either
    /// this or `image` or `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// Which stage of the sentence is pursued, such as `hover`; all, one after the other, each with the
    /// steps and the gripper rule the goal head learned, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Simulator state to render as the goal image. Either this or `image`.
    #[serde(default)]
    pub state: Option<GoalStateName>,
    /// Move on as soon as the observed latent's L1 distance to the goal falls below this.
    #[serde(default)]
    pub advance_below: Option<f32>,
    /// What the gripper may do meanwhile.
    #[serde(default)]
    pub gripper: GripperRule,
    /// Which of the scene's objects `state` is about, counted from 0, where `scene.objects` says that
    /// there are several. The last sub-goal's is the one that `success` judges.
    #[serde(default, skip_serializing_if = "is_first")]
    pub object: u32,
    /// Which of the scene's discs `state` is about, counted from 0, where `scene.targets` says that
    /// there are several. The last sub-goal's is the one that `success` judges.
    #[serde(default, skip_serializing_if = "is_first")]
    pub target: u32,
}

fn is_first(number: &u32) -> bool {
    *number == 0
}

/// A state of the simulated scene, rendered as a goal image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GoalStateName {
    /// Open hand above the object.
    AboveObject,
    /// Open hand around the object.
    AtObject,
    /// Hand closed on the object where it stands.
    Grasped,
    /// Object held above where it stood.
    Lifted {
        /// How far above, m.
        height_m: f64,
    },
    /// Object held above the target.
    CarriedOverTarget,
    /// Object held down on the target.
    LoweredOnTarget,
    /// Object released on the target, the hand just above.
    Placed,
    /// Hand at a point drawn from a box by the seed, the object untouched.
    Reach {
        /// Where the point is drawn from.
        from: PointRange,
    },
    /// The object moved over the table in a direction drawn by the seed, the hand closed beside
    /// where the object stood: the picture differs from that of [`Start::Beside`] only by where
    /// the object lies.
    Pushed {
        /// `[least, most]` the object has moved, m.
        distance_m: [f64; 2],
    },
    /// Hand with the held object at a point drawn from a box by the seed.
    CarryTo {
        /// Where the hand's point is drawn from.
        from: PointRange,
    },
}

/// A box points are drawn from, base frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointRange {
    /// `[low, high]`, m.
    pub x_m: [f64; 2],
    /// `[low, high]`, m.
    pub y_m: [f64; 2],
    /// `[low, high]`, m.
    pub z_m: [f64; 2],
}

/// What counts as success, from the simulator's true state after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Success {
    /// The hand is near the last sub-goal's pose.
    Reach {
        /// Largest distance, m.
        tolerance_m: f64,
    },
    /// The object is held and lifted.
    Grasp {
        /// Lowest point of the object at least this far above the table, m.
        height_m: f64,
    },
    /// The object is held and the hand near the last sub-goal's pose.
    ReachWithObject {
        /// Largest distance of the hand, m.
        tolerance_m: f64,
    },
    /// The object lies near where the last sub-goal shows it, at rest and not held.
    Push {
        /// Largest distance of the object's middle in the table's plane, m.
        tolerance_m: f64,
    },
    /// The last sub-goal's image is reached as far as the model can tell: for arms whose true state
    /// nobody knows. Needs a file of `foresight monitor fit --expect goal`: `monitor-NAME.goal.json`
    /// in the model folder, NAME being the scenario's, or where `monitor.file` points, with
    /// `.goal.json` at its end.
    Latent {
        /// Looks at the end that all have to say so.
        looks: u32,
    },
    /// The object stands upright near the target, released and at rest.
    Place {
        /// Largest distance of the object from the target's middle, m.
        tolerance_m: f64,
    },
}
