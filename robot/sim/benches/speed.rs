//! How fast frames are drawn and physics is stepped, on one thread.
//!
//! `cargo bench -p foresight-sim`: a frame at 128 × 128 has to stay below 10 ms for 200 frames/s
//! on two cores; a step below 100 µs for 20 × real time.

#![allow(unreachable_pub, clippy::unwrap_used)] // nobody outside sees this crate

use criterion::{criterion_group, criterion_main, Criterion};
use foresight_sim::{goals, SceneDistribution, Simulator};

fn simulator() -> Simulator {
    Simulator::new(&SceneDistribution::default().sample(1)).expect("the default scene is fine")
}

fn frames(criterion: &mut Criterion) {
    let simulator = simulator();
    for size in [64, 128, 256] {
        criterion.bench_function(&format!("render {size}x{size}"), |bencher| {
            bencher.iter(|| simulator.render(size, size));
        });
    }
    criterion.bench_function("render 640x480, 3x3 samples", |bencher| {
        bencher.iter(|| simulator.render_smooth(640, 480, 3));
    });
}

fn steps(criterion: &mut Criterion) {
    let mut simulator = simulator();
    let scene = simulator.scene().clone();
    criterion.bench_function("step, hand in the air", |bencher| {
        bencher.iter(|| simulator.step());
    });
    let goal = goals::lifted(&scene, 0.1);
    simulator.set_goal_state(&goal).expect("within reach");
    criterion.bench_function("step, holding the object", |bencher| {
        bencher.iter(|| simulator.step());
    });
    criterion.bench_function("goal state", |bencher| {
        bencher.iter(|| simulator.set_goal_state(&goal).expect("within reach"));
    });
    criterion.bench_function("new simulator", |bencher| {
        bencher.iter(|| Simulator::new(&scene).expect("the scene is fine"));
    });
}

criterion_group!(benches, frames, steps);
criterion_main!(benches);
