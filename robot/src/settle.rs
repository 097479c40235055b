//! When has the arm come to rest? A plan made on a frame of a moving arm is a plan for another
//! place, so everything waits for this.

use nalgebra::{Isometry3, Translation3};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Thresholds of rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettleConfig {
    /// Slower than this counts as rest, m/s.
    pub speed_m_s: f64,
    /// No joint faster than this counts as rest, rad/s.
    pub joint_speed_rad_s: f64,
    /// Nearer than this to the goal counts as there, m.
    pub distance_m: f64,
    /// Samples in a row (at 100 Hz) at rest and there.
    pub samples: u32,
    /// Samples in a row at rest anywhere: an arm held back by a contact never gets there.
    pub rest_samples: u32,
    /// When waiting ends, s after the last moving target.
    pub timeout_s: f64,
}

impl Default for SettleConfig {
    fn default() -> Self {
        SettleConfig {
            speed_m_s: 0.004,
            joint_speed_rad_s: 0.02,
            distance_m: 0.003,
            samples: 5,
            rest_samples: 25,
            timeout_s: 3.0,
        }
    }
}

/// How far an arm that can't come to rest backs off each time, upwards, m.
const RETREAT_M: f64 = 0.015;
/// How often it backs off before it is given up on.
pub const MAX_RETREATS: u32 = 3;

/// Where an arm that can't come to rest at `placement` goes: straight up, off what it presses on.
pub fn retreat(placement: &Isometry3<f64>) -> Isometry3<f64> {
    Translation3::new(0.0, 0.0, RETREAT_M) * placement
}

/// One measurement of the arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SettleSample {
    /// The arm's clock, s.
    pub time_s: f64,
    /// Measured position, m.
    pub position_m: [f64; 3],
    /// Fastest joint, rad/s, absolute.
    pub joint_speed_rad_s: f64,
    /// Distance to the goal, m.
    pub distance_m: f64,
    /// Whether the setpoint stands at the goal and the gripper has finished.
    pub commanded: bool,
}

/// Counts samples at rest.
#[derive(Debug, Clone)]
pub struct Settle {
    config: SettleConfig,
    last: Option<SettleSample>,
    there: u32,
    rest: u32,
}

impl Settle {
    /// A detector that has seen nothing.
    pub fn new(config: SettleConfig) -> Self {
        Settle {
            config,
            last: None,
            there: 0,
            rest: 0,
        }
    }

    /// Takes one sample; `true` when the arm has settled. Samples that are not newer than the
    /// last one are ignored: repeating a stale state is no sign of rest.
    pub fn update(&mut self, sample: &SettleSample) -> bool {
        let Some(last) = self.last else {
            self.last = Some(*sample);
            return false;
        };
        let elapsed_s = sample.time_s - last.time_s;
        if elapsed_s <= 0.0 || !elapsed_s.is_finite() {
            return self.settled();
        }
        let moved_m = (0..3)
            .map(|i| (sample.position_m[i] - last.position_m[i]).powi(2))
            .sum::<f64>()
            .sqrt();
        self.last = Some(*sample);
        let still = moved_m / elapsed_s <= self.config.speed_m_s
            && sample.joint_speed_rad_s <= self.config.joint_speed_rad_s
            && sample.commanded;
        self.rest = if still { self.rest + 1 } else { 0 };
        self.there = if still && sample.distance_m <= self.config.distance_m {
            self.there + 1
        } else {
            0
        };
        self.settled()
    }

    /// Whether the last samples were at rest.
    pub fn settled(&self) -> bool {
        self.there >= self.config.samples || self.rest >= self.config.rest_samples
    }
}
