//! Where an episode takes place: an arm, and the truth about its surroundings when there is one.

use std::path::Path;
use std::time::{Duration, Instant};

use foresight_planner::control_loop::Plant;
use foresight_planner::{Action, Pose, Room};
use foresight_robot::{
    Arm, ArmError, Execution, Observation, SimServer, SimServerConfig, VirtualArm,
    VirtualArmConfig, ZenohArm, ZenohArmConfig,
};
use foresight_sim::{GroundTruth, Simulator};
use image::RgbImage;

use crate::controllers::ground_truth::Snapshot;
use crate::episode_spec::EpisodeSpec;
use crate::load::LoadedScenario;
use crate::run::RunError;
use crate::scenario::{HomePose, RobotKind};

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
    /// A real arm.
    Real(Box<ZenohArm>),
}

impl Env {
    /// A simulator in virtual time: the same bits every time.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be set up.
    pub fn in_virtual_time(instance: &EpisodeSpec) -> Result<Self, RunError> {
        let scenario = &instance.loaded.scenario;
        let mut simulator = Simulator::new(scene(instance)?)?;
        instance.prepare(&mut simulator)?;
        let config = VirtualArmConfig {
            frame_width: scenario.camera.width_px,
            frame_height: scenario.camera.height_px,
            ..VirtualArmConfig::default()
        };
        let arm = VirtualArm::with_simulator(simulator, scenario.safety, config)?;
        Ok(Env::Virtual(Box::new(arm)))
    }

    /// The scenario's own arm: a simulator served over zenoh in real time, or a real one.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be set up or the arm can't be reached.
    pub fn in_real_time(instance: &EpisodeSpec) -> Result<Self, RunError> {
        let scenario = &instance.loaded.scenario;
        match scenario.robot.kind {
            RobotKind::Franka => {
                let mut arm = ZenohArm::connect(franka(&instance.loaded), scenario.safety)?;
                if let Some(home) = &scenario.robot.home {
                    go_home(&mut arm, home)?;
                }
                Ok(Env::Real(Box::new(arm)))
            }
            RobotKind::Sim => {
                let config = server_config(instance);
                let server = SimServer::start(scene(instance)?, &config)?;
                server.with_simulator_mut(|simulator| instance.prepare(simulator))?;
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

    /// A picture for people, smooth and larger than the camera's.
    pub fn view(&self, side_px: u32) -> Option<RgbImage> {
        self.look(|simulator| simulator.render_smooth(side_px, side_px, 2))
    }

    /// Lets time pass, so that what moves comes to rest.
    ///
    /// # Errors
    /// [`RunError::Arm`] when the arm can't be kept still.
    pub fn wait(&mut self, seconds: f64) -> Result<(), RunError> {
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

/// How to reach a scenario's real arm, its files' paths counted from the scenario's folder.
pub fn franka(loaded: &LoadedScenario) -> ZenohArmConfig {
    let mut config = loaded.scenario.robot.franka.clone().unwrap_or_default();
    config.link = config.link.based_in(&loaded.path(Path::new("")));
    config
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
pub fn go_home(arm: &mut dyn Arm, home: &HomePose) -> Result<(), RunError> {
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

/// An action after the map of x and y that a calibration found.
pub fn mapped(action: &Action, map: Option<&[[f64; 2]; 2]>) -> Action {
    let mut mapped = *action;
    if let Some([first, second]) = map {
        let [x, y, _] = action.translation_m;
        mapped.translation_m[0] = first[0] * x + first[1] * y;
        mapped.translation_m[1] = second[0] * x + second[1] * y;
    }
    mapped
}

/// The simulator's server as an instance wants it, on a free port of this machine.
pub fn server_config(instance: &EpisodeSpec) -> SimServerConfig {
    let camera = instance.loaded.scenario.camera;
    SimServerConfig {
        // Checked to be at most 2048.
        frame_width: camera.width_px.min(2048) as u16,
        frame_height: camera.height_px.min(2048) as u16,
        ..SimServerConfig::default()
    }
}

fn scene(instance: &EpisodeSpec) -> Result<&foresight_sim::Scene, RunError> {
    instance.scene.as_ref().ok_or_else(|| {
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
}

/// A [`Env`] as the control loop sees it.
pub struct EnvPlant<'a> {
    /// The env.
    pub env: &'a mut Env,
    /// How long a decision may take.
    pub deadline: Duration,
    /// What planned x and y translations are multiplied by.
    pub action_map_xy: Option<[[f64; 2]; 2]>,
    /// Where the hand may go.
    pub room: Room,
    /// Side of the pictures for people, px.
    pub view_px: Option<u32>,
    /// Where each look leaves a copy of the simulator, for worlds that rehearse in it.
    pub snapshot: Option<&'a Snapshot>,
}

impl Plant for EnvPlant<'_> {
    type Observation = Observation;
    type Execution = Executed;
    type Error = ArmError;

    fn observe(&mut self) -> Result<Observation, ArmError> {
        let observation = self.env.arm().observe()?;
        if let (Some(snapshot), Env::Virtual(arm)) = (self.snapshot, &*self.env) {
            snapshot.set(arm.simulator());
        }
        Ok(observation)
    }

    fn pose(&self, observation: &Observation) -> Pose {
        observation.pose
    }

    fn room(&self) -> Option<Room> {
        Some(self.room)
    }

    fn thinking(&mut self) {
        self.env
            .arm()
            .keep_alive_until(Instant::now() + self.deadline);
    }

    fn execute(&mut self, action: &Action) -> Result<Executed, ArmError> {
        let action = mapped(action, self.action_map_xy.as_ref());
        let execution = self.env.arm().execute(&action)?;
        Ok(Executed {
            truth: self.env.truth(),
            view: self.view_px.and_then(|side| self.env.view(side)),
            execution,
        })
    }
}
