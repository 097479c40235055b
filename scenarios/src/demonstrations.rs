//! What demonstrations are made of: behaviours, starts, noise, and how often each.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a demonstrator tries to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Hover, descend, close, lift, carry over the target, lower, open, rise.
    PickAndPlace,
    /// Hover, descend, close, lift, hold.
    Grasp,
    /// From one free point to the next.
    Reach,
    /// Like `Reach`, with the object in the hand from the start.
    Carry,
    /// Sweep the object over the table with the closed hand.
    Push,
    /// Around the object, opening and closing at any place and time.
    Fumble,
    /// Actions drawn at random.
    Random,
}

impl Behaviour {
    /// All behaviours, in the order of their weights.
    pub const ALL: [Behaviour; 7] = [
        Behaviour::PickAndPlace,
        Behaviour::Grasp,
        Behaviour::Reach,
        Behaviour::Carry,
        Behaviour::Push,
        Behaviour::Fumble,
        Behaviour::Random,
    ];

    /// The name in metadata and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::PickAndPlace => "pick_and_place",
            Behaviour::Grasp => "grasp",
            Behaviour::Reach => "reach",
            Behaviour::Carry => "carry",
            Behaviour::Push => "push",
            Behaviour::Fumble => "fumble",
            Behaviour::Random => "random",
        }
    }
}

/// How an episode begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Where the scene puts the arm.
    Scene,
    /// The open hand anywhere over the table.
    Wide,
    /// The hand within a few centimetres of the object.
    Near,
    /// The object in the closed hand, on the table or lifted.
    InHand,
}

impl Start {
    /// The name in metadata and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Start::Scene => "scene",
            Start::Wide => "wide",
            Start::Near => "near",
            Start::InHand => "in_hand",
        }
    }
}

/// The mixture demonstrations are drawn from.
///
/// Behaviour weights are relative to their sum. The defaults follow what a prototype needed:
/// over a third of the starts in contact, three levels of waypoint noise, and from a twentieth
/// to half of the actions random, so that failures are part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DemonstrationMix {
    /// Weight of [`Behaviour::PickAndPlace`].
    pub pick_and_place: f64,
    /// Weight of [`Behaviour::Grasp`].
    pub grasp: f64,
    /// Weight of [`Behaviour::Reach`].
    pub reach: f64,
    /// Weight of [`Behaviour::Carry`], which always starts in hand.
    pub carry: f64,
    /// Weight of [`Behaviour::Push`].
    pub push: f64,
    /// Weight of [`Behaviour::Fumble`].
    pub fumble: f64,
    /// Weight of [`Behaviour::Random`].
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

impl Default for DemonstrationMix {
    fn default() -> Self {
        DemonstrationMix {
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

/// What one episode has drawn from the mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Style {
    /// What is tried.
    pub behaviour: Behaviour,
    /// How the episode begins.
    pub start: Start,
    /// Standard deviation of a waypoint's offset, m.
    pub waypoint_noise_m: f64,
    /// Probability that an action is replaced by a random one.
    pub random_action_share: f64,
    /// Largest scripted step, m an axis.
    pub stride_m: f64,
    /// Closedness a scripted closing adds an action.
    pub closing_step: f64,
    /// Closedness a scripted opening takes away an action.
    pub opening_step: f64,
    /// Standard deviation of gripper changes while the script leaves the gripper alone; often 0.
    pub gripper_noise: f64,
}

impl DemonstrationMix {
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

    /// Draws one episode's style. The mixture must have passed [`DemonstrationMix::check`].
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Style {
        let weights = self.weights();
        let mut at = rng.random_range(0.0..weights.iter().sum::<f64>());
        let mut behaviour = Behaviour::Random;
        for (candidate, weight) in Behaviour::ALL.into_iter().zip(weights) {
            if at < weight {
                behaviour = candidate;
                break;
            }
            at -= weight;
        }
        let draw: f64 = rng.random();
        let start = if behaviour == Behaviour::Carry || draw < self.in_hand_start_share {
            Start::InHand
        } else if draw < self.in_hand_start_share + self.near_start_share {
            Start::Near
        } else if draw < self.in_hand_start_share + self.near_start_share + self.wide_start_share {
            Start::Wide
        } else {
            Start::Scene
        };
        let noise = rng.random_range(0..self.waypoint_noise_m.len());
        Style {
            behaviour,
            start,
            waypoint_noise_m: self.waypoint_noise_m[noise],
            random_action_share: between(rng, self.random_action_share),
            stride_m: between(rng, self.stride_m),
            closing_step: gripper_step(rng),
            opening_step: gripper_step(rng),
            gripper_noise: if rng.random_bool(0.4) {
                between(rng, [0.02, 0.15])
            } else {
                0.0
            },
        }
    }

    fn weights(&self) -> [f64; 7] {
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

/// A search draws gripper changes from a continuous range, so scripted ones vary too: the
/// notebook's bound, whole strokes, and partial ones.
fn gripper_step(rng: &mut ChaCha8Rng) -> f64 {
    match rng.random_range(0..10) {
        0..=2 => 0.75,
        3..=4 => 1.0,
        5..=7 => rng.random_range(0.4..0.75),
        _ => rng.random_range(0.12..0.4),
    }
}

/// A uniform draw that also takes an interval of no length.
fn between(rng: &mut ChaCha8Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_third_of_the_default_starts_are_in_contact() {
        let mix = DemonstrationMix::default();
        mix.check().expect("the defaults are valid");
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let styles: Vec<Style> = (0..4000).map(|_| mix.sample(&mut rng)).collect();
        let share = |wanted: fn(&Style) -> bool| {
            styles.iter().filter(|s| wanted(s)).count() as f64 / styles.len() as f64
        };
        let contact = share(|s| matches!(s.start, Start::Near | Start::InHand));
        assert!((0.33..=0.42).contains(&contact), "{contact}");
        assert!((share(|s| s.behaviour == Behaviour::PickAndPlace) - 0.27).abs() < 0.03);
        assert!(share(|s| s.behaviour == Behaviour::Carry && s.start != Start::InHand) == 0.0);
        assert!(styles
            .iter()
            .all(|s| (0.05..=0.5).contains(&s.random_action_share)));
    }

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
            let mix: DemonstrationMix = toml::from_str(text).expect("readable");
            let error = mix.check().expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(toml::from_str::<DemonstrationMix>("gras = 1.0").is_err());
    }
}
