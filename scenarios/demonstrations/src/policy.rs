//! The scripted demonstrator: looks at the simulator's truth and answers with one bounded action.

use std::collections::VecDeque;

use foresight_planner::Action;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use foresight_scenarios::demonstrations::DemonstrationConfig;

use crate::episode_config::{Behaviour, EpisodeConfig};
use crate::script;
use crate::stage::{normal, Anchor, DemonstratorView, ScriptGeometry, ScriptStage};

/// A stage that makes no headway is given up after so many actions.
const MAX_ACTIONS_PER_STAGE: usize = 7;
/// Shorter actions don't tell whether something blocks the hand, m.
const LEAST_MOTION_M: f64 = 0.008;
/// Gripper noise of a hand the script leaves alone closes by at most this, closedness: less than what
/// the arm takes for a closing, which would press.
const MOST_IDLE_CLOSING: f64 = 0.08;
/// Actions spent on closing or opening before going on regardless.
const MAX_GRIPPER_ACTIONS: usize = 4;

/// Produces one action a step.
#[derive(Debug, Clone)]
pub(crate) struct Demonstrator {
    style: EpisodeConfig,
    site: ScriptGeometry,
    action_noise_m: f64,
    max_step_m: f64,
    max_gripper_step: f64,
    rng: ChaCha8Rng,
    stages: VecDeque<ScriptStage>,
    /// Offset of the current waypoint, drawn once when it is set out for, m.
    waypoint_offset_m: Option<[f64; 3]>,
    spent: usize,
    retries: usize,
    /// Where the hand was and where the last action should have brought it, m.
    last: Option<([f64; 3], [f64; 3])>,
}

impl Demonstrator {
    /// A demonstrator of a style for a scene; `rng` is its own.
    pub(crate) fn new(
        mix: &DemonstrationConfig,
        style: EpisodeConfig,
        site: ScriptGeometry,
        rng: ChaCha8Rng,
    ) -> Self {
        Demonstrator {
            style,
            site,
            action_noise_m: mix.action_noise_m,
            max_step_m: mix.max_step_m,
            max_gripper_step: mix.max_gripper_step,
            rng,
            stages: VecDeque::new(),
            waypoint_offset_m: None,
            spent: 0,
            retries: 0,
            last: None,
        }
    }

    /// The next action: within ± the mixture's bounds on every axis, no rotation.
    pub(crate) fn act(&mut self, view: &DemonstratorView) -> Action {
        let random = self.style.behaviour == Behaviour::Random
            || self.rng.random_bool(self.style.random_action_share);
        let blocked = self.blocked(view);
        let mut action = if random {
            self.random_action()
        } else if blocked {
            self.escape()
        } else {
            self.scripted_action(view)
        };
        for (axis, step) in action.translation_m.iter_mut().enumerate() {
            *step = step.clamp(-self.max_step_m, self.max_step_m);
            // Against the box's walls actions would all be cut: turn back instead.
            let to = view.pose.position_m[axis] + *step;
            let (low, high) = (self.site.box_min_m[axis], self.site.box_max_m[axis]);
            if random && !(low..=high).contains(&to) {
                *step = -*step;
            }
        }
        action.gripper = action
            .gripper
            .clamp(-self.max_gripper_step, self.max_gripper_step);
        let from = view.pose.position_m;
        let to = std::array::from_fn(|i| from[i] + action.translation_m[i]);
        self.last = Some((from, to));
        action
    }

    /// Whether the last action should have moved the hand and something held it back.
    fn blocked(&self, view: &DemonstratorView) -> bool {
        let distance = |a: [f64; 3], b: [f64; 3]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        self.last.is_some_and(|(from, to)| {
            let asked = distance(from, to);
            asked > LEAST_MOTION_M && distance(from, view.pose.position_m) < 0.2 * asked
        })
    }

    /// Away from what blocks the hand: gives up the stage, and rises unless the hand is where
    /// it can grasp.
    fn escape(&mut self) -> Action {
        match self.stages.get(1) {
            Some(ScriptStage::Close) => {
                self.next_stage();
                self.grip(self.style.closing_step)
            }
            _ => {
                self.stages.clear();
                self.waypoint_offset_m = None;
                self.spent = 0;
                let mut action = self.stay();
                action.translation_m[2] += self.rng.random_range(0.3..1.0) * self.style.stride_m;
                action
            }
        }
    }

    fn random_action(&mut self) -> Action {
        let bound = self.max_step_m;
        // Half of them small: near contact a few millimetres matter.
        let scale = if self.rng.random_bool(0.5) { 1.0 } else { 0.4 };
        let mut axis = || scale * self.rng.random_range(-bound..=bound);
        let translation_m = [axis(), axis(), axis()];
        let gripper = match self.rng.random_range(0..10) {
            0..=3 => 0.0,
            4..=5 => normal(0.1, &mut self.rng),
            6..=8 => self.rng.random_range(-0.75..=0.75),
            _ if self.rng.random_bool(0.5) => 1.0,
            _ => -1.0,
        };
        Action {
            translation_m,
            rotation_rad: [0.0; 3],
            gripper,
        }
    }

