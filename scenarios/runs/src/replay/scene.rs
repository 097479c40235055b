//! The scene a recording is replayed in, set up as it was when the recording was made.

use foresight_planner::Pose;
use foresight_robot::gripper::Closing;
use foresight_robot::{
    EnvelopeConfig, GripperConfig, SimServer, SimServerConfig, VirtualArm, VirtualArmConfig,
    WorkspaceBox, ZenohArm, ZenohArmConfig,
};
use foresight_sim::{GoalState, Scene, SceneDistribution, Simulator};

use foresight_scenarios::env::Env;
use foresight_scenarios::EpisodeSpec;
use foresight_scenarios::RunError;

/// Where a recording that has no scene may go, m: what an FR3 on a table reaches.
const REACH: WorkspaceBox = WorkspaceBox {
    min_m: [0.15, -0.6, 0.0],
    max_m: [0.85, 0.6, 0.85],
};

/// From where the camera looks at such a recording's poses, m.
const VIEW_FROM_M: [f64; 3] = [0.85, 0.5, 0.3];

/// A scene with its initial state, its limits and its camera's picture.
#[derive(Debug, Clone)]
pub struct ReplayScene {
    /// The scene.
    pub scene: Scene,
    /// How it begins.
    pub initial_state: ReplayStart,
    /// Limits of every motion.
    pub safety: EnvelopeConfig,
    /// Width of the camera's picture, px.
    pub width_px: u32,
    /// Its height, px.
    pub height_px: u32,
    /// What a closing of the gripper means: where the object isn't, fingers that press would close
    /// further than they did.
    pub closing: Closing,
}

/// How a scene begins.
#[derive(Debug, Clone)]
pub enum ReplayStart {
    /// As a scenario's instance does.
    Instance(Box<EpisodeSpec>),
    /// The scene as it is, or posed and given some time to come to rest.
    Posed {
        /// The state; `None` leaves the scene as it is.
        state: Option<GoalState>,
        /// Virtual time to come to rest, s.
        settling_s: f64,
    },
}

impl ReplayScene {
    /// The scene of a scenario's instance; `None` when it drives a real arm.
    pub fn of(instance: &EpisodeSpec) -> Option<Self> {
        let scenario = &instance.loaded.scenario;
        Some(ReplayScene {
            scene: instance.scene.clone()?,
            initial_state: ReplayStart::Instance(Box::new(instance.clone())),
            safety: scenario.safety,
            width_px: scenario.camera.width_px,
            height_px: scenario.camera.height_px,
            closing: Closing::Press,
        })
    }

    /// A table with the object and the target out of the way, for recordings from elsewhere; the
    /// camera looks at where the poses are.
    pub fn elsewhere(poses: &[Pose]) -> Self {
        let mut scene = SceneDistribution::default().sample(0);
        scene.object.position_m = [0.32, 0.40];
        scene.target.position_m = [0.32, -0.40];
        let middle = |i: usize| {
            let sum: f64 = poses.iter().map(|p| p.position_m[i]).sum();
            sum / poses.len().max(1) as f64
        };
        let look_at_m = [middle(0), middle(1), middle(2) + 0.04];
        scene.camera.look_at_m = look_at_m;
        scene.camera.eye_m = std::array::from_fn(|i| look_at_m[i] + VIEW_FROM_M[i]);
        scene.camera.fov_rad = 0.75;
        ReplayScene {
            scene,
            initial_state: ReplayStart::Posed {
                state: None,
                settling_s: 0.0,
            },
            safety: EnvelopeConfig::new(REACH),
            width_px: 192,
            height_px: 192,
            closing: Closing::ToWidth,
        }
    }

    /// The same with the hand at `pose` from the start, nothing held.
    pub fn starting_at(mut self, pose: &Pose) -> Self {
        self.initial_state = ReplayStart::Posed {
            state: Some(GoalState {
                arm: *pose,
                object: None,
                grasping: false,
                others: Vec::new(),
            }),
            settling_s: 0.0,
        };
        self
    }

    fn gripper(&self) -> GripperConfig {
        GripperConfig {
            closing: self.closing,
            ..GripperConfig::default()
        }
    }

    /// The simulator in virtual time, ready to begin.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be set up.
    pub fn in_virtual_time(&self) -> Result<Env, RunError> {
        let mut simulator = Simulator::new(&self.scene)?;
        self.prepare(&mut simulator)?;
        let config = VirtualArmConfig {
            frame_width: self.width_px,
            frame_height: self.height_px,
            gripper: self.gripper(),
            ..VirtualArmConfig::default()
        };
        let arm = VirtualArm::with_simulator(simulator, self.safety, config)?;
        Ok(Env::Virtual(Box::new(arm)))
    }

    /// The simulator in real time behind franka-node's keys, ready to begin.
    ///
    /// # Errors
    /// [`RunError`] when the scene can't be set up or served.
    pub fn in_real_time(&self) -> Result<Env, RunError> {
        let config = SimServerConfig {
            // Scenarios allow at most 2048.
            frame_width: self.width_px.min(2048) as u16,
            frame_height: self.height_px.min(2048) as u16,
            ..SimServerConfig::default()
        };
        let server = SimServer::start(&self.scene, &config)?;
        server.with_simulator_mut(|simulator| self.prepare(simulator))?;
        let client = ZenohArmConfig {
            arm: config.arm.clone(),
            camera: config.camera.clone(),
            link: server.link(),
            gripper: self.gripper(),
            ..ZenohArmConfig::default()
        };
        Ok(Env::Served {
            arm: Box::new(ZenohArm::connect(client, self.safety)?),
            server: Box::new(server),
        })
    }

    /// Puts a new simulator of the scene where the recording begins.
    ///
    /// # Errors
    /// [`RunError::Simulator`] when the arm can't take the pose.
    pub fn prepare(&self, simulator: &mut Simulator) -> Result<(), RunError> {
        match &self.initial_state {
            ReplayStart::Instance(instance) => instance.prepare(simulator),
            ReplayStart::Posed { state, settling_s } => {
                if let Some(state) = state {
                    simulator.set_goal_state(state)?;
                    simulator.advance(*settling_s);
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "../../tests/unit/replay_scene.rs"]
mod tests;
