//! The simulator on the wall clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foresight_sim::Simulator;
use nalgebra::Isometry3;

use crate::arm::ArmResult;
use crate::se3::{angle_rad, distance_m};
use crate::worker::Worker;

/// How often the simulator catches up with the wall clock.
const PERIOD: Duration = Duration::from_millis(4);
/// The most the simulator catches up at once, s; what is missing beyond that is lost, and the
/// simulation runs slower than the wall. Jumping would look like a jump of the arm.
const CATCH_UP_S: f64 = 0.04;

/// The simulator and what the node's side of it needs to remember.
pub(super) struct Inner {
    pub simulator: Simulator,
    /// A control session runs.
    pub running: bool,
    /// Time of simulators that were replaced, s: the robot's clock never runs backwards.
    before_s: f64,
    /// Time lost because the machine was too slow, s.
    pub lost_s: f64,
    /// Where the arm stood when the running session began, and how far it may stray, m and rad.
    pub bounds: Option<SessionBounds>,
    /// The robot's clock is stuck at this time, s.
    pub frozen_s: Option<f64>,
    /// How far the camera's stamps are ahead of the host's clock, ns.
    pub camera_skew_ns: i64,
    /// The camera delivers nothing.
    pub camera_dead: bool,
}

/// How far a session may stray from where it began before the robot's side breaks it off.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionBounds {
    pub start: Isometry3<f64>,
    pub deviation_m: f64,
    pub deviation_rad: f64,
}

impl Inner {
    /// The robot's clock, s.
    pub(super) fn robot_time_s(&self) -> f64 {
        self.frozen_s
            .unwrap_or(self.before_s + self.simulator.time_s())
    }

    /// Breaks the running session off, as a reflex does: the arm brakes.
    pub(super) fn break_off(&mut self) {
        self.running = false;
        self.simulator.hold();
    }

    /// Breaks the session off when the arm has strayed further than it allows.
    fn check_bounds(&mut self) {
        let Some(bounds) = self.bounds.filter(|_| self.running) else {
            return;
        };
        let tcp = self.simulator.arm().tcp;
        if distance_m(&bounds.start, &tcp) > bounds.deviation_m
            || angle_rad(&bounds.start, &tcp) > bounds.deviation_rad
        {
            self.break_off();
        }
    }

    /// Puts another simulator in this one's place.
    pub(super) fn replace(&mut self, simulator: Simulator) {
        self.before_s += self.simulator.time_s() - simulator.time_s() + 0.01;
        self.simulator = simulator;
    }
}

/// The simulator, shared by clock, robot, gripper and camera.
pub(super) struct SharedSimulator(Mutex<Inner>);

impl SharedSimulator {
    pub(super) fn new(simulator: Simulator) -> Self {
        SharedSimulator(Mutex::new(Inner {
            simulator,
            running: false,
            before_s: 0.0,
            lost_s: 0.0,
            bounds: None,
            frozen_s: None,
            camera_skew_ns: 0,
            camera_dead: false,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that steps the simulator.
pub(super) fn start(world: Arc<SharedSimulator>) -> ArmResult<Worker> {
    let what = "starting the simulator's clock";
    Worker::start("foresight-sim-clock".into(), what, move |stop| {
        run(&world, stop);
    })
}

fn run(world: &SharedSimulator, stop: &AtomicBool) {
    let mut last = Instant::now();
    let mut owed_s = 0.0;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        owed_s += (now - last).as_secs_f64();
        last = now;
        let mut inner = world.lock();
        if owed_s > CATCH_UP_S {
            inner.lost_s += owed_s - CATCH_UP_S;
            owed_s = CATCH_UP_S;
        }
        while owed_s >= Simulator::STEP_S {
            inner.simulator.step();
            owed_s -= Simulator::STEP_S;
        }
        inner.check_bounds();
        drop(inner);
        std::thread::sleep(PERIOD.saturating_sub(now.elapsed()));
    }
}