    fn scripted_action(&mut self, view: &DemonstratorView) -> Action {
        // Stages that are already done cost no action; a plan that only retries ends anyway.
        for _ in 0..32 {
            let Some(stage) = self.stages.front().copied() else {
                let plan = script::stages(&self.style, &self.site, view, &mut self.rng);
                self.stages.extend(plan);
                continue;
            };
            match self.try_stage(stage, view) {
                Some(action) => {
                    self.spent += 1;
                    return action;
                }
                None => self.next_stage(),
            }
        }
        self.stay()
    }

    fn next_stage(&mut self) {
        self.stages.pop_front();
        self.waypoint_offset_m = None;
        self.spent = 0;
    }

    /// One action of a stage, or nothing when the stage is over.
    fn try_stage(&mut self, stage: ScriptStage, view: &DemonstratorView) -> Option<Action> {
        match stage {
            ScriptStage::Go {
                anchor,
                offset_m,
                height_m,
                tolerance_m,
            } => {
                let [x, y] = match anchor {
                    Anchor::Object => [view.object_m[0], view.object_m[1]],
                    Anchor::Target => self.site.target_m,
                    Anchor::Point(point) => point,
                };
                self.go(
                    view,
                    [x + offset_m[0], y + offset_m[1], height_m],
                    tolerance_m,
                    None,
                )
            }
            ScriptStage::Line {
                to_m,
                stride_share,
                tolerance_m,
            } => self.go(view, to_m, tolerance_m, Some(stride_share)),
            ScriptStage::Close => {
                let closed = view.pose.gripper > 0.97;
                let done = (view.held && self.spent > 0) || closed;
                if done || self.spent >= MAX_GRIPPER_ACTIONS {
                    return None;
                }
                Some(self.grip(self.style.closing_step))
            }
            ScriptStage::Open => {
                if view.pose.gripper < 0.05 || self.spent >= MAX_GRIPPER_ACTIONS {
                    return None;
                }
                Some(self.grip(-self.style.opening_step))
            }
            // A closing presses to the stop or to the object; from there the hand opens to it.
            ScriptStage::GripTo(closedness) => {
                let change = closedness - view.pose.gripper;
                if change.abs() < 0.06 || self.spent >= 2 {
                    return None;
                }
                Some(self.grip(change))
            }
            ScriptStage::RetryUnlessHeld => {
                if !view.held && self.retries < 2 {
                    self.retries += 1;
                    self.stages.clear();
                }
                None
            }
            ScriptStage::Stay => (self.spent == 0).then(|| self.stay()),
        }
    }

    /// One action towards a point, on a straight line when a share of the stride is given; nothing
    /// when it is reached or given up.
    fn go(
        &mut self,
        view: &DemonstratorView,
        to_m: [f64; 3],
        tolerance_m: f64,
        straight: Option<f64>,
    ) -> Option<Action> {
        let noise = self.waypoint_noise();
        let mut goal: [f64; 3] = std::array::from_fn(|i| to_m[i] + noise[i]);
        for (axis, value) in goal.iter_mut().enumerate() {
            *value = value.clamp(self.site.box_min_m[axis], self.site.box_max_m[axis]);
        }
        let here = view.pose.position_m;
        let near = (0..3).all(|i| (goal[i] - here[i]).abs() < tolerance_m);
        if near || self.spent >= MAX_ACTIONS_PER_STAGE {
            return None;
        }
        let left: [f64; 3] = std::array::from_fn(|i| goal[i] - here[i]);
        let stride = self.style.stride_m * straight.unwrap_or(1.0);
        let longest = left.iter().fold(stride, |m, d| d.abs().max(m));
        let mut translation_m = [0.0; 3];
        for (i, step) in translation_m.iter_mut().enumerate() {
            let noise = normal(self.action_noise_m, &mut self.rng);
            *step = noise
                + match straight {
                    Some(_) => left[i] * stride / longest,
                    None => left[i].clamp(-stride, stride),
                };
        }
        Some(Action {
            translation_m,
            rotation_rad: [0.0; 3],
            gripper: self.idle_gripper(),
        })
    }

    fn grip(&mut self, change: f64) -> Action {
        let noise = self.action_noise_m;
        Action {
            translation_m: [
                normal(noise, &mut self.rng),
                normal(noise, &mut self.rng),
                normal(noise, &mut self.rng),
            ],
            rotation_rad: [0.0; 3],
            gripper: change,
        }
    }

    fn stay(&mut self) -> Action {
        let gripper = self.idle_gripper();
        self.grip(gripper)
    }

    fn idle_gripper(&mut self) -> f64 {
        if self.style.gripper_noise > 0.0 && self.rng.random_bool(0.5) {
            normal(self.style.gripper_noise, &mut self.rng).min(MOST_IDLE_CLOSING)
        } else {
            0.0
        }
    }

