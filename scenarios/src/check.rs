//! Ranges and references that types can't express.

use std::path::Path;

use foresight_datasets::picture;
use foresight_planner::{pose_units, GripperRule, PlannerConfig};
use foresight_robot::WorkspaceBox;
use foresight_settings::Diagnostic;
use foresight_sim::distribution::DistributionError;

use crate::reach;
use crate::scenario::{GoalStateName, PointRange, RobotKind, Scenario, SubGoalSpec, Success};

/// Most steps one sub-goal may have.
const MOST_STEPS: u32 = 10_000;
/// Most cameras whose pictures make a frame.
const MOST_CAMERAS: u32 = 4;

/// Everything wrong with a scenario of `file`.
pub(crate) fn faults(scenario: &Scenario, file: &Path) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    names(scenario, &mut faults);
    camera(scenario, &mut faults);
    safety(scenario, &mut faults);
    planner(&scenario.planner, &mut faults);
    if let Err(error) = scenario.scene.validate() {
        let field = match &error {
            DistributionError::Range { field, .. } => field,
            DistributionError::NoKinds => "object_kinds",
            DistributionError::Several { field, .. } => field,
        };
        faults.push(Diagnostic::new(field, error.to_string(), "").within("scene"));
    }
    subgoals(scenario, file, &mut faults);
    success(scenario, &mut faults);
    robot(scenario, &mut faults);
    if !(0.0..=0.2).contains(&scenario.displaced_after_goals_m) {
        faults.push(Diagnostic::new(
            "displaced_after_goals_m",
            format!(
                "the object is displaced by {} m",
                scenario.displaced_after_goals_m
            ),
            "give metres in 0..=0.2",
        ));
    }
    if !(0.0..=2.0).contains(&scenario.virtual_latency_s) {
        let what = format!("virtual_latency_s is {}", scenario.virtual_latency_s);
        faults.push(Diagnostic::new(
            "virtual_latency_s",
            what,
            "give seconds in 0..=2",
        ));
    }
    if let Some(at) = scenario.goals_with_hand_at_m {
        let workspace = &scenario.safety.workspace;
        let inside = |i: usize| workspace.min_m[i] <= at[i] && at[i] <= workspace.max_m[i];
        if !(0..3).all(inside) {
            faults.push(Diagnostic::new(
                "goals_with_hand_at_m",
                format!("the hand is parked at {at:?} m, outside safety.workspace"),
                "give a point inside the box",
            ));
        }
    }
    if scenario.faults.as_ref().is_some_and(|f| f.kinds.is_empty()) {
        let what = "faults without a kind";
        let remedy = "name some, such as kinds = [\"slip\"], or remove [faults]";
        faults.push(Diagnostic::new("faults.kinds", what, remedy));
    }
    let demonstrations = scenario.demonstrations.faults().into_iter();
    faults.extend(demonstrations.map(|fault| fault.within("demonstrations")));
    if faults.is_empty() && scenario.robot.kind == RobotKind::Sim {
        reach::faults(scenario, &mut faults);
    }
    faults
}

fn names(scenario: &Scenario, faults: &mut Vec<Diagnostic>) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = &scenario.name;
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        faults.push(Diagnostic::new(
            "name",
            format!("the name is {name:?}"),
            "use 1 to 64 lower-case letters, digits and _: it becomes part of a folder's name",
        ));
    }
}

fn camera(scenario: &Scenario, faults: &mut Vec<Diagnostic>) {
    let camera = &scenario.camera;
    for (key, value) in [
        ("width_px", camera.width_px),
        ("height_px", camera.height_px),
    ] {
        if !(16..=2048).contains(&value) {
            faults.push(Diagnostic::new(
                format!("camera.{key}"),
                format!("{key} is {value}"),
                "give a number of pixels in 16..=2048",
            ));
        }
    }
    let cameras = 1 + scenario.scene.other_cameras.len() as u32;
    if cameras > MOST_CAMERAS {
        faults.push(Diagnostic::new(
            "scene.other_cameras",
            format!("{cameras} cameras film the scene"),
            format!("a frame holds the pictures of up to {MOST_CAMERAS}, side by side"),
        ));
    } else if !camera.width_px.is_multiple_of(cameras) {
        faults.push(Diagnostic::new(
            "camera.width_px",
            format!("{} px are not room for {cameras} pictures", camera.width_px),
            format!("the cameras' pictures stand side by side: give a multiple of {cameras}"),
        ));
    }
    if let Some(doubt) = camera
        .extrinsics
        .as_ref()
        .and_then(pose_units::camera_doubt)
    {
        faults.push(Diagnostic::new("camera.extrinsics", doubt, ""));
    }
}

