//! What one demonstration is: its behaviour, its start, its noise, drawn from a scenario's mixture.

use foresight_scenarios::demonstrations::DemonstrationConfig;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What a demonstrator tries to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
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
    /// Push the object from any side, off its centre too.
    PushAround,
    /// Push the object far straight ahead, and come back.
    PushAndReturn,
    /// Pass the object with little air.
    NearMiss,
    /// Grasp the object where it can't be held well, and carry it until it slips.
    Slip,
    /// Close on nothing.
    EmptyGrasp,
}

impl Behaviour {
    /// All behaviours, in the order of their weights.
    pub(crate) const ALL: [Behaviour; 12] = [
        Behaviour::PickAndPlace,
        Behaviour::Grasp,
        Behaviour::Reach,
        Behaviour::Carry,
        Behaviour::Push,
        Behaviour::Fumble,
        Behaviour::Random,
        Behaviour::PushAround,
        Behaviour::PushAndReturn,
        Behaviour::NearMiss,
        Behaviour::Slip,
        Behaviour::EmptyGrasp,
    ];

    /// Whether its script says to the millimetre how hand and object meet.
    fn draws_contact(self) -> bool {
        use Behaviour::{EmptyGrasp, NearMiss, PushAndReturn, PushAround, Slip};
        matches!(
            self,
            PushAround | PushAndReturn | NearMiss | Slip | EmptyGrasp
        )
    }

    /// The name in metadata and summaries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Behaviour::PickAndPlace => "pick_and_place",
            Behaviour::Grasp => "grasp",
            Behaviour::Reach => "reach",
            Behaviour::Carry => "carry",
            Behaviour::Push => "push",
            Behaviour::Fumble => "fumble",
            Behaviour::Random => "random",
            Behaviour::PushAround => "push_around",
            Behaviour::PushAndReturn => "push_and_return",
            Behaviour::NearMiss => "near_miss",
            Behaviour::Slip => "slip",
            Behaviour::EmptyGrasp => "empty_grasp",
        }
    }
}

/// How an episode begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartKind {
    /// Where the scene puts the arm.
    Scene,
    /// The open hand anywhere over the table.
    Wide,
    /// The hand within a few centimetres of the object.
    Near,
    /// The object in the closed hand, on the table or lifted.
    InHand,
}

impl StartKind {
    /// The name in metadata and summaries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StartKind::Scene => "scene",
            StartKind::Wide => "wide",
            StartKind::Near => "near",
            StartKind::InHand => "in_hand",
        }
    }
}

/// What one episode has drawn from the mixture of `[demonstrations]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EpisodeConfig {
    /// What is tried.
    pub(crate) behaviour: Behaviour,
    /// How the episode begins.
    pub(crate) start: StartKind,
    /// Standard deviation of a waypoint's offset, m.
    pub(crate) waypoint_noise_m: f64,
    /// Probability that an action is replaced by a random one.
    pub(crate) random_action_share: f64,
    /// Largest scripted step, m an axis.
    pub(crate) stride_m: f64,
    /// Closedness a scripted closing adds an action.
    pub(crate) closing_step: f64,
    /// Closedness a scripted opening takes away an action.
    pub(crate) opening_step: f64,
    /// Probability that a grasp comes aslant.
    pub(crate) aslant_share: f64,
    /// Probability that the hand comes down beside the object before a grasp.
    pub(crate) stumble_share: f64,
    /// Standard deviation of gripper changes while the script leaves the gripper alone; often 0.
    pub(crate) gripper_noise: f64,
}

impl EpisodeConfig {
    /// Draws one episode of a mixture without [`faults`](DemonstrationConfig::faults).
    pub(crate) fn sample(mix: &DemonstrationConfig, rng: &mut ChaCha8Rng) -> Self {
        let weights = mix.weights();
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
        let start = if behaviour == Behaviour::Carry || draw < mix.in_hand_start_share {
            StartKind::InHand
        } else if draw < mix.in_hand_start_share + mix.near_start_share {
            StartKind::Near
        } else if draw < mix.in_hand_start_share + mix.near_start_share + mix.wide_start_share {
            StartKind::Wide
        } else {
            StartKind::Scene
        };
        let noise = rng.random_range(0..mix.waypoint_noise_m.len());
        let waypoint_noise_m = match behaviour {
            // The air between hand and object, a push's offset and a bad grip are drawn by the script.
            b if b.draws_contact() => mix.waypoint_noise_m.iter().copied().fold(0.2, f64::min),
            _ => mix.waypoint_noise_m[noise],
        };
        EpisodeConfig {
            behaviour,
            start,
            waypoint_noise_m,
            random_action_share: between(rng, mix.random_action_share),
            stride_m: between(rng, mix.stride_m),
            closing_step: gripper_step(rng),
            opening_step: gripper_step(rng),
            aslant_share: mix.aslant_share,
            stumble_share: mix.stumble_share,
            gripper_noise: if rng.random_bool(mix.gripper_noise_share) {
                between(rng, [0.02, 0.15])
            } else {
                0.0
            },
        }
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
#[path = "../tests/unit/episode_config.rs"]
mod tests;
