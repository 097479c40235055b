//! The control loop on a point that moves exactly as asked.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::ControlFlow;

use foresight_planner::control_loop::{pursue, Imagination, Plant, Step, Watch};
use foresight_planner::{
    Action, ActionSequences, CemConfig, Energy, EnergyError, GripperRule, Plan, Pose, Room, Slack,
    SubGoal,
};

/// Where it is, and where it may go.
struct Point(Pose, Option<Room>);

impl Plant for Point {
    type Observation = Pose;
    type Execution = ();
    type Error = Infallible;

    fn observe(&mut self) -> Result<Pose, Infallible> {
        Ok(self.0)
    }
    fn pose(&self, observation: &Pose) -> Pose {
        *observation
    }
    fn room(&self) -> Option<Room> {
        self.1
    }
    fn thinking(&mut self) {}
    fn execute(&mut self, action: &Action) -> Result<(), Infallible> {
        self.0 = self.0.apply(action);
        Ok(())
    }
}

/// Knows the goal poses; imagines exactly. Remembers what it aimed at, and from where.
struct Oracle(Vec<Pose>, RefCell<Vec<(usize, f64)>>);

impl Oracle {
    fn new(goals: Vec<Pose>) -> Self {
        Oracle(goals, RefCell::default())
    }
}

fn distance(a: &Pose, b: &Pose) -> f32 {
    let (a, b) = (a.to_array(), b.to_array());
    (0..7).map(|i| (a[i] - b[i]).abs() as f32).sum()
}

struct Ahead(Pose, Pose);

impl Energy for Ahead {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let energy = |s| {
            let mut pose = self.0;
            for h in 0..sequences.horizon() {
                pose = pose.apply(&sequences.action_at(s, h));
            }
            distance(&pose, &self.1)
        };
        Ok((0..sequences.samples()).map(energy).collect())
    }
}

impl Imagination<Pose> for Oracle {
    type Context = Pose;
    type Aim = Pose;
    type Error = Infallible;

    fn look(&self, observation: &Pose) -> Result<Pose, Infallible> {
        Ok(*observation)
    }
    fn distance(&self, context: &Pose, goal: usize) -> f32 {
        distance(context, &self.0[goal])
    }
    fn aim(
        &self,
        _: &Pose,
        pose: &Pose,
        goal: usize,
        _: Option<Slack>,
    ) -> Result<Pose, Infallible> {
        self.1.borrow_mut().push((goal, pose.position_m[0]));
        Ok(self.0[goal])
    }
    fn energy<'a>(&'a self, _: &'a Pose, pose: &Pose, aim: &'a Pose) -> Box<dyn Energy + 'a> {
        Box::new(Ahead(*pose, *aim))
    }
}

#[derive(Default)]
struct Log {
    steps: Vec<(usize, u32, Plan)>,
    stop_after: Option<usize>,
}

