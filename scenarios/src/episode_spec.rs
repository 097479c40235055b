//! What makes an episode: a scenario with a seed, which decides the scene and the goals.

use std::path::Path;

use foresight_datasets::{extrinsics, picture};
use foresight_planner::{Pose, SubGoal};
use foresight_predictor::WorldModel;
use foresight_robot::link::begin_scene;
use foresight_sim::{goals, GoalState, GroundTruth, Object, Scene, SceneDistribution, Simulator};
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::RunError;
use crate::load::LoadedScenario;
use crate::naming::{GoalScenes, Named};
use crate::say::sentence_about;
use crate::scenario::{GoalStateName, PointRange, RobotKind, Start, SubGoalSpec};

/// How high an object that is in the hand from the start is above where it stood, m.
const START_LIFT_M: f64 = 0.06;
/// Virtual time an object in the hand gets to come to rest before the episode, s.
const SETTLING_S: f64 = 0.3;
/// The stream of the seed's random numbers that goals draw from: the scene draws from 0,
/// demonstrators from 1.
const GOAL_STREAM: u64 = 2;
/// The stream that displacements after the goal images draw from.
const DISPLACEMENT_STREAM: u64 = 3;
/// In place of a goal image where there is none.
const UNSEEN: Rgb<u8> = Rgb([128, 128, 128]);
/// No other object's middle is this near to where an object is pushed to, m.
const PUSH_CLEARANCE_M: f64 = 0.08;
/// The stream that the direction of a push draws from.
const PUSH_STREAM: u64 = 4;

/// A scenario with a seed.
#[derive(Debug, Clone)]
pub struct EpisodeSpec {
    /// The scenario.
    pub loaded: LoadedScenario,
    /// The seed.
    pub seed: u64,
    /// The simulated scene as the episode begins; `None` for a real arm.
    pub scene: Option<Scene>,
    /// The scene that goal images are taken in: the same, before anything was displaced.
    pub goal_scene: Option<Scene>,
    /// The state behind each sub-goal; `None` for image files.
    pub goal_states: Vec<Option<GoalState>>,
    /// Goal images that the simulator behind a bridge drew, in place of the scenario's.
    drawn: Option<Vec<RgbImage>>,
    /// The object and the disc it is about.
    task: Named,
}

impl EpisodeSpec {
    /// Draws what the seed decides.
    pub fn new(loaded: &LoadedScenario, seed: u64) -> Self {
        let scenario = &loaded.scenario;
        let (mut goal_scene, mut task) = (None, Named::default());
        if scenario.robot.kind == RobotKind::Sim {
            let drawn = scenario.scene.sample(seed);
            task = Named::by_task(scenario, &drawn, seed);
            goal_scene = Some(task.first_in(&drawn));
        }
        let scene = goal_scene.clone().map(|mut scene| {
            displace(&mut scene, scenario.displaced_after_goals_m, seed);
            scene
        });
        EpisodeSpec::with_scenes(loaded, (seed, task), goal_scene, scene)
    }

    /// As [`EpisodeSpec::new`]; where the scenario's arm isn't ours, the simulator behind it begins the scene and draws
    /// the goals. One that draws none leaves the scenario's.
    ///
    /// # Errors
    /// [`RunError`] when nobody there draws scenes, as with a real arm, or its goals aren't the scenario's.
    pub fn begin(loaded: &LoadedScenario, seed: u64) -> Result<Self, RunError> {
        let mut spec = EpisodeSpec::new(loaded, seed);
        if spec.scene.is_some() {
            return Ok(spec);
        }
        let arm = loaded.franka();
        let goals = begin_scene(&arm.link, &arm.arm, seed)?;
        let subgoals = &mut spec.loaded.scenario.subgoal;
        let same = goals
            .iter()
            .map(|g| &g.name)
            .eq(subgoals.iter().map(|g| &g.name));
        if !goals.is_empty() && !same {
            let names: Vec<&str> = goals.iter().map(|g| g.name.as_str()).collect();
            return Err(RunError::Input(format!(
                "the simulator's sub-goals are {}; name the scenario's like that",
                names.join(", ")
            )));
        }
        let mut drawn = Vec::new();
        for (subgoal, goal) in subgoals.iter_mut().zip(&goals) {
            subgoal.pose = goal.pose;
            let name = format!("{} of seed {seed}", goal.name);
            drawn.push(picture::decode(Path::new(&name), &goal.image)?);
        }
        spec.drawn = Some(drawn).filter(|drawn| !drawn.is_empty());
        Ok(spec)
    }

