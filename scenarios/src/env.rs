//! The environment of an episode: an arm, and the truth about its surroundings when there is one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use foresight_planner::control_loop::{Ahead, Plant, Until};
use foresight_planner::{Action, Pose, WorkspaceBounds};
use foresight_robot::{
    Arm, ArmError, Execution, Observation, SimServer, SimServerConfig, VirtualArm,
    VirtualArmConfig, ZenohArm, ZenohArmConfig,
};
use foresight_sim::{GroundTruth, Scene, Simulator};
use image::RgbImage;

use crate::action_map::ActionMap;
use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};
use crate::faults::{FaultInjector, FaultKind};
use crate::scenario::{HomePose, MotionMode, RobotKind};
use crate::success::{FailureKind, Verdict};

/// An arm with its surroundings.
pub enum Env {
    /// A simulator in virtual time.
    Virtual(Box<VirtualArm>),
    /// A simulator in real time, driven over zenoh.
    Served {
        /// The client; dropped first, so that it says goodbye to a living server.
        arm: Box<ZenohArm>,
        /// The simulator behind franka-node's keys.
        server: Box<SimServer>,
    },
    /// A real arm, or somebody else's simulator behind a bridge.
    Real(Box<ZenohArm>),
}

impl Env {
    /// A simulator in virtual time: the same bits every time.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be set up.
    pub fn in_virtual_time(spec: &EpisodeSpec) -> RunResult<Self> {
        let scenario = &spec.loaded.scenario;
        let mut simulator = Simulator::new(scene(spec)?)?;
        spec.prepare(&mut simulator)?;
        let config = virtual_arm_config(spec);
        let arm = VirtualArm::with_simulator(simulator, scenario.safety, config)?;
        Ok(Env::Virtual(Box::new(arm)))
    }

    /// As evaluations play: our simulator in virtual time, somebody else's behind a bridge in its own.
    ///
    /// # Errors
    /// As the two others.
    pub fn for_evaluation(spec: &EpisodeSpec) -> RunResult<Self> {
        match spec.loaded.scenario.robot.kind {
            RobotKind::Sim => Env::in_virtual_time(spec),
            RobotKind::Franka => Env::in_real_time(spec),
        }
    }

    /// The scenario's own arm: a simulator served over zenoh in real time, or a real one.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be set up or the arm can't be reached.
    pub fn in_real_time(spec: &EpisodeSpec) -> RunResult<Self> {
        let scenario = &spec.loaded.scenario;
        match scenario.robot.kind {
            RobotKind::Franka => {
                let mut arm = ZenohArm::connect(spec.loaded.franka(), scenario.safety)?;
                if let Some(home) = &scenario.robot.home {
                    go_home(&mut arm, home)?;
                }
                Ok(Env::Real(Box::new(arm)))
            }
            RobotKind::Sim => {
                let config = server_config(spec);
                let server = SimServer::start(scene(spec)?, &config)?;
                server.with_simulator_mut(|simulator| spec.prepare(simulator))?;
                let client = ZenohArmConfig {
                    arm: config.arm.clone(),
                    camera: config.camera.clone(),
                    link: server.link(),
                    ..ZenohArmConfig::default()
                };
                let arm = Box::new(ZenohArm::connect(client, scenario.safety)?);
                Ok(Env::Served {
                    arm,
                    server: Box::new(server),
                })
            }
        }
    }

    /// The arm.
    pub fn arm(&mut self) -> &mut dyn Arm {
        match self {
            Env::Virtual(arm) => arm.as_mut(),
            Env::Served { arm, .. } | Env::Real(arm) => arm.as_mut(),
        }
    }

    /// What really happened; `None` for a real arm.
    pub fn truth(&self) -> Option<GroundTruth> {
        self.look(Simulator::truth)
    }

    /// The verdict of somebody else's simulator; `None` for ours, which `truth` tells of, and for a real arm.
    ///
    /// # Errors
    /// [`RunError::Arm`] when it has one and it can't be read.
    pub fn judged(&self) -> RunResult<Option<Verdict>> {
        let Env::Real(arm) = self else {
            return Ok(None);
        };
        let verdict = arm.scene_verdict()?.map(|said| Verdict {
            failure: (said.success == Some(false)).then_some(FailureKind::NotAchieved),
            success: said.success,
            reason: said.reason,
        });
        Ok(verdict)
    }

    /// The scene as it is by now, and what really happened; `None` for a real arm.
    pub fn scene_now(&self) -> Option<(Scene, GroundTruth)> {
        self.look(|simulator| (simulator.scene().clone(), simulator.truth()))
    }

    /// A picture for people, smooth and larger than the camera's.
    pub fn view(&self, side_px: u32) -> Option<RgbImage> {
        self.look(|simulator| simulator.render_view(side_px))
    }

