//! Plans with a cost of your own, by the planner crate alone: to a goal, around an obstacle.
//!
//!     cargo run --release --example own_cost
//!
//! A search asks a cost about whole batches of candidate action sequences `[S, H, 7]` and knows
//! nothing else about the world. Here the world is a pose that actions move; a world model's
//! prediction would stand in the same place (`plan_two_images.rs`).

use foresight_planner::{
    solve, ActionSequences, CemConfig, Constraints, Energy, EnergyError, Pose, SearchMethod,
    SearchSpace, SeededNoise,
};

/// Distances to a goal along a sequence, so that the first step counts too, and what coming too
/// close to an obstacle costs.
struct AroundObstacle {
    start: Pose,
    goal: Pose,
    obstacle: Pose,
}

/// Nearer than this to the obstacle costs, m.
const CLEARANCE_M: f64 = 0.08;

impl Energy for AroundObstacle {
    fn energies(&self, sequences: &ActionSequences) -> Result<Vec<f32>, EnergyError> {
        let cost = |sample| {
            let mut pose = self.start;
            let mut cost = 0.0;
            for step in 0..sequences.horizon() {
                pose = pose.apply(&sequences.action_at(sample, step));
                let too_near_m = CLEARANCE_M - pose.distance_m(&self.obstacle);
                cost += pose.distance_m(&self.goal) + 20.0 * too_near_m.max(0.0);
            }
            cost as f32
        };
        Ok((0..sequences.samples()).map(cost).collect())
    }
}

/// Plans and executes the first action of each plan until the goal is reached; the way there.
pub fn way_around(
    start: Pose,
    goal: Pose,
    obstacle: Pose,
) -> Result<Vec<Pose>, Box<dyn std::error::Error>> {
    let search = CemConfig {
        samples: 400,
        horizon: 4,
        // At most 5 cm along each axis in one action; the gripper stays as it is.
        space: SearchSpace::translation_and_gripper(0.05),
        ..CemConfig::paper()
    };
    let hold_gripper = Constraints::with_gripper(0.0);
    let mut way = vec![start];
    for decision in 0..20 {
        let here = way[way.len() - 1];
        if here.distance_m(&goal) < 0.01 {
            break;
        }
        let cost = AroundObstacle {
            start: here,
            goal,
            obstacle,
        };
        let mut noise = SeededNoise::new(0, decision);
        let plan = solve(&mut *search.begin(&hold_gripper), &cost, &mut noise)?;
        way.push(here.apply(&plan.actions[0]));
    }
    Ok(way)
}

/// A pose above the table with the hand pointing down.
pub fn above(x: f64, y: f64) -> Pose {
    Pose::from_array([x, y, 0.2, std::f64::consts::PI, 0.0, 0.0, 0.0])
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let obstacle = above(0.5, 0.0);
    let way = way_around(above(0.5, -0.2), above(0.5, 0.2), obstacle)?;
    for (step, pose) in way.iter().enumerate() {
        let [x, y, z] = pose.position_m;
        let clear_m = pose.distance_m(&obstacle);
        println!("{step:2}: x {x:.3}  y {y:.3}  z {z:.3}  {clear_m:.3} m from the obstacle");
    }
    Ok(())
}