    fn waypoint_noise(&mut self) -> [f64; 3] {
        let sigma = self.style.waypoint_noise_m;
        if let Some(offset) = self.waypoint_offset_m {
            return offset;
        }
        // Height errs half as much: a centimetre too low is the table.
        let offset = [
            normal(sigma, &mut self.rng),
            normal(sigma, &mut self.rng),
            0.5 * normal(sigma, &mut self.rng),
        ];
        self.waypoint_offset_m = Some(offset);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode_config::StartKind;
    use foresight_planner::Pose;
    use rand::SeedableRng;

    const GRASP_M: f64 = 0.025;

    fn demonstrator(behaviour: Behaviour, random_action_share: f64, seed: u64) -> Demonstrator {
        let style = EpisodeConfig {
            behaviour,
            start: StartKind::Scene,
            waypoint_noise_m: 0.003,
            random_action_share,
            stride_m: 0.07,
            closing_step: 0.75,
            opening_step: 0.75,
            aslant_share: 0.25,
            stumble_share: 0.0,
            gripper_noise: 0.0,
        };
        let site = ScriptGeometry {
            object_size_m: [0.04, 0.04, 0.05],
            object_round: false,
            target_m: [0.55, -0.1],
            grasp_height_m: GRASP_M,
            hover_height_m: 0.11,
            free_min_m: [0.40, -0.18, 0.02],
            free_max_m: [0.60, 0.18, 0.25],
            box_min_m: [0.35, -0.22, 0.012],
            box_max_m: [0.65, 0.22, 0.35],
        };
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Demonstrator::new(&DemonstrationConfig::default(), style, site, rng)
    }

    /// A world in which a hand closing around the object holds it and nothing else happens.
    fn play(demonstrator: &mut Demonstrator, steps: usize) -> Vec<(DemonstratorView, Action)> {
        let mut view = DemonstratorView {
            pose: Pose::from_array([0.42, 0.05, 0.15, std::f64::consts::PI, 0.0, 0.0, 0.0]),
            object_m: [0.45, 0.08, 0.02],
            object_yaw_rad: 0.0,
            held: false,
        };
        (0..steps)
            .map(|_| {
                let action = demonstrator.act(&view);
                let before = view;
                view.pose = view.pose.apply(&action);
                let at = view.pose.position_m;
                let around = (0..3).all(|i| (at[i] - view.object_m[i]).abs() < 0.015);
                view.held = view.pose.gripper >= 0.45 && (view.held || around);
                if view.held {
                    view.pose.gripper = 0.45;
                    view.object_m = [at[0], at[1], (at[2] - 0.005).max(0.02)];
                } else {
                    view.object_m[2] = 0.02;
                }
                (before, action)
            })
            .collect()
    }

    #[test]
    fn an_undisturbed_pick_and_place_places() {
        for seed in 0..20 {
            let played = play(&mut demonstrator(Behaviour::PickAndPlace, 0.0, seed), 20);
            let placed = played.iter().any(|(view, _)| {
                let [x, y, _] = view.object_m;
                !view.held && (x - 0.55).hypot(y + 0.1) < 0.03
            });
            assert!(placed, "seed {seed}: {played:#?}");
        }
    }

    #[test]
    fn a_hand_that_stumbled_rises_and_places() {
        for seed in 0..20 {
            let mut stumbling = demonstrator(Behaviour::PickAndPlace, 0.0, seed);
            (stumbling.style.aslant_share, stumbling.style.stumble_share) = (0.0, 1.0);
            let played = play(&mut stumbling, 26);
            let grasp = played.iter().position(|(view, _)| view.held).unwrap();
            let heights = played[..grasp]
                .iter()
                .map(|(view, _)| view.pose.position_m[2]);
            let heights: Vec<f64> = heights.collect();
            // Down, up over the object, and down again.
            let over = heights.iter().rposition(|z| *z > 0.085).unwrap();
            let lowest = heights[..over]
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min);
            assert!(lowest < heights[over], "seed {seed}: {heights:?}");
        }
    }

    #[test]
    fn actions_are_bounded_and_repeatable() {
        for behaviour in Behaviour::ALL {
            for seed in 0..10 {
                let played = play(&mut demonstrator(behaviour, 0.5, seed), 16);
                for (_, action) in &played {
                    assert!(action.translation_m.iter().all(|d| d.abs() <= 0.075));
                    assert!(action.gripper.abs() <= 1.0);
                    assert_eq!(action.rotation_rad, [0.0; 3]);
                }
                let again = play(&mut demonstrator(behaviour, 0.5, seed), 16);
                let actions =
                    |p: &[(DemonstratorView, Action)]| p.iter().map(|x| x.1).collect::<Vec<_>>();
                assert_eq!(actions(&played), actions(&again));
            }
        }
    }

    #[test]
    fn a_blocked_hand_gives_way() {
        let mut demonstrator = demonstrator(Behaviour::PickAndPlace, 0.0, 1);
        let view = DemonstratorView {
            pose: Pose::from_array([0.45, 0.08, 0.11, std::f64::consts::PI, 0.0, 0.0, 0.0]),
            object_m: [0.45, 0.08, 0.02],
            object_yaw_rad: 0.0,
            held: false,
        };
        // The hand never moves: pushing down must not go on for ever.
        let rises = (0..8)
            .filter(|_| demonstrator.act(&view).translation_m[2] > 0.01)
            .count();
        assert!(rises >= 2, "{rises}");
    }
}
