//! Renders goal states of a few scenes to PNG files, and measures frames per second.
//!
//! `cargo run --release -p foresight-sim --example pictures -- FOLDER [SIZE] [FACTOR]`

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use std::path::PathBuf;
use std::time::Instant;

use foresight_sim::{goals, ObjectKind, SceneDistribution, Simulator};
use rayon::prelude::*;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "pictures".into()));
    let size: u32 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(128);
    let factor: u32 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for (kind, seed) in [
        (ObjectKind::Box, 1),
        (ObjectKind::Cup, 2),
        (ObjectKind::Box, 3),
    ] {
        let distribution = SceneDistribution {
            object_kinds: vec![kind],
            ..SceneDistribution::default()
        };
        let scene = distribution.sample(seed);
        let mut simulator = Simulator::new(&scene).expect("the scene is fine");
        let states = [
            goals::reach(&scene, scene.start.position_m),
            goals::above_object(&scene),
            goals::at_object(&scene),
            goals::grasped(&scene),
            goals::lifted(&scene, 0.1),
            goals::carried_over_target(&scene),
            goals::lowered_on_target(&scene),
            goals::placed(&scene),
        ];
        let mut sheet = image::RgbImage::new(4 * size, 2 * size);
        for (index, state) in states.iter().enumerate() {
            simulator
                .set_goal_state(state)
                .expect("the goal is reachable");
            let frame = simulator.render_smooth(size, size, factor);
            let (x, y) = (index as i64 % 4, index as i64 / 4);
            image::imageops::replace(&mut sheet, &frame, x * size as i64, y * size as i64);
        }
        let path = folder.join(format!("{seed}.png"));
        sheet.save(&path).expect("the picture can be written");
        println!("{}", path.display());
    }

    let simulator = Simulator::new(&SceneDistribution::default().sample(1)).expect("it is fine");
    let frames = 400;
    let started = Instant::now();
    (0..frames).for_each(|_| drop(simulator.render(size, size)));
    let one = f64::from(frames) / started.elapsed().as_secs_f64();
    let simulators: Vec<_> = (0..rayon::current_num_threads() as u64)
        .filter_map(|seed| Simulator::new(&SceneDistribution::default().sample(seed)).ok())
        .map(std::sync::Mutex::new)
        .collect();
    let started = Instant::now();
    simulators.par_iter().for_each(|simulator| {
        let simulator = simulator.lock().expect("no thread panicked");
        (0..frames).for_each(|_| drop(simulator.render(size, size)));
    });
    let all = (frames as usize * simulators.len()) as f64 / started.elapsed().as_secs_f64();
    println!(
        "{size} × {size}: {one:.0} frames/s on one thread, {all:.0} on {}",
        simulators.len()
    );
}