    /// Lets a fault happen before an action when its time has come; a real arm has its own.
    ///
    /// # Errors
    /// [`RunError::Simulator`] when the scene can't take it.
    pub fn disturb(
        &mut self,
        faults: &mut FaultInjector,
        action: &Action,
    ) -> RunResult<Option<FaultKind>> {
        match self {
            Env::Virtual(arm) => faults.before(action, arm.simulator_mut()),
            Env::Served { server, .. } => {
                server.with_simulator_mut(|simulator| faults.before(action, simulator))
            }
            Env::Real(_) => Ok(None),
        }
    }

    /// Lets time pass, so that what moves comes to rest.
    ///
    /// # Errors
    /// [`RunError::Arm`] when the arm can't be kept still.
    pub fn wait(&mut self, seconds: f64) -> RunResult<()> {
        match self {
            Env::Virtual(arm) => arm.rest(seconds)?,
            Env::Served { arm, .. } | Env::Real(arm) => {
                let time = Duration::from_secs_f64(seconds);
                arm.keep_alive_until(Instant::now() + time + Duration::from_millis(500));
                std::thread::sleep(time);
            }
        }
        Ok(())
    }

    fn look<T>(&self, look: impl FnOnce(&Simulator) -> T) -> Option<T> {
        match self {
            Env::Virtual(arm) => Some(look(arm.simulator())),
            Env::Served { server, .. } => Some(server.with_simulator(look)),
            Env::Real(_) => None,
        }
    }
}

/// Actions a home pose may take.
const HOME_ACTIONS: u32 = 40;
/// The hand is home within this, m and rad.
const HOME_M: f64 = 0.004;
const HOME_RAD: f64 = 0.03;

/// Brings the hand home by ordinary actions: through the envelope, settled after each.
///
/// # Errors
/// [`RunError`] when the arm can't be driven, or can't get there within its limits.
pub fn go_home(arm: &mut dyn Arm, home: &HomePose) -> RunResult<()> {
    let goal = Pose {
        position_m: home.position_m,
        euler_rad: home.euler_rad,
        gripper: 0.0,
    };
    let mut left = f64::INFINITY;
    for _ in 0..HOME_ACTIONS {
        let here = arm.observe()?.pose;
        let mut action = here.action_to(&goal);
        action.gripper = 0.0;
        let (far_m, turn_rad) = (action.length_m(), action.angle_rad());
        if far_m < HOME_M && turn_rad < HOME_RAD {
            return Ok(());
        }
        // The envelope would clamp each axis by itself and bend the way.
        let largest = action
            .translation_m
            .iter()
            .fold(0.0_f64, |m, v| m.max(v.abs()));
        let part = (0.07 / largest.max(1e-9))
            .min(0.2 / turn_rad.max(1e-9))
            .min(1.0);
        let execution = arm.execute(&action.part(part))?;
        if let Some(refusal) = execution.refusal {
            return Err(RunError::Input(format!("on the way home: {refusal}")));
        }
        let still_m = execution.reached_pose.distance_m(&goal);
        if execution.blocked || (still_m > left - 1e-3 && far_m > HOME_M) {
            return Err(RunError::Input(format!(
                "the arm gets no nearer to robot.home than {:.1} cm; is it inside safety.workspace and clear of everything?",
                still_m * 100.0
            )));
        }
        left = still_m;
    }
    Err(RunError::Input(
        "robot.home is too far away; bring the arm nearer with `foresight robot home`".into(),
    ))
}

/// A simulated arm in virtual time as an episode wants it.
pub fn virtual_arm_config(spec: &EpisodeSpec) -> VirtualArmConfig {
    let camera = spec.loaded.scenario.camera;
    VirtualArmConfig {
        frame_width: camera.width_px,
        frame_height: camera.height_px,
        latency_s: spec.loaded.scenario.virtual_latency_s,
        ..VirtualArmConfig::default()
    }
}

/// The simulator's server as an episode wants it, on a free port of this machine.
pub fn server_config(spec: &EpisodeSpec) -> SimServerConfig {
    let camera = spec.loaded.scenario.camera;
    SimServerConfig {
        // Checked to be at most 2048.
        frame_width: camera.width_px.min(2048) as u16,
        frame_height: camera.height_px.min(2048) as u16,
        ..SimServerConfig::default()
    }
}

fn scene(spec: &EpisodeSpec) -> RunResult<&Scene> {
    spec.scene.as_ref().ok_or_else(|| {
        RunError::Input(
            "this scenario drives a real arm; only robot.kind = \"sim\" can be simulated".into(),
        )
    })
}

/// What became of one action, and of the world.
#[derive(Debug, Clone)]
pub struct Executed {
    /// What the arm says.
    pub execution: Execution,
    /// What the simulator knows.
    pub truth: Option<GroundTruth>,
    /// A picture for people, when asked for.
    pub view: Option<RgbImage>,
    /// What was let go wrong just before it.
    pub fault: Option<FaultKind>,
}