    /// The same episode for a scene as it is by now: goals where the object is, which is where
    /// somebody would take new goal images.
    pub fn anew(&self, mut scene: Scene, truth: &GroundTruth) -> Self {
        let [x, y, _] = truth.object_position_m;
        scene.object.position_m = [x, y];
        let turn = nalgebra::Quaternion::from(truth.object_quaternion_xyzw);
        let turn = nalgebra::UnitQuaternion::from_quaternion(turn);
        scene.object.yaw_rad = turn.euler_angles().2;
        for (object, now) in scene.others.iter_mut().zip(&truth.others) {
            let [x, y, _] = now.position_m;
            object.position_m = [x, y];
        }
        let episode = (self.seed, self.task);
        EpisodeSpec::with_scenes(&self.loaded, episode, Some(scene.clone()), Some(scene))
    }

    fn with_scenes(
        loaded: &LoadedScenario,
        (seed, task): (u64, Named),
        goal_scene: Option<Scene>,
        scene: Option<Scene>,
    ) -> Self {
        let scenario = &loaded.scenario;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(GOAL_STREAM);
        let mut scenes = goal_scene.as_ref().map(|s| GoalScenes::new(s, task));
        let mut state = |goal: &SubGoalSpec| {
            let scenes = scenes.as_mut()?;
            let named = scenes.named(goal, seed);
            let scene = &scenes.about(named);
            let state = match goal.state.as_ref()? {
                GoalStateName::Pushed { distance_m } => {
                    let push = Push::draw(&scenario.scene, scene, *distance_m, seed);
                    goals::pushed(scene, push.heading_rad, push.distance_m)
                }
                name => goal_state(scene, name, &mut rng)?,
            };
            let state = scenes.in_task_order(named, state);
            Some(match scenario.goals_with_hand_at_m {
                Some(position_m) => park(state, position_m),
                None => state,
            })
        };
        EpisodeSpec {
            goal_states: scenario.subgoal.iter().map(&mut state).collect(),
            drawn: None,
            task,
            loaded: loaded.clone(),
            seed,
            scene,
            goal_scene,
        }
    }

    /// The arm's pose at each sub-goal, where it is known: of a simulator state, or captured with
    /// an image.
    pub fn goal_poses(&self) -> Vec<Option<Pose>> {
        let goals = self.loaded.scenario.subgoal.iter().zip(&self.goal_states);
        goals
            .map(|(goal, state)| match state {
                Some(state) => Some(state.arm),
                None => goal.pose.map(Pose::from_array),
            })
            .collect()
    }

    /// Checks that frames show as many cameras as the model sees.
    ///
    /// # Errors
    /// [`RunError::Input`] says how many each has, and what to change.
    pub fn check_cameras(&self, model: &WorldModel) -> Result<(), RunError> {
        let scenario = &self.loaded.scenario;
        let (filming, key) = match scenario.robot.kind {
            RobotKind::Sim => (
                1 + scenario.scene.other_cameras.len(),
                "[[scene.other_cameras]]",
            ),
            RobotKind::Franka => (
                self.loaded.franka().cameras().len(),
                "robot.franka.other_cameras",
            ),
        };
        let seen = model.config().encoder.views();
        if filming == seen {
            return Ok(());
        }
        Err(RunError::Input(format!(
            "the model {} sees {seen} camera{} and the scenario has {filming}; {} {key}, or use \
             another model",
            model.config().name,
            if seen == 1 { "" } else { "s, side by side," },
            if filming > seen { "remove" } else { "add" },
        )))
    }

    /// Where the camera stands, for a model that takes its pose: as the scenario says, or where the
    /// scene has it. `None` for a model that takes none.
    ///
    /// # Errors
    /// [`RunError::Input`] when the model takes the pose and nothing says it, or the scenario says
    /// it to a model that takes none.
    pub fn extrinsics_for(&self, model: &WorldModel) -> Result<Option<[f64; 6]>, RunError> {
        let stated = self.loaded.scenario.camera.extrinsics;
        let name = &model.config().name;
        if !model.takes_extrinsics() {
            return match stated {
                None => Ok(None),
                Some(_) => Err(RunError::Input(format!(
                    "the model {name} doesn't take the camera's pose; remove extrinsics from [camera]"
                ))),
            };
        }
        let simulated = || {
            let camera = &self.scene.as_ref()?.camera;
            extrinsics::looking_at(camera.eye_m, camera.look_at_m)
        };
        stated.or_else(simulated).map(Some).ok_or_else(|| {
            RunError::Input(format!(
                "the model {name} plans with the camera's pose; add [camera] with extrinsics = \
                 [x, y, z, rx, ry, rz] to the scenario: where the camera stands in the robot's \
                 base frame, m and extrinsic xyz Euler angles in rad"
            ))
        })
    }

