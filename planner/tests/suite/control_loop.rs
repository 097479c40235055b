//! The control loop on a point that moves exactly as asked.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::ControlFlow;

use foresight_planner::control_loop::{self, LoopOutcome, Plant, Step, TakeUp, Until, Watch};
use foresight_planner::{
    Action, ActionSequences, CemConfig, Constraints, Controller, CostModel, Decision, Energy,
    EnergyError, GripperRule, Mpc, Objective, Plan, PlanError, Pose, Pursuit, RelativeBounds,
    SubGoal, WorkspaceBounds,
};

/// Where it is, and where it may go.
struct Point(Pose, Option<WorkspaceBounds>);

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
    fn workspace_bounds(&self) -> Option<WorkspaceBounds> {
        self.1
    }
    fn keep_alive(&mut self) {}
    fn execute(&mut self, action: &Action) -> Result<(), Infallible> {
        self.0 = self.0.apply(action);
        Ok(())
    }
}

/// Knows the goal poses, and where actions lead. Remembers which goals it began, and where.
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

impl CostModel for &Oracle {
    type Observation = Pose;
    type Encoded = Pose;
    type GoalContext = Pose;
    type Error = PlanError;

    fn encode(&self, observation: &Pose) -> Result<Pose, PlanError> {
        Ok(*observation)
    }
    fn foresee(&self, encoded: Pose, committed: &Action) -> Result<Pose, PlanError> {
        Ok(encoded.apply(committed))
    }
    fn distance(&self, encoded: &Pose, goal: usize) -> f32 {
        distance(encoded, &self.0[goal])
    }
    fn begin_goal(
        &self,
        goal: usize,
        encoded: &Pose,
        _: Option<&RelativeBounds>,
    ) -> Result<Pose, PlanError> {
        self.1.borrow_mut().push((goal, encoded.position_m[0]));
        Ok(self.0[goal])
    }
    fn energy<'a>(&'a self, encoded: &'a Pose, goal: &'a Pose) -> impl Energy + 'a {
        Ahead(*encoded, *goal)
    }
}

/// Goes straight to the goal, 5 cm a step: acts without searching.
struct Straight(Pose, Pursuit);

impl Controller<Pose> for Straight {
    type Error = PlanError;