/// The simulator as the arm's last observation left it: written by [`EnvPlant`], read by
/// controllers that try actions out in copies of it.
#[derive(Clone, Default)]
pub struct ObservedSimulator(Arc<Mutex<Option<Simulator>>>);

impl std::fmt::Debug for ObservedSimulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObservedSimulator").finish_non_exhaustive()
    }
}

impl ObservedSimulator {
    /// Keeps a copy.
    pub fn set(&self, simulator: &Simulator) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = Some(simulator.clone());
    }

    /// A copy of it; `None` before the first observation.
    pub fn get(&self) -> Option<Simulator> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// An [`Env`] as the control loop sees it.
pub struct EnvPlant<'a> {
    /// The environment.
    pub env: &'a mut Env,
    /// How long a decision may take.
    pub deadline: Duration,
    /// From planned to executed actions.
    pub action_map: ActionMap,
    /// Where the hand may go.
    pub bounds: WorkspaceBounds,
    /// Side of the pictures for people, px.
    pub view_px: Option<u32>,
    /// Where each observation leaves a copy of the simulator, for controllers that ask for it.
    pub observed: Option<ObservedSimulator>,
    /// What goes wrong on purpose.
    pub faults: Option<FaultInjector>,
    /// Whether the arm goes on while the next action is decided on.
    pub continuous: bool,
    /// What was let go wrong before an action that was then dropped.
    fault: Option<FaultKind>,
}

impl<'a> EnvPlant<'a> {
    /// An episode's environment.
    ///
    /// # Errors
    /// [`RunError::Input`] when the controller asks for a simulator that this is not.
    pub fn new(
        env: &'a mut Env,
        spec: &EpisodeSpec,
        observed: Option<ObservedSimulator>,
        view_px: Option<u32>,
    ) -> RunResult<Self> {
        if observed.is_some() && !matches!(env, Env::Virtual(_)) {
            return Err(RunError::Input(
                "true dynamics need a simulator in virtual time; add --virtual-time".into(),
            ));
        }
        let scenario = &spec.loaded.scenario;
        Ok(EnvPlant {
            env,
            deadline: scenario.planner.deadline(),
            action_map: scenario.action_map(),
            bounds: scenario.workspace_bounds(),
            view_px,
            observed,
            faults: FaultInjector::of(spec),
            continuous: scenario.motion == MotionMode::Continuous,
            fault: None,
        })
    }
}

impl Plant for EnvPlant<'_> {
    type Observation = Observation;
    type Execution = Executed;
    type Error = ArmError;

    fn observe(&mut self) -> Result<Observation, ArmError> {
        let observation = self.env.arm().observe()?;
        if let (Some(observed), Env::Virtual(arm)) = (&self.observed, &*self.env) {
            observed.set(arm.simulator());
        }
        Ok(observation)
    }

    fn pose(&self, observation: &Observation) -> Pose {
        observation.pose
    }

    fn workspace_bounds(&self) -> Option<WorkspaceBounds> {
        Some(self.bounds)
    }

    fn keep_alive(&mut self) {
        let deadline = Instant::now() + self.deadline;
        self.env.arm().keep_alive_until(deadline);
    }

    fn execute(&mut self, planned: &Action) -> Result<Executed, ArmError> {
        let asked = self.asked(planned)?;
        let execution = self.env.arm().execute(&asked)?;
        Ok(self.executed(execution))
    }

    fn look_ahead(&mut self) -> Result<Option<Ahead<Observation>>, ArmError> {
        if !self.continuous {
            return Ok(None);
        }
        let ahead = self.env.arm().look_ahead()?;
        Ok(ahead.map(|ahead| Ahead {
            committed: self.action_map.undo(&ahead.committed),
            ..ahead
        }))
    }

    fn follow_on(&mut self, planned: &Action, until: Until) -> Result<Option<Executed>, ArmError> {
        if !self.continuous {
            return self.execute(planned).map(Some);
        }
        let asked = self.asked(planned)?;
        let execution = self.env.arm().follow_on(&asked, until)?;
        Ok(execution.map(|execution| self.executed(execution)))
    }
}

impl EnvPlant<'_> {
    /// What the arm is asked for, after what goes wrong on purpose just before.
    fn asked(&mut self, planned: &Action) -> Result<Action, ArmError> {
        let asked = self.action_map.apply(planned);
        if let Some(faults) = &mut self.faults {
            let fault = self.env.disturb(faults, &asked);
            let fault = fault.map_err(|e| ArmError::Simulator(e.to_string()))?;
            self.fault = self.fault.or(fault);
        }
        Ok(asked)
    }

    fn executed(&mut self, execution: Execution) -> Executed {
        Executed {
            truth: self.env.truth(),
            view: self.view_px.and_then(|side| self.env.view(side)),
            execution,
            fault: self.fault.take(),
        }
    }
}