fn safety(scenario: &Scenario, faults: &mut Vec<Diagnostic>) {
    if let Err(error) = scenario.safety.validate() {
        use foresight_robot::EnvelopeError as E;
        let path = match &error {
            E::Range { name, .. } => format!("safety.{name}"),
            _ => "safety.workspace".to_owned(),
        };
        faults.push(Diagnostic::new(path, error.to_string(), ""));
    }
}

fn planner(config: &PlannerConfig, faults: &mut Vec<Diagnostic>) {
    let own = config.faults().into_iter();
    faults.extend(own.map(|fault| fault.within("planner")));
    // No arm is sent farther in one step.
    for (key, value) in [
        ("box_m", config.box_m),
        ("rotation_rad", config.rotation_rad),
    ] {
        if value > 0.5 {
            let fault =
                Diagnostic::new(key, format!("{key} is {value}"), "give a number up to 0.5");
            faults.push(fault.within("planner"));
        }
    }
}

fn subgoals(scenario: &Scenario, file: &Path, faults: &mut Vec<Diagnostic>) {
    if scenario.subgoal.is_empty() {
        faults.push(Diagnostic::new(
            "subgoal",
            "there is no sub-goal",
            "add at least one [[subgoal]]",
        ));
    }
    for (i, goal) in scenario.subgoal.iter().enumerate() {
        let at = |key: &str| format!("subgoal.{i}.{key}");
        let name = &goal.name;
        let here = format!("sub-goal {name:?}");
        if goal.steps == 0 || goal.steps > MOST_STEPS {
            let remedy = format!("give a number of steps in 1..={MOST_STEPS}");
            faults.push(Diagnostic::new(
                at("steps"),
                format!("{here} has {} steps", goal.steps),
                remedy,
            ));
        }
        if goal
            .advance_below
            .is_some_and(|limit| !(limit > 0.0 && limit < 10.0))
        {
            let what = format!("{here}: advance_below is out of range");
            let remedy = "give an L1 latent distance above 0, such as 0.1";
            faults.push(Diagnostic::new(at("advance_below"), what, remedy));
        }
        if let GripperRule::HoldFirst(steps) = goal.gripper {
            if steps > goal.steps {
                let what = format!(
                    "{here} holds the gripper for {steps} of {} steps",
                    goal.steps
                );
                let remedy = "give at most the sub-goal's steps, or use gripper = \"hold\"";
                faults.push(Diagnostic::new(at("gripper"), what, remedy));
            }
        }
        if let Some(doubt) = goal.pose.as_ref().and_then(pose_units::doubt) {
            let remedy = "give [x, y, z, rx, ry, rz, gripper] in m, rad and closedness";
            let what = format!("{here} has a pose that can't be: {doubt}");
            faults.push(Diagnostic::new(at("pose"), what, remedy));
        }
        named(scenario, goal, &at, &here, faults);
        if let Some(say) = &goal.say {
            said(goal, say, &at, &here, faults);
            continue;
        }
        match (&goal.image, &goal.state) {
            (Some(_), Some(_)) => faults.push(Diagnostic::new(
                at("state"),
                format!("{here} has an image and a state"),
                "keep one of them",
            )),
            (None, None) => faults.push(Diagnostic::new(
                at("name"),
                format!("{here} has neither image nor state"),
                "add image = \"…\" (a file), state = \"…\" (rendered by the simulator), or say = \"…\" (a sentence)",
            )),
            (Some(image), None) => {
                let path = file.with_file_name(image);
                if !path.is_file() {
                    faults.push(Diagnostic::new(
                        at("image"),
                        format!("{here}: the goal image {} does not exist", path.display()),
                        "paths are relative to the scenario file; check the name",
                    ));
                } else if let Err(what) = picture::open(&path) {
                    faults.push(Diagnostic::new(at("image"), format!("{here}: {what}"), ""));
                }
            }
            (None, Some(state)) => {
                if scenario.robot.kind == RobotKind::Franka {
                    faults.push(Diagnostic::new(
                        at("state"),
                        format!("{here} renders a simulator state for a real arm"),
                        "take a photograph of the goal and give image = \"…\"",
                    ));
                }
                goal_state(
                    state,
                    &scenario.safety.workspace,
                    &at("state"),
                    &here,
                    faults,
                );
            }
        }
    }
}

