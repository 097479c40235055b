//! Scripted pick and place over many scenes: how often it works and how fast it is simulated.
//!
//! `cargo run --release -p foresight-sim --example grasps -- [SCENES]`

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

#[path = "../tests/suite/demo.rs"]
mod demo;

use std::time::Instant;

use foresight_sim::{ObjectKind, SceneDistribution};

fn main() {
    let scenes = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    for kind in [ObjectKind::Box, ObjectKind::Cup] {
        let distribution = SceneDistribution {
            object_kinds: vec![kind],
            ..SceneDistribution::default()
        };
        let started = Instant::now();
        let (mut tilts, mut most, mut slips, mut widths) = ([0.0; 3], [0.0_f64; 3], 0.0, 0.0);
        let (mut simulated_s, mut held, mut placed) = (0.0, 0, 0);
        for seed in 0..scenes {
            let scene = distribution.sample(seed);
            let (simulator, outcome) = demo::pick_and_place(&scene, [0.0, 0.0]);
            simulated_s += simulator.time_s();
            let lifted = outcome.lifted.object_height_m > 0.09 && outcome.lifted.held;
            let there = outcome.placed.placed_within(0.02);
            held += u32::from(lifted);
            placed += u32::from(there);
            let slip_mm =
                1e3 * (outcome.lifted.object_height_m - outcome.carried.object_height_m - 0.02);
            for (i, t) in [&outcome.grasped, &outcome.lifted, &outcome.carried]
                .iter()
                .enumerate()
            {
                tilts[i] += t.tilt_rad / scenes as f64;
                most[i] = most[i].max(t.tilt_rad);
            }
            slips += slip_mm.abs() / scenes as f64;
            let geometric = scene.object.grasp_width_m(scene.start.yaw_rad);
            widths += (outcome.width_m - geometric).abs() * 1e3 / scenes as f64;
            if !lifted || !there {
                println!(
                    "{kind:?} {seed}: size {:?} width {:.4} grasp-held {} lifted {:.4} tilt {:.3} carried {:.4} tilt {:.3} slip {slip_mm:.2} mm; placed {:.4} m off, upright {} rest {} table {}",
                    scene.object.size_m.map(|s| (s * 1e4).round() / 1e4),
                    outcome.width_m,
                    outcome.grasped.held,
                    outcome.lifted.object_height_m,
                    outcome.lifted.tilt_rad,
                    outcome.carried.object_height_m,
                    outcome.carried.tilt_rad,
                    outcome.placed.target_distance_m,
                    outcome.placed.upright,
                    outcome.placed.at_rest,
                    outcome.placed.on_table,
                );
            }
        }
        println!("mean tilt {tilts:.3?} largest {most:.3?} slip {slips:.2} mm width error {widths:.2} mm");
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{kind:?}: {held}/{scenes} lifted, {placed}/{scenes} placed within 2 cm; {simulated_s:.0} s simulated in {seconds:.2} s = {:.0}× real time",
            simulated_s / seconds
        );
    }
}