    /// [`EpisodeSpec::extrinsics_for`] a model, in the numbers its rollouts take.
    ///
    /// # Errors
    /// As there.
    pub fn rollout_extrinsics(&self, model: &WorldModel) -> Result<Option<[f32; 6]>, RunError> {
        Ok(self.extrinsics_for(model)?.map(|e| e.map(|v| v as f32)))
    }

    /// The sub-goals as the control loop wants them.
    pub fn schedule(&self) -> Vec<SubGoal> {
        let goals = self.loaded.scenario.subgoal.iter();
        goals
            .map(|goal| SubGoal {
                name: goal.name.clone(),
                steps: goal.steps,
                advance_below: goal.advance_below,
                gripper: goal.gripper,
            })
            .collect()
    }

    /// Puts a new simulator of this episode's scene where the episode starts.
    ///
    /// # Errors
    /// [`RunError::Simulator`] when the arm can't take the starting pose.
    pub fn prepare(&self, simulator: &mut Simulator) -> Result<(), RunError> {
        let Some(scene) = &self.scene else {
            return Ok(());
        };
        let state = match self.loaded.scenario.start {
            Start::Scene => return Ok(()),
            Start::InHand => goals::lifted(scene, START_LIFT_M),
            Start::Beside => self.beside(scene),
        };
        simulator.set_goal_state(&state)?;
        simulator.advance(SETTLING_S);
        Ok(())
    }

    /// The closed hand on the side the object is pushed from: that of the push a sub-goal asks
    /// for, or of a push by nothing in particular.
    fn beside(&self, scene: &Scene) -> GoalState {
        let scenario = &self.loaded.scenario;
        let asked = scenario.subgoal.iter().find_map(|g| match g.state {
            Some(GoalStateName::Pushed { distance_m }) => Some(distance_m),
            _ => None,
        });
        let distance_m = asked.unwrap_or_default();
        let push = Push::draw(&scenario.scene, scene, distance_m, self.seed);
        goals::pushed(scene, push.heading_rad, 0.0)
    }

    /// The goal images: files as they are, states rendered at the camera's size. What is only said has
    /// none, and is grey.
    ///
    /// # Errors
    /// [`RunError`] when an image can't be read or a state can't be posed.
    pub fn goal_images(&self) -> Result<Vec<RgbImage>, RunError> {
        if let Some(drawn) = &self.drawn {
            return Ok(drawn.clone());
        }
        let scenario = &self.loaded.scenario;
        let mut images = Vec::new();
        for (goal, state) in scenario.subgoal.iter().zip(&self.goal_states) {
            let image = match (&goal.image, state, &self.goal_scene) {
                (Some(path), _, _) => picture::open(&self.loaded.path(path))?,
                (None, Some(state), Some(scene)) => {
                    let (width, height) = (scenario.camera.width_px, scenario.camera.height_px);
                    render(scene, state, width, height)?
                }
                _ if goal.say.is_some() => {
                    let (width, height) = (scenario.camera.width_px, scenario.camera.height_px);
                    RgbImage::from_pixel(width, height, UNSEEN)
                }
                _ => {
                    let name = &goal.name;
                    let what = format!("sub-goal {name:?} has no image and no scene to render");
                    return Err(RunError::Input(what));
                }
            };
            images.push(image);
        }
        Ok(images)
    }

    /// The sentence that says a sub-goal, names filled in; `None` for the others.
    pub fn sentence(&self, goal: usize) -> Option<String> {
        let say = self.loaded.scenario.subgoal.get(goal)?.say.as_ref()?;
        Some(match &self.goal_scene {
            Some(scene) => sentence_about(say, &self.task.first_in(scene), self.seed),
            None => say.clone(),
        })
    }