/// A sub-goal that is said.
fn said(
    goal: &SubGoalSpec,
    say: &str,
    at: &impl Fn(&str) -> String,
    here: &str,
    faults: &mut Vec<Diagnostic>,
) {
    if say.trim().is_empty() {
        let what = format!("{here} says nothing");
        let remedy = "give a sentence, such as say = \"put the red cup on the green disc\"";
        faults.push(Diagnostic::new(at("say"), what, remedy));
    }
    for (key, there) in [
        ("image", goal.image.is_some()),
        ("state", goal.state.is_some()),
        ("object", goal.object > 0),
        ("target", goal.target > 0),
    ] {
        if there {
            let what = format!("{here} has {key} beside a sentence");
            faults.push(Diagnostic::new(at(key), what, "keep one of them"));
        }
    }
}

/// A sub-goal about an object or a disc that not every scene has.
fn named(
    scenario: &Scenario,
    goal: &SubGoalSpec,
    at: &impl Fn(&str) -> String,
    here: &str,
    faults: &mut Vec<Diagnostic>,
) {
    let scene = &scenario.scene;
    let objects = scene.objects.as_ref().map_or(1, |o| o.count[0]);
    let targets = scene.targets.as_ref().map_or(1, |t| t.count[0]);
    for (key, number, there, several) in [
        ("object", goal.object, objects, "scene.objects.count"),
        ("target", goal.target, targets, "scene.targets.count"),
    ] {
        if number >= there {
            let what = format!(
                "{here} is about {key} {number}, but a scene may have no more than {there}, \
                 counted from 0"
            );
            let remedy = format!("give a number below {there}, or raise the least of {several}");
            faults.push(Diagnostic::new(at(key), what, remedy));
        }
    }
}

fn goal_state(
    state: &GoalStateName,
    workspace: &WorkspaceBox,
    path: &str,
    here: &str,
    faults: &mut Vec<Diagnostic>,
) {
    match state {
        GoalStateName::Lifted { height_m } if !(0.0..=0.5).contains(height_m) => {
            let what = format!("{here} lifts by {height_m} m");
            faults.push(Diagnostic::new(path, what, "give height_m in 0..=0.5"));
        }
        GoalStateName::Pushed {
            distance_m: [least, most],
        } if !(0.0 <= *least && least <= most && *most <= 0.5) => {
            let what = format!("{here} pushes by {least} to {most} m");
            faults.push(Diagnostic::new(
                path,
                what,
                "give distance_m = [least, most] in 0..=0.5",
            ));
        }
        GoalStateName::Reach { from } | GoalStateName::CarryTo { from } => {
            if let Some(what) = outside(from, workspace) {
                let remedy = "give [low, high] in m, inside safety.workspace";
                faults.push(Diagnostic::new(path, format!("{here}: {what}"), remedy));
            }
        }
        _ => {}
    }
}

fn outside(range: &PointRange, workspace: &WorkspaceBox) -> Option<String> {
    let axes = [("x_m", range.x_m), ("y_m", range.y_m), ("z_m", range.z_m)];
    for (i, (name, [low, high])) in axes.into_iter().enumerate() {
        let (min, max) = (workspace.min_m[i], workspace.max_m[i]);
        // Written so that NaN is outside.
        if !(low <= high && low >= min && high <= max) {
            return Some(format!(
                "{name} = [{low}, {high}] is not inside [{min}, {max}]"
            ));
        }
    }
    None
}

