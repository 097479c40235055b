//! Plans an action from two pictures: what the camera sees, and what it should see.
//!
//!     cargo run --release --example plan_two_images
//!     cargo run --release --example plan_two_images -- NOW.png GOAL.png X,Y,Z,RX,RY,RZ,G
//!
//! Without arguments the simulator draws both pictures, so that the best action is known. With
//! arguments it plans on yours, taken where the arm is at the pose given.

use std::path::Path;

use foresight_planner::{solve, Action, CemConfig, Constraints, Pose, SearchMethod, SeededNoise};
use foresight_predictor::WorldModel;
use foresight_sim::{goals, SceneDistribution, Simulator};
use image::RgbImage;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Both pictures, and the arm's pose in the first one.
pub struct Question {
    now: RgbImage,
    goal: RgbImage,
    pose: Pose,
}

/// The action that leads from one picture towards the other.
pub fn plan(model: &WorldModel, question: &Question) -> Result<Action> {
    // Two pictures become two latents; the energy of a candidate is how far the latent that the
    // model predicts for it is from the goal's.
    let latents = model.encode(&[&question.now, &question.goal])?;
    let [now, goal] = &latents[..] else {
        return Err("two pictures have two latents".into());
    };
    let energy = model.energy(now, &question.pose, goal, model.budget());
    let search = CemConfig::fast();
    let hold_gripper = Constraints::with_gripper(0.0);
    let mut noise = SeededNoise::new(7, 0);
    let plan = solve(&mut *search.begin(&hold_gripper), &energy, &mut noise)?;
    Ok(plan.actions[0])
}

/// A simulated arm before and after a move of 6 cm, and that move.
pub fn simulated() -> Result<(Question, Action)> {
    let scene = SceneDistribution::default().sample(3);
    let mut simulator = Simulator::new(&scene)?;
    let side = 64;
    let (now, pose) = (simulator.render(side, side), simulator.pose());
    let [x, y, z] = pose.position_m;
    simulator.set_goal_state(&goals::reach(&scene, [x, y + 0.06, z]))?;
    let goal = simulator.render(side, side);
    let moved = pose.action_to(&simulator.pose());
    Ok((Question { now, goal, pose }, moved))
}

fn from_files(now: &str, goal: &str, pose: &str) -> Result<Question> {
    let open = |path: &str| image::open(path).map(|picture| picture.into_rgb8());
    let numbers = pose
        .split(',')
        .map(str::parse)
        .collect::<std::result::Result<Vec<f64>, _>>()?;
    let numbers = <[f64; 7]>::try_from(numbers).map_err(|_| "a pose is seven numbers")?;
    Ok(Question {
        now: open(now)?,
        goal: open(goal)?,
        pose: Pose::from_array(numbers),
    })
}

/// Runs the example.
pub fn main() -> Result<()> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tabletop");
    let model = WorldModel::load(&model)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let question = match &arguments[..] {
        [now, goal, pose] => from_files(now, goal, pose)?,
        [] => {
            let (question, moved) = simulated()?;
            println!(
                "from one picture to the other: {:.3?} m",
                moved.translation_m
            );
            question
        }
        _ => return Err("give two pictures and a pose, or nothing".into()),
    };
    println!("planned: {:.3?} m", plan(&model, &question)?.translation_m);
    Ok(())
}
