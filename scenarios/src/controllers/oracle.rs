//! A cost model that is told the goal poses: what the schedule, the limits and the physics allow
//! when nothing is lost in images. An upper bound to hold a world model against.

use foresight_planner::{
    Action, ActionSequences, CostModel, Energy, EnergyError, Pose, RelativeBounds,
};
use foresight_robot::Observation;

use crate::episode_spec::EpisodeSpec;
use crate::error::{RunError, RunResult};

/// A position off by this much weighs as much as a gripper off by all its stroke, m.
const POSITION_SCALE_M: f64 = 0.05;

/// Knows the goal poses.
#[derive(Debug, Clone)]
pub struct Oracle {
    goals: Vec<OracleGoal>,
}

/// A pose to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OracleGoal {
    /// The pose.
    pub pose: Pose,
    /// Whether the hand holds the object there: then closing further than the pose says costs
    /// nothing, because the object stops the fingers.
    pub grasping: bool,
}

impl Oracle {
    /// Towards these goals.
    pub fn new(goals: Vec<OracleGoal>) -> Self {
        Oracle { goals }
    }

    /// Towards an episode's goals.
    ///
    /// # Errors
    /// [`RunError::Input`] when a goal's pose is not known.
    pub fn of(spec: &EpisodeSpec) -> RunResult<Self> {
        let poses = spec.goal_poses().into_iter().zip(&spec.goal_states);
        let goals = poses.map(|(pose, state)| {
            pose.map(|pose| OracleGoal {
                pose,
                grasping: state.as_ref().is_some_and(|state| state.grasping),
            })
        });
        let goals = goals.collect::<Option<Vec<OracleGoal>>>().ok_or_else(|| {
            RunError::Input(
                "the oracle needs the pose of every sub-goal: a simulator state, or an image with its pose".into(),
            )
        })?;
        Ok(Oracle::new(goals))
    }
}

impl CostModel for Oracle {
    type Observation = Observation;
    type Encoded = Pose;
    type GoalContext = OracleGoal;
    type Error = RunError;

    fn encode(&self, observation: &Observation) -> RunResult<Pose> {
        Ok(observation.pose)
    }

    fn foresee(&self, pose: Pose, committed: &Action) -> RunResult<Pose> {
        Ok(pose.apply(committed))
    }

    fn distance(&self, pose: &Pose, goal: usize) -> f32 {
        self.goals[goal].distance(pose)
    }

    fn begin_goal(
        &self,
        goal: usize,
        _: &Pose,
        _: Option<&RelativeBounds>,
    ) -> RunResult<OracleGoal> {
        Ok(self.goals[goal])
    }

    fn energy<'a>(&'a self, pose: &'a Pose, goal: &'a OracleGoal) -> impl Energy + 'a {
        PoseEnergy {
            from: *pose,
            to: *goal,
        }
    }
}

impl OracleGoal {
    /// Distance of a pose: position in units of 5 cm plus closedness.
    pub fn distance(&self, pose: &Pose) -> f32 {
        let off = |i: usize| pose.position_m[i] - self.pose.position_m[i];
        let squares: f64 = (0..3).map(|i| off(i).powi(2)).sum();
        let open = self.pose.gripper - pose.gripper;
        let gripper = if self.grasping {
            open.max(0.0)
        } else {
            open.abs()
        };
        (squares.sqrt() / POSITION_SCALE_M + gripper) as f32
    }
}

/// Energy of action sequences by exact kinematics.
struct PoseEnergy {
    from: Pose,
    to: OracleGoal,
}

impl Energy for PoseEnergy {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energy = |sample| {
            let mut pose = self.from;
            for step in 0..sequences.horizon() {
                pose = pose.apply(&sequences.action_at(sample, step));
            }
            self.to.distance(&pose)
        };
        Ok((0..sequences.samples()).map(energy).collect())
    }
}