impl Watch<Pose, ()> for Log {
    fn step(&mut self, step: &Step<'_, Pose, ()>) -> ControlFlow<()> {
        self.steps
            .push((step.goal, step.goal_step, step.plan.clone()));
        if self.stop_after == Some(self.steps.len()) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

fn goal(name: &str, steps: u32, gripper: GripperRule) -> SubGoal {
    SubGoal {
        name: name.into(),
        steps,
        advance_below: None,
        gripper,
    }
}

fn pose(x: f64, gripper: f64) -> Pose {
    Pose::from_array([x, 0.0, 0.2, 3.1, 0.0, 0.0, gripper])
}

#[test]
fn works_through_the_sub_goals_and_arrives() {
    let goals = [
        goal("grasp", 4, GripperRule::HoldUntilLast),
        goal("carry", 6, GripperRule::Hold),
        goal("place", 2, GripperRule::Open),
    ];
    let oracle = Oracle::new(vec![pose(0.5, 0.7), pose(0.3, 0.7), pose(0.3, 0.0)]);
    let mut point = Point(pose(0.35, 0.0), None);
    let mut log = Log::default();
    let outcome = pursue(
        &mut point,
        &oracle,
        &CemConfig::paper(),
        &goals,
        7,
        &mut log,
    )
    .expect("no errors");
    assert_eq!((outcome.steps, outcome.subgoals_finished), (12, 3));
    assert!(!outcome.interrupted);
    assert!(outcome.last_distance < 0.02, "{}", outcome.last_distance);
    let gripper: Vec<f64> = log.steps.iter().map(|s| s.2.actions[0].gripper).collect();
    assert!(gripper[..3].iter().all(|g| *g == 0.0), "{gripper:?}");
    assert!((gripper[3] - 0.7).abs() < 0.02, "{gripper:?}");
    assert!(gripper[4..10].iter().all(|g| *g == 0.0), "{gripper:?}");
    assert_eq!(gripper[10..], [-1.0, -1.0]);
    let places: Vec<(usize, u32)> = log.steps.iter().map(|s| (s.0, s.1)).collect();
    assert_eq!(places[3..5], [(0, 3), (1, 0)]);

    let mut again = Log::default();
    let mut point = Point(pose(0.35, 0.0), None);
    pursue(
        &mut point,
        &oracle,
        &CemConfig::paper(),
        &goals,
        7,
        &mut again,
    )
    .expect("no errors");
    assert_eq!(
        log.steps, again.steps,
        "the same seed must give the same plans"
    );
}

#[test]
fn advances_early_when_near_enough() {
    let mut first = goal("reach", 10, GripperRule::Hold);
    first.advance_below = Some(0.01);
    let goals = [first, goal("back", 3, GripperRule::Hold)];
    let oracle = Oracle::new(vec![pose(0.5, 0.0), pose(0.4, 0.0)]);
    let mut log = Log::default();
    let mut point = Point(pose(0.4, 0.0), None);
    let outcome = pursue(
        &mut point,
        &oracle,
        &CemConfig::paper(),
        &goals,
        0,
        &mut log,
    )
    .expect("no errors");
    assert_eq!(outcome.subgoals_finished, 2);
    assert!(outcome.steps < 8, "{} steps", outcome.steps);
    assert_eq!(log.steps.iter().filter(|s| s.0 == 1).count(), 3);
}

#[test]
fn a_watch_can_end_the_episode() {
    let goals = [goal("reach", 10, GripperRule::Free)];
    let oracle = Oracle::new(vec![pose(0.6, 0.0)]);
    let mut log = Log {
        stop_after: Some(3),
        ..Log::default()
    };
    let mut point = Point(pose(0.4, 0.0), None);
    let outcome = pursue(
        &mut point,
        &oracle,
        &CemConfig::paper(),
        &goals,
        0,
        &mut log,
    )
    .expect("no errors");
    assert!(outcome.interrupted);
    assert_eq!((outcome.steps, outcome.subgoals_finished), (3, 0));
}

#[test]
fn hold_first_frees_the_gripper_afterwards() {
    let hold = |step| GripperRule::HoldFirst(3).constraints(step, 10).fixed[6];
    assert_eq!(
        [hold(0), hold(2), hold(3), hold(9)],
        [Some(0.0), Some(0.0), None, None]
    );
}

#[test]
fn aim_is_taken_once_a_goal_where_its_pursuit_begins() {
    let goals = [
        goal("out", 5, GripperRule::Hold),
        goal("back", 4, GripperRule::Hold),
    ];
    let oracle = Oracle::new(vec![pose(0.5, 0.0), pose(0.4, 0.0)]);
    let mut point = Point(pose(0.35, 0.0), None);
    let mut log = Log::default();
    let method = CemConfig::paper();
    pursue(&mut point, &oracle, &method, &goals, 7, &mut log).expect("no errors");
    let aims = oracle.1.into_inner();
    assert_eq!(aims[0], (0, 0.35));
    assert!(aims.len() == 2 && aims[1].0 == 1, "{aims:?}");
    assert!((aims[1].1 - 0.5).abs() < 0.02, "{aims:?}");
}

#[test]
fn nothing_is_planned_beyond_the_borders() {
    let room = Room {
        min_m: [0.3, -0.1, 0.19],
        max_m: [0.42, 0.1, 0.5],
    };
    let goals = [goal("beyond", 6, GripperRule::Hold)];
    let mut far = pose(0.6, 0.0);
    far.position_m[2] = 0.1;
    let oracle = Oracle::new(vec![far]);
    for horizon in [1, 3] {
        let method = CemConfig {
            horizon,
            ..CemConfig::paper()
        };
        let mut point = Point(pose(0.35, 0.0), Some(room));
        let mut log = Log::default();
        pursue(&mut point, &oracle, &method, &goals, 7, &mut log).expect("no errors");
        let mut at = pose(0.35, 0.0);
        for (_, _, plan) in &log.steps {
            // Whole plans stay inside, not their first actions alone.
            let mut ahead = at;
            for action in &plan.actions {
                ahead = ahead.apply(action);
                let [x, _, z] = ahead.position_m;
                assert!(x < 0.42 + 1e-6 && z > 0.19 - 1e-6, "{horizon}: {x} {z}");
            }
            at = at.apply(&plan.actions[0]);
        }
        // And as near to the goal as they may.
        let [x, _, z] = point.0.position_m;
        assert!(
            (x - 0.42).abs() < 5e-3 && (z - 0.19).abs() < 5e-3,
            "{x} {z}"
        );
    }
}
