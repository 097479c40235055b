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
#[path = "../tests/unit/policy.rs"]
mod tests;
