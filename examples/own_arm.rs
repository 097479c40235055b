//! Drives an arm of your own with the control loop: observe, decide, execute one action, again.
//!
//!     cargo run --release --example own_arm
//!
//! The loop knows a [`Plant`], which observes and moves, and a controller, which decides; here one
//! that searches through a [`CostModel`]. This arm gets nine tenths of the way of every action: put
//! your driver in its place, and a world model that looks at pictures in the model's.

use std::convert::Infallible;
use std::ops::ControlFlow;

use foresight_planner::control_loop::{run, Plant, Step, TakeUp, Watch};
use foresight_planner::{
    Action, ActionSequences, CemConfig, CostModel, Energy, EnergyError, GripperRule, Mpc,
    PlanError, Pose, RelativeBounds, SubGoal,
};

/// An arm that lags behind.
struct LazyArm(Pose);

impl Plant for LazyArm {
    type Observation = Pose; // with a camera's frame beside it, for an arm that has one
    type Execution = ();
    type Error = Infallible;

    fn observe(&mut self) -> Result<Pose, Infallible> {
        Ok(self.0)
    }
    fn pose(&self, observation: &Pose) -> Pose {
        *observation
    }
    fn keep_alive(&mut self) {} // a watchdog would be told here that a decision takes time
    fn execute(&mut self, action: &Action) -> Result<(), Infallible> {
        self.0 = self.0.apply(&action.part(0.9));
        Ok(())
    }
}

/// A goal that is a pose, and how far from it candidates end.
struct Towards(Pose);

impl CostModel for Towards {
    type Observation = Pose;
    type Encoded = Pose; // a latent, for a world model
    type GoalContext = ();
    type Error = PlanError;

    fn encode(&self, observation: &Pose) -> Result<Pose, PlanError> {
        Ok(*observation)
    }
    fn foresee(&self, encoded: Pose, committed: &Action) -> Result<Pose, PlanError> {
        Ok(encoded.apply(committed))
    }
    fn distance(&self, encoded: &Pose, _goal: usize) -> f32 {
        encoded.distance_m(&self.0) as f32
    }
    fn begin_goal(&self, _: usize, _: &Pose, _: Option<&RelativeBounds>) -> Result<(), PlanError> {
        Ok(())
    }
    fn energy<'a>(&'a self, encoded: &'a Pose, (): &'a ()) -> impl Energy + 'a {
        FromTo(*encoded, self.0)
    }
}

struct FromTo(Pose, Pose);

impl Energy for FromTo {
    fn energies(&self, candidates: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let end = |sample| self.0.apply(&candidates.action_at(sample, 0));
        let distance = |sample| end(sample).distance_m(&self.1) as f32;
        Ok((0..candidates.samples()).map(distance).collect())
    }
}

/// Prints every step.
struct Print;

impl Watch<Pose, ()> for Print {
    fn step(&mut self, step: &Step<'_, Pose, ()>) -> ControlFlow<()> {
        println!("step {:2}: {:.3} m away", step.number, step.distance);
        ControlFlow::Continue(())
    }
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let at = |x, y, z| Pose::from_array([x, y, z, std::f64::consts::PI, 0.0, 0.0, 0.0]);
    let mut arm = LazyArm(at(0.4, 0.0, 0.4));
    let mut controller = Mpc::new(Towards(at(0.6, -0.1, 0.2)), CemConfig::fast(), 1);
    let goal = SubGoal {
        name: "above the table".into(),
        steps: 30,
        advance_below: Some(0.01),
        gripper: GripperRule::Hold,
    };
    let outcome = run(
        TakeUp::default(),
        &mut arm,
        &mut controller,
        &[goal],
        &mut Print,
    )?;
    println!("{:.3} m away at last", outcome.last_distance);
    if outcome.last_distance > 0.01 {
        return Err("the arm didn't get there".into());
    }
    Ok(())
}