    /// The goals in smooth pictures for people; `None` for image files, and for states that
    /// can't be posed.
    pub fn goal_views(&self, side_px: u32) -> Vec<Option<RgbImage>> {
        let view = |state: &Option<GoalState>| {
            let mut simulator = Simulator::new(self.goal_scene.as_ref()?).ok()?;
            simulator.set_goal_state(state.as_ref()?).ok()?;
            Some(simulator.render_view(side_px))
        };
        self.goal_states.iter().map(view).collect()
    }
}

/// What the camera sees of a scene in a goal state.
fn render(scene: &Scene, state: &GoalState, width: u32, height: u32) -> Result<RgbImage, RunError> {
    let mut simulator = Simulator::new(scene)?;
    simulator.set_goal_state(state)?;
    Ok(simulator.render(width, height))
}

/// Where an object is pushed.
struct Push {
    heading_rad: f64,
    distance_m: f64,
}

impl Push {
    /// A push that keeps the object where objects are drawn from; towards the middle when no
    /// direction does.
    fn draw(
        from: &SceneDistribution,
        scene: &Scene,
        [least_m, most_m]: [f64; 2],
        seed: u64,
    ) -> Push {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(PUSH_STREAM);
        let distance_m = least_m + (most_m - least_m) * rng.random::<f64>();
        let [x, y] = scene.object.position_m;
        let inside = |at: f64, [low, high]: [f64; 2]| low <= at && at <= high;
        for _ in 0..64 {
            let heading_rad = rng.random_range(0.0..std::f64::consts::TAU);
            let (sin, cos) = heading_rad.sin_cos();
            let to = [x + distance_m * cos, y + distance_m * sin];
            let clear = |other: &Object| {
                let [u, v] = other.position_m;
                (u - to[0]).hypot(v - to[1]) > PUSH_CLEARANCE_M
            };
            if inside(to[0], from.object_x_m)
                && inside(to[1], from.object_y_m)
                && scene.others.iter().all(clear)
            {
                return Push {
                    heading_rad,
                    distance_m,
                };
            }
        }
        let middle = |[low, high]: [f64; 2]| (low + high) / 2.0;
        let (dx, dy) = (middle(from.object_x_m) - x, middle(from.object_y_m) - y);
        Push {
            heading_rad: dy.atan2(dx),
            distance_m,
        }
    }
}

/// Moves the object in a direction drawn from the seed.
fn displace(scene: &mut Scene, distance_m: f64, seed: u64) {
    if distance_m > 0.0 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(DISPLACEMENT_STREAM);
        let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        scene.object.position_m[0] += distance_m * cos;
        scene.object.position_m[1] += distance_m * sin;
    }
}

/// The object where a goal has it, the open hand elsewhere.
fn park(goal: GoalState, position_m: [f64; 3]) -> GoalState {
    GoalState {
        arm: Pose {
            position_m,
            gripper: 0.0,
            ..goal.arm
        },
        grasping: false,
        ..goal
    }
}

/// The state of that name; `None` for those that need more than the scene.
fn goal_state(scene: &Scene, name: &GoalStateName, rng: &mut ChaCha8Rng) -> Option<GoalState> {
    Some(match name {
        GoalStateName::AboveObject => goals::above_object(scene),
        GoalStateName::AtObject => goals::at_object(scene),
        GoalStateName::Grasped => goals::grasped(scene),
        GoalStateName::Lifted { height_m } => goals::lifted(scene, *height_m),
        GoalStateName::CarriedOverTarget => goals::carried_over_target(scene),
        GoalStateName::LoweredOnTarget => goals::lowered_on_target(scene),
        GoalStateName::Placed => goals::placed(scene),
        GoalStateName::Pushed { .. } => return None,
        GoalStateName::Reach { from } => goals::reach(scene, point(from, rng)),
        GoalStateName::CarryTo { from } => {
            let mut state = goals::lifted(scene, START_LIFT_M);
            let to = point(from, rng);
            if let Some(object) = &mut state.object {
                for (axis, at) in object.position_m.iter_mut().enumerate() {
                    *at += to[axis] - state.arm.position_m[axis];
                }
            }
            state.arm.position_m = to;
            state
        }
    })
}

fn point(range: &PointRange, rng: &mut ChaCha8Rng) -> [f64; 3] {
    [range.x_m, range.y_m, range.z_m].map(|[low, high]| rng.random_range(low..=high))
}