    fn begin_goal(&mut self, goal: usize, subgoal: &SubGoal) {
        self.1 = Pursuit::of(goal, subgoal);
    }
    fn decide(
        &mut self,
        observation: &Pose,
        constraints: &Constraints,
        _: u32,
    ) -> Result<Decision, PlanError> {
        let distance = self.distance(observation)?;
        if self.1.ends_at(distance) {
            return Ok(Decision::Advance);
        }
        let mut action = observation.action_to(&self.0);
        action.translation_m = action.translation_m.map(|v| v.clamp(-0.05, 0.05));
        let plan = Plan::unsearched(action, constraints);
        Ok(Decision::Act { distance, plan })
    }
    fn distance(&mut self, observation: &Pose) -> Result<f32, PlanError> {
        Ok(distance(observation, &self.0))
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

/// Plays an episode by searching the oracle.
fn play(point: &mut Point, oracle: &Oracle, goals: &[SubGoal], log: &mut Log) -> LoopOutcome<Pose> {
    search(point, oracle, CemConfig::paper(), goals, log)
}

fn search(
    point: &mut Point,
    oracle: &Oracle,
    method: CemConfig,
    goals: &[SubGoal],
    log: &mut Log,
) -> LoopOutcome<Pose> {
    let mut controller = Mpc::new(oracle, method, 7);
    control_loop::run(TakeUp::default(), point, &mut controller, goals, log).expect("no errors")
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
    let outcome = play(&mut point, &oracle, &goals, &mut log);
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
    play(&mut point, &oracle, &goals, &mut again);
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
    let outcome = play(&mut point, &oracle, &goals, &mut log);
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
    let outcome = play(&mut point, &oracle, &goals, &mut log);
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
fn a_goal_is_begun_once_where_its_pursuit_begins() {
    let goals = [
        goal("out", 5, GripperRule::Hold),
        goal("back", 4, GripperRule::Hold),
    ];
    let oracle = Oracle::new(vec![pose(0.5, 0.0), pose(0.4, 0.0)]);
    let mut point = Point(pose(0.35, 0.0), None);
    let mut log = Log::default();
    play(&mut point, &oracle, &goals, &mut log);
    let begun = oracle.1.into_inner();
    assert_eq!(begun[0], (0, 0.35));
    assert!(begun.len() == 2 && begun[1].0 == 1, "{begun:?}");
    assert!((begun[1].1 - 0.5).abs() < 0.02, "{begun:?}");
}

#[test]
fn nothing_is_planned_beyond_the_borders() {
    let room = WorkspaceBounds {
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
        search(&mut point, &oracle, method, &goals, &mut log);
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

/// The first action must be a good one by itself, and no plan counts on steps that the sub-goal
/// hasn't got: farther-sighted searches then arrive as the short-sighted do.
#[test]
fn looking_further_ahead_arrives_as_near_unless_only_the_last_step_counts() {
    let goals = [goal("there", 4, GripperRule::Hold)];
    let oracle = Oracle::new(vec![pose(0.5, 0.0)]);
    let left = |method: CemConfig| {
        let mut point = Point(pose(0.38, 0.0), None);
        let mut log = Log::default();
        let left = search(&mut point, &oracle, method, &goals, &mut log).last_distance;
        (left, log.steps.iter().map(|s| s.2.actions.len()).collect())
    };
    for horizon in [1, 2, 3] {
        let method = CemConfig {
            horizon,
            ..CemConfig::fast()
        };
        let (near, planned): (f32, Vec<usize>) = left(method.clone());
        assert!(near < 0.01, "{horizon}: {near}");
        assert_eq!(planned, [4, 3, 2, 1].map(|steps| horizon.min(steps)));
        let released = CemConfig {
            objective: Objective::Last,
            within_steps_left: false,
            ..method
        };
        let (far, planned) = left(released);
        assert_eq!(planned, [horizon; 4]);
        assert_eq!(far > 0.01, horizon > 1, "{horizon}: {far}");
    }
}

#[test]
fn a_controller_that_searches_nothing_drives_the_same_loop() {
    let mut first = goal("reach", 10, GripperRule::Hold);
    first.advance_below = Some(0.01);
    let goals = [first, goal("close", 1, GripperRule::Close)];
    let mut controller = Straight(pose(0.5, 0.0), Pursuit::default());
    let mut point = Point(pose(0.38, 0.0), None);
    let mut log = Log::default();
    let outcome = control_loop::run(
        TakeUp::default(),
        &mut point,
        &mut controller,
        &goals,
        &mut log,
    )
    .expect("no errors");
    // Three steps there, the fourth decision finds it reached, one to close.
    assert_eq!((outcome.steps, outcome.subgoals_finished), (4, 2));
    assert_eq!(log.steps[2].2.evaluations, 0);
    assert_eq!(
        point.0.gripper, 1.0,
        "what the rule fixes a policy can't change"
    );
}

/// A point that is seen half way of each action that is followed on, and drops decisions.
struct Rolling {
    at: Pose,
    goal: Option<Pose>,
    /// Decisions in motion that will come too late.
    late: u32,
    /// What was asked of it: `r`est, look `a`head, `e`xecute, `f`ollow on, follow on to rest `.`, `d`rop.
    asked: String,
}

impl Rolling {
    fn new(at: Pose, late: u32) -> Self {
        Rolling {
            at,
            goal: None,
            late,
            asked: String::new(),
        }
    }
}

impl Plant for Rolling {
    type Observation = Pose;
    type Execution = ();
    type Error = Infallible;

    fn observe(&mut self) -> Result<Pose, Infallible> {
        self.asked.push('r');
        self.at = self.goal.take().unwrap_or(self.at);
        Ok(self.at)
    }
    fn pose(&self, observation: &Pose) -> Pose {
        *observation
    }
    fn keep_alive(&mut self) {}
    fn execute(&mut self, action: &Action) -> Result<(), Infallible> {
        self.asked.push('e');
        assert_eq!(self.goal, None, "executed in motion");
        self.at = self.at.apply(action);
        Ok(())
    }
    fn look_ahead(&mut self) -> Result<Option<control_loop::Ahead<Pose>>, Infallible> {
        Ok(self.goal.map(|goal| {
            self.asked.push('a');
            let observation = self.at.apply(&self.at.action_to(&goal).part(0.5));
            let committed = observation.action_to(&goal);
            control_loop::Ahead {
                observation,
                committed,
            }
        }))
    }
    fn follow_on(&mut self, action: &Action, until: Until) -> Result<Option<()>, Infallible> {
        if self.goal.is_some() && self.late > 0 {
            self.late -= 1;
            self.asked.push('d');
            self.at = self.goal.take().unwrap_or(self.at);
            return Ok(None);
        }
        self.asked
            .push(if until == Until::Rest { '.' } else { 'f' });
        self.at = self.goal.take().unwrap_or(self.at);
        match until {
            Until::Rest => self.at = self.at.apply(action),
            Until::NextLook => self.goal = Some(self.at.apply(action)),
        }
        Ok(Some(()))
    }
}

#[derive(Default)]
struct Moving(Vec<(Option<Action>, u32, Plan)>);

impl Watch<Pose, ()> for Moving {
    fn step(&mut self, step: &Step<'_, Pose, ()>) -> ControlFlow<()> {
        self.0
            .push((step.committed, step.dropped, step.plan.clone()));
        ControlFlow::Continue(())
    }
}

fn roll(late: u32, goals: &[SubGoal], poses: &[Pose]) -> (Rolling, Moving, LoopOutcome<Pose>) {
    let oracle = Oracle::new(poses.to_vec());
    let mut controller = Mpc::new(&oracle, CemConfig::paper(), 7);
    let (mut point, mut moving) = (Rolling::new(pose(0.35, 0.0), late), Moving::default());
    let outcome = control_loop::run(
        TakeUp::default(),
        &mut point,
        &mut controller,
        goals,
        &mut moving,
    )
    .expect("no errors");
    (point, moving, outcome)
}

#[test]
fn decisions_in_motion_begin_at_the_end_of_what_is_under_way_and_fingers_move_at_rest() {
    let goals = [
        goal("there", 4, GripperRule::Hold),
        goal("grasp", 2, GripperRule::Close),
        goal("carry", 3, GripperRule::Hold),
    ];
    let poses = [pose(0.5, 0.0), pose(0.5, 1.0), pose(0.6, 1.0)];
    let (point, moving, outcome) = roll(0, &goals, &poses);
    assert_eq!(point.asked, "rfafafa.rererfafa.r");
    assert_eq!((outcome.steps, outcome.subgoals_finished), (9, 3));
    // As near as the planner gets that stops: what is left to do is not planned twice.
    assert!(outcome.last_distance < 0.02, "{}", outcome.last_distance);
    let (committed, _, second) = &moving.0[1];
    let rest = committed.expect("under way").translation_m[0];
    assert!((rest - 0.0375).abs() < 0.002, "{rest}");
    let [dx, ..] = second.actions[0].translation_m;
    assert!((dx - 0.075).abs() < 0.002, "{dx}");
    assert!(moving.0.iter().all(|step| step.1 == 0));
}

#[test]
fn a_dropped_decision_is_made_again_at_rest_and_costs_no_step() {
    let goals = [goal("there", 4, GripperRule::Hold)];
    let (point, moving, outcome) = roll(1, &goals, &[pose(0.5, 0.0)]);
    assert_eq!(point.asked, "rfadrfafa.r");
    assert_eq!(outcome.steps, 4);
    let dropped: Vec<u32> = moving.0.iter().map(|step| step.1).collect();
    assert_eq!(dropped, [0, 1, 0, 0]);
    assert!(moving.0[1].0.is_none() && outcome.last_distance < 0.02);
}
