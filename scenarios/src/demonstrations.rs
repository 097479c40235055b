//! `[demonstrations]` of a scenario: behaviours, starts, noise, and how often each.

use foresight_settings::Diagnostic;
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
    /// Weight of episodes that push the object from any side: off its centre and at its corners too, so
    /// that it turns, through where it stands and past it, low and high.
    pub push_around: f64,
    /// Weight of episodes that push the object straight ahead, 5 to 20 cm, and bring the hand back to where
    /// the push began.
    pub push_and_return: f64,
    /// Weight of episodes in which the hand passes the object with a centimetre or two of air.
    pub near_miss: f64,
    /// Weight of episodes that grasp the object by its rim or its edge and carry it until it slips.
    pub slip: f64,
    /// Weight of episodes that close the fingers on nothing, above or beside the object.
    pub empty_grasp: f64,
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
    /// Share of grasps that come aslant instead of from above, which sweeps the object now and then,
    /// 0 to 1.
    pub aslant_share: f64,
    /// Share of grasps before which the hand comes down a few centimetres off, and has to rise and come
    /// again, 0 to 1: how to get out of where a policy ends up is shown nowhere else.
    pub stumble_share: f64,
    /// Share of episodes whose fingers move a little while the script leaves them alone, 0 to 1.
    pub gripper_noise_share: f64,
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
    /// Other actions from the same states, each recorded as an episode of its own.
    pub branches: BranchConfig,
}

/// Branches: from one state of an episode, in which the hand is near the object more often than not,
/// several sequences of actions are played in copies of the simulator.
///
/// Which action leads where from one and the same state is what ranking actions is learned from and
/// measured by. The first branch of a state stays where it is. A branch's metadata say in `branch_of`
/// which episode it leaves at which step; everything else is as in any episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BranchConfig {
    /// Branches of a state; 0 for none, 99 at most.
    pub per_state: u32,
    /// States of an episode that are branched.
    pub states: u32,
    /// Least and largest number of a branch's actions.
    pub actions: [u32; 2],
    /// Share of the episodes that are branched, 0 to 1.
    pub episode_share: f64,
}

impl Default for BranchConfig {
    fn default() -> Self {
        BranchConfig {
            per_state: 0,
            states: 1,
            actions: [2, 4],
            episode_share: 1.0,
        }
    }
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
            push_around: 0.0,
            push_and_return: 0.0,
            near_miss: 0.0,
            slip: 0.0,
            empty_grasp: 0.0,
            wide_start_share: 0.14,
            near_start_share: 0.18,
            in_hand_start_share: 0.12,
            waypoint_noise_m: vec![0.003, 0.003, 0.010, 0.010, 0.020],
            action_noise_m: 0.003,
            random_action_share: [0.05, 0.50],
            aslant_share: 0.25,
            stumble_share: 0.0,
            gripper_noise_share: 0.4,
            stride_m: [0.035, 0.075],
            free_min_m: [0.39, -0.18, 0.02],
            free_max_m: [0.61, 0.18, 0.25],
            max_step_m: 0.075,
            max_gripper_step: 1.0,
            branches: BranchConfig::default(),
        }
    }
}

impl DemonstrationConfig {
    /// Everything that is out of range; paths are keys of the table.
    pub fn faults(&self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        let mut check = |ok: bool, key: &str, what: String, remedy: &str| {
            if !ok {
                faults.push(Diagnostic::new(key, what, remedy));
            }
        };
        let weights = self.weights();
        let usable = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
        let what = format!("the behaviours' weights are {weights:?}");
        let remedy = "give numbers from 0, at least one above 0";
        check(
            usable && weights.iter().sum::<f64>() > 0.0,
            "",
            what,
            remedy,
        );
        for (key, share) in [
            ("wide_start_share", self.wide_start_share),
            ("near_start_share", self.near_start_share),
            ("in_hand_start_share", self.in_hand_start_share),
            ("random_action_share", self.random_action_share[0]),
            ("random_action_share", self.random_action_share[1]),
            ("aslant_share", self.aslant_share),
            ("stumble_share", self.stumble_share),
            ("gripper_noise_share", self.gripper_noise_share),
            ("max_gripper_step", self.max_gripper_step),
            ("branches.episode_share", self.branches.episode_share),
        ] {
            let ok = (0.0..=1.0).contains(&share);
            check(
                ok,
                key,
                format!("{key} is {share}"),
                "give a number from 0 to 1",
            );
        }
        let sum = self.wide_start_share + self.near_start_share + self.in_hand_start_share;
        check(
            (0.0..=1.0).contains(&sum),
            "in_hand_start_share",
            format!("wide_start_share, near_start_share and in_hand_start_share add up to {sum}"),
            "give shares that add up to 1 at most",
        );
        for (key, [low, high]) in [
            ("random_action_share", self.random_action_share),
            ("stride_m", self.stride_m),
        ] {
            check(
                low <= high,
                key,
                format!("{key} falls from {low} to {high}"),
                "give [low, high]",
            );
        }
        let noise = self
            .waypoint_noise_m
            .iter()
            .map(|m| ("waypoint_noise_m", m));
        let lengths = noise.chain([
            ("action_noise_m", &self.action_noise_m),
            ("stride_m", &self.stride_m[0]),
            ("stride_m", &self.stride_m[1]),
        ]);
        for (key, length) in lengths {
            let ok = (0.0..=0.2).contains(length);
            check(
                ok,
                key,
                format!("{key} is {length}"),
                "give metres from 0 to 0.2",
            );
        }
        for axis in 0..3 {
            let (low, high) = (self.free_min_m[axis], self.free_max_m[axis]);
            let what = format!("free_min_m {low} is not below free_max_m {high}");
            check(
                low < high,
                "free_min_m",
                what,
                "give a box that is open on every axis",
            );
        }
        let what = "waypoint_noise_m is empty".to_owned();
        check(
            !self.waypoint_noise_m.is_empty(),
            "waypoint_noise_m",
            what,
            "give at least one level",
        );
        let step = self.max_step_m;
        let ok = (0.001..=0.2).contains(&step);
        check(
            ok,
            "max_step_m",
            format!("max_step_m is {step}"),
            "give metres from 0.001 to 0.2",
        );
        let (per_state, [low, high]) = (self.branches.per_state, self.branches.actions);
        check(
            per_state <= 99,
            "branches.per_state",
            format!("branches.per_state is {per_state}"),
            "give a number from 0 to 99",
        );
        check(
            (1..=high).contains(&low) && high <= 99,
            "branches.actions",
            format!("branches.actions is [{low}, {high}]"),
            "give [least, largest] from 1 to 99",
        );
        faults
    }

    /// Weights of the behaviours, in the order they are declared in.
    pub fn weights(&self) -> [f64; 12] {
        [
            self.pick_and_place,
            self.grasp,
            self.reach,
            self.carry,
            self.push,
            self.fumble,
            self.random,
            self.push_around,
            self.push_and_return,
            self.near_miss,
            self.slip,
            self.empty_grasp,
        ]
    }
}