fn success(scenario: &Scenario, faults: &mut Vec<Diagnostic>) {
    let Some(success) = &scenario.success else {
        if scenario.robot.kind == RobotKind::Sim {
            let remedy = "add one of [success.reach], [success.grasp], [success.reach_with_object], [success.push], [success.place]";
            faults.push(Diagnostic::new(
                "success",
                "a simulated scenario needs a success check",
                remedy,
            ));
        }
        return;
    };
    let (path, value) = match success {
        Success::Reach { tolerance_m } => ("success.reach.tolerance_m", tolerance_m),
        Success::Grasp { height_m } => ("success.grasp.height_m", height_m),
        Success::ReachWithObject { tolerance_m } => {
            ("success.reach_with_object.tolerance_m", tolerance_m)
        }
        Success::Push { tolerance_m } => ("success.push.tolerance_m", tolerance_m),
        Success::Place { tolerance_m } => ("success.place.tolerance_m", tolerance_m),
        Success::Latent { looks } => {
            if !(1..=20).contains(looks) {
                let what = format!("success.latent.looks is {looks}");
                faults.push(Diagnostic::new(
                    "success.latent.looks",
                    what,
                    "give 1 to 20",
                ));
            }
            return;
        }
    };
    if !(0.001..=0.5).contains(value) {
        let what = format!("{path} is {value}");
        faults.push(Diagnostic::new(path, what, "give metres in 0.001..=0.5"));
    }
    let by_pose = matches!(
        success,
        Success::Reach { .. } | Success::ReachWithObject { .. } | Success::Push { .. }
    );
    if by_pose
        && scenario
            .subgoal
            .last()
            .is_some_and(|goal| goal.state.is_none())
    {
        faults.push(Diagnostic::new(
            path,
            "success is measured against the last sub-goal's state, but that is an image",
            "use a state for the last sub-goal",
        ));
    }
    if scenario.robot.kind == RobotKind::Franka {
        faults.push(Diagnostic::new(
            "success",
            "success is judged from the simulator's true state, which a real arm does not have",
            "remove [success]; a run then ends with the distance to the goal image",
        ));
    }
}

fn robot(scenario: &Scenario, faults: &mut Vec<Diagnostic>) {
    let robot = &scenario.robot;
    if let Some(home) = &robot.home {
        let ([x, y, z], [rx, ry, rz]) = (home.position_m, home.euler_rad);
        if let Some(doubt) = pose_units::doubt(&[x, y, z, rx, ry, rz, 0.0]) {
            faults.push(Diagnostic::new("robot.home", doubt, "give m and rad"));
        } else if !scenario.safety.workspace.contains(&home.position_m, 0.0) {
            faults.push(Diagnostic::new(
                "robot.home.position_m",
                format!("robot.home is at {:?} m", home.position_m),
                "give a position inside safety.workspace",
            ));
        }
    }
    if let Some([[a, b], [c, d]]) = robot.action_map_xy {
        // Written so that NaN is at fault.
        let sane = [a, b, c, d].iter().all(|v| v.abs() <= 5.0) && (a * d - b * c).abs() >= 0.05;
        if !sane {
            faults.push(Diagnostic::new(
                "robot.action_map_xy",
                "the map is singular or out of proportion",
                "copy what `foresight calibrate` printed; it turns and scales a little",
            ));
        }
    }
    let missing = robot
        .franka
        .as_ref()
        .is_none_or(|f| f.link.connect.is_empty() && f.link.zenoh_config.is_none());
    if robot.kind == RobotKind::Franka && missing {
        faults.push(Diagnostic::new(
            "robot.franka.link.connect",
            "no endpoint of the arm's node is given",
            "add [robot.franka.link] with connect = [\"tcp/HOST:7447\"], or with zenoh_config, a file that names one",
        ));
    }
}
