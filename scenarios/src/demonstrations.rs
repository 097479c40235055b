//! `[demonstrations]` of a scenario: behaviours, starts, noise, and how often each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mixture demonstrations are drawn from.
///
/// Behaviour weights are relative to their sum. The defaults follow what a prototype needed:
/// over a third of the starts in contact, three levels of waypoint noise, and from a twentieth
/// to half of the actions random, so that failures are part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DemonstrationConfig {
    /// Weight of episodes that pick the object up and place it on the target.
    pub pick_and_place: f64,
    /// Weight of episodes that grasp the object and lift it.
    pub grasp: f64,
    /// Weight of episodes that move from one free point to the next.
    pub reach: f64,
    /// Weight of the same with the object in the hand, which always start in hand.
    pub carry: f64,
    /// Weight of episodes that sweep the object over the table with the closed hand.
    pub push: f64,
    /// Weight of episodes that open and close the hand anywhere around the object.
    pub fumble: f64,
    /// Weight of episodes of random actions.
    pub random: f64,
    /// Share of the other behaviours' episodes that start anywhere over the table, 0 to 1.
    pub wide_start_share: f64,
    /// Share of the other behaviours' episodes that start near the object, 0 to 1.
    pub near_start_share: f64,
    /// Share of the other behaviours' episodes that start with the object in hand, 0 to 1.
    pub in_hand_start_share: f64,
    /// Standard deviations of a waypoint's offset, m; each episode has one of them.
    pub waypoint_noise_m: Vec<f64>,
    /// Standard deviation added to every scripted translation, m an axis.
    pub action_noise_m: f64,
    /// Least and largest share of an episode's actions replaced by random ones, 0 to 1.
    pub random_action_share: [f64; 2],
    /// Least and largest step of a scripted action, m an axis.
    pub stride_m: [f64; 2],
    /// Lower corner of the box that free points, wide starts and starts in hand are drawn from,
    /// base frame, m; the workspace box bounds it.
    pub free_min_m: [f64; 3],
    /// Upper corner of that box, base frame, m.
    pub free_max_m: [f64; 3],
    /// Bound of any action's translation, m an axis.
    pub max_step_m: f64,
    /// Bound of any action's gripper change, closedness.
    pub max_gripper_step: f64,
}

impl Default for DemonstrationConfig {
    fn default() -> Self {
        DemonstrationConfig {
            pick_and_place: 0.27,
            grasp: 0.20,
            reach: 0.06,
            carry: 0.10,
            push: 0.13,
            fumble: 0.14,
            random: 0.10,
            wide_start_share: 0.14,
            near_start_share: 0.18,
            in_hand_start_share: 0.12,
            waypoint_noise_m: vec![0.003, 0.003, 0.010, 0.010, 0.020],
            action_noise_m: 0.003,
            random_action_share: [0.05, 0.50],
            stride_m: [0.035, 0.075],
            free_min_m: [0.39, -0.18, 0.02],
            free_max_m: [0.61, 0.18, 0.25],
            max_step_m: 0.075,
            max_gripper_step: 1.0,
        }
    }
}

impl DemonstrationConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// A sentence naming the field, what it must be, and what it is.
    pub fn check(&self) -> Result<(), String> {
        let weights = self.weights();
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f64>() <= 0.0
        {
            return Err("behaviour weights must be numbers ≥ 0, at least one above 0".to_owned());
        }
        let shares = [
            ("wide_start_share", self.wide_start_share),
            ("near_start_share", self.near_start_share),
            ("in_hand_start_share", self.in_hand_start_share),
            (
                "the sum of wide_start_share, near_start_share and in_hand_start_share",
                self.wide_start_share + self.near_start_share + self.in_hand_start_share,
            ),
            ("random_action_share", self.random_action_share[0]),
            ("random_action_share", self.random_action_share[1]),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("{name} must be from 0 to 1, not {share}"));
            }
        }
        for (name, [low, high]) in [
            ("random_action_share", self.random_action_share),
            ("stride_m", self.stride_m),
        ] {
            if low > high {
                return Err(format!("{name} must rise, not {low} to {high}"));
            }
        }
        let lengths = self.waypoint_noise_m.iter().chain([
            &self.action_noise_m,
            &self.stride_m[0],
            &self.stride_m[1],
        ]);
        for length in lengths {
            if !(0.0..=0.2).contains(length) {
                return Err(format!(
                    "noise and steps must be from 0 to 0.2 m, not {length}"
                ));
            }
        }
        for axis in 0..3 {
            let (low, high) = (self.free_min_m[axis], self.free_max_m[axis]);
            if low.is_nan() || high.is_nan() || low >= high {
                return Err(format!(
                    "free_min_m must be below free_max_m on every axis, not {low} and {high}"
                ));
            }
        }
        if self.waypoint_noise_m.is_empty() {
            return Err("waypoint_noise_m needs at least one level".to_owned());
        }
        if !(0.001..=0.2).contains(&self.max_step_m) {
            return Err(format!(
                "max_step_m must be from 0.001 to 0.2 m, not {}",
                self.max_step_m
            ));
        }
        if !(0.0..=1.0).contains(&self.max_gripper_step) {
            return Err(format!(
                "max_gripper_step must be from 0 to 1, not {}",
                self.max_gripper_step
            ));
        }
        Ok(())
    }

    /// Weights of the behaviours, in the order they are declared in.
    pub fn weights(&self) -> [f64; 7] {
        [
            self.pick_and_place,
            self.grasp,
            self.reach,
            self.carry,
            self.push,
            self.fumble,
            self.random,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_mixtures_are_explained() {
        let wrong = [
            ("grasp = -1.0", "weights"),
            (
                "near_start_share = 0.7\nin_hand_start_share = 0.7",
                "in_hand",
            ),
            ("stride_m = [0.07, 0.02]", "stride_m"),
            ("waypoint_noise_m = []", "waypoint_noise_m"),
            ("max_step_m = 3.0", "max_step_m"),
        ];
        for (text, word) in wrong {
            let mix: DemonstrationConfig = toml::from_str(text).expect("readable");
            let error = mix.check().expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(toml::from_str::<DemonstrationConfig>("gras = 1.0").is_err());
    }
}
