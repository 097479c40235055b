//! Verdicts from the simulator's true state, and what a failure looked like.

use foresight_planner::Pose;
use foresight_sim::{GoalState, GroundTruth, OtherObject};
use serde::{Deserialize, Serialize};

use crate::scenario::Success;

/// Closedness from which the gripper counts as closed.
const CLOSED: f64 = 0.25;
/// A gripper that closes with the object farther from the hand than this closed early, m.
const NEAR_M: f64 = 0.045;
/// An object moved this far before it was held was pushed, m.
const PUSHED_M: f64 = 0.02;
/// An object moved less than this was never touched, m.
const TOUCHED_M: f64 = 0.005;

/// Another object that ends this far from where it stood was moved, m.
const OTHER_MOVED_M: f64 = 0.03;

/// How an episode failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The hand ended too far from its goal.
    OutOfReach,
    /// The gripper never closed.
    NeverClosed,
    /// The gripper first closed away from the object.
    ClosedEarly,
    /// It closed near the object but never held it.
    Missed,
    /// The object was pushed away before it was held.
    Pushed,
    /// It was held, then lost before it was lifted.
    Slipped,
    /// It was lifted, then lost.
    Dropped,
    /// It was never let go.
    NotReleased,
    /// It stands too far from the target, or from where it should have been pushed.
    Misplaced,
    /// It should have been pushed but was never touched.
    NeverMoved,
    /// Another object was taken or moved, which the goal doesn't name.
    WrongObject,
    /// It lies on its side.
    Toppled,
    /// It was held, but not high enough, when the steps ran out; or it still moved.
    TimedOut,
    /// The guard refused targets.
    Refused,
    /// The arm, the model or the user ended the episode.
    Aborted,
    /// The monitor ended it.
    Alarmed,
    /// The goal image is not reached, as far as the model can tell.
    Unlike,
    /// What was said was not understood, or doesn't fit what is in view; nothing moved.
    NotUnderstood,
    /// The simulator behind a bridge says so.
    NotAchieved,
}

/// A verdict and its reason in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether the task was achieved; `None` when nobody can tell, as with a real arm.
    pub success: Option<bool>,
    /// Why, with numbers.
    pub reason: String,
    /// What the failure looked like.
    pub failure: Option<FailureKind>,
}

impl Verdict {
    /// A failure.
    pub fn failed(failure: FailureKind, reason: impl Into<String>) -> Self {
        Verdict {
            success: Some(false),
            reason: reason.into(),
            failure: Some(failure),
        }
    }

    pub(crate) fn achieved(reason: String) -> Self {
        Verdict {
            success: Some(true),
            reason,
            failure: None,
        }
    }
}

/// Follows an episode's true states.
#[derive(Debug, Clone)]
pub struct SuccessDetector {
    success: Success,
    goal: Option<GoalState>,
    object_start_m: Option<[f64; 3]>,
    hand_near_when_closed: Option<bool>,
    held: bool,
    lifted: bool,
    pushed: bool,
    /// The first other object that was taken.
    took: Option<String>,
}

impl SuccessDetector {
    /// A judge of one episode that begins like this; `goal` is the last sub-goal's state.
    pub fn new(success: Success, goal: Option<GoalState>, start: Option<&GroundTruth>) -> Self {
        SuccessDetector {
            success,
            goal,
            object_start_m: start.map(|t| t.object_position_m),
            hand_near_when_closed: None,
            held: start.is_some_and(|t| t.held),
            lifted: start.is_some_and(|t| t.held && t.lifted),
            pushed: false,
            took: None,
        }
    }

    /// After a step: the hand's pose and the true state.
    pub fn follow(&mut self, hand: &Pose, truth: &GroundTruth) {
        self.held |= truth.held;
        self.lifted |= truth.held && truth.lifted;
        let took = self.strangers(truth).find(|o| o.held);
        let took = took.map(|other| format!("took the {}", other.name));
        self.took = self.took.take().or(took);
        if hand.gripper > CLOSED && self.hand_near_when_closed.is_none() {
            self.hand_near_when_closed = Some(truth.held || truth.hand_distance_m < NEAR_M);
        }
        if let (false, Some(start)) = (self.held, self.object_start_m) {
            let [x, y, _] = truth.object_position_m;
            self.pushed |= (x - start[0]).hypot(y - start[1]) > PUSHED_M;
        }
    }

    /// The other objects that no sub-goal moves.
    fn strangers<'a>(&self, truth: &'a GroundTruth) -> impl Iterator<Item = &'a OtherObject> {
        let placed = |number: usize| {
            let goal = self.goal.as_ref();
            goal.is_some_and(|g| g.others.get(number).is_some_and(Option::is_some))
        };
        let meant: Vec<bool> = (0..truth.others.len()).map(placed).collect();
        let others = truth.others.iter().zip(meant);
        others.filter(|(_, meant)| !meant).map(|(other, _)| other)
    }

    /// What happened to an object that the goal doesn't name, in words.
    fn wrong_object(&self, truth: &GroundTruth) -> Option<String> {
        let moved = self.strangers(truth).find(|o| o.moved_m > OTHER_MOVED_M);
        let moved = moved.map(|o| format!("moved the {} by {:.1} cm", o.name, 100.0 * o.moved_m));
        self.took.clone().or(moved)
    }

    /// The verdict on where hand and objects ended.
    pub fn verdict(&self, hand: &Pose, truth: &GroundTruth) -> Verdict {
        let named = self.named_verdict(hand, truth);
        match (self.success, self.wrong_object(truth)) {
            (Success::Reach { .. } | Success::Latent { .. }, _) | (_, None) => named,
            (_, Some(what)) => {
                let reason = format!("{what}, which is not the goal's object; {}", named.reason);
                Verdict::failed(FailureKind::WrongObject, reason)
            }
        }
    }

    /// The verdict on the hand and the object that the goal names.
    fn named_verdict(&self, hand: &Pose, truth: &GroundTruth) -> Verdict {
        match self.success {
            Success::Reach { tolerance_m } => self.reach(hand, tolerance_m, None),
            Success::ReachWithObject { tolerance_m } => self.reach(hand, tolerance_m, Some(truth)),
            Success::Grasp { height_m } => self.grasp(truth, height_m),
            Success::Push { tolerance_m } => self.push(truth, tolerance_m),
            Success::Place { tolerance_m } => self.place(truth, tolerance_m),
            Success::Latent { .. } => Verdict::failed(FailureKind::Aborted, "nobody looked"),
        }
    }

    fn reach(&self, hand: &Pose, tolerance_m: f64, holding: Option<&GroundTruth>) -> Verdict {
        let Some(goal) = self.goal.as_ref().map(|g| g.arm) else {
            return Verdict::failed(
                FailureKind::Aborted,
                "the last sub-goal has no pose to reach",
            );
        };
        let squares = (0..3).map(|i| (hand.position_m[i] - goal.position_m[i]).powi(2));
        let off_m = squares.sum::<f64>().sqrt();
        let reason = format!(
            "hand {:.1} cm from its goal (within {:.1})",
            100.0 * off_m,
            100.0 * tolerance_m
        );
        if let Some(truth) = holding {
            if !truth.held {
                return Verdict::failed(self.lost(), format!("the object is not held; {reason}"));
            }
        }
        if off_m <= tolerance_m {
            Verdict::achieved(reason)
        } else {
            Verdict::failed(FailureKind::OutOfReach, reason)
        }
    }

    fn grasp(&self, truth: &GroundTruth, height_m: f64) -> Verdict {
        let height = format!(
            "object {:.1} cm above the table (at least {:.1})",
            // Contacts let it sink in by a hair, which would read -0.0.
            100.0 * truth.object_height_m.max(0.0),
            100.0 * height_m
        );
        if !truth.held {
            return Verdict::failed(self.lost(), format!("the object is not held; {height}"));
        }
        if truth.object_height_m >= height_m {
            Verdict::achieved(format!("held, {height}"))
        } else {
            Verdict::failed(FailureKind::TimedOut, format!("held, but {height}"))
        }
    }

    fn push(&self, truth: &GroundTruth, tolerance_m: f64) -> Verdict {
        let Some(goal) = self.goal.as_ref().and_then(|g| g.object) else {
            return Verdict::failed(
                FailureKind::Aborted,
                "the last sub-goal doesn't say where the object should lie",
            );
        };
        let [x, y, _] = truth.object_position_m;
        let off_m = (x - goal.position_m[0]).hypot(y - goal.position_m[1]);
        let moved_m = self
            .object_start_m
            .map_or(0.0, |s| (x - s[0]).hypot(y - s[1]));
        let reason = format!(
            "object {:.1} cm from its goal (within {:.1}), moved by {:.1} cm",
            100.0 * off_m,
            100.0 * tolerance_m,
            100.0 * moved_m
        );
        if truth.held {
            Verdict::failed(FailureKind::NotReleased, format!("still held; {reason}"))
        } else if moved_m < TOUCHED_M {
            Verdict::failed(FailureKind::NeverMoved, reason)
        } else if off_m > tolerance_m {
            Verdict::failed(FailureKind::Misplaced, reason)
        } else if !truth.at_rest || !truth.on_table {
            Verdict::failed(FailureKind::TimedOut, format!("not at rest; {reason}"))
        } else {
            Verdict::achieved(reason)
        }
    }

    fn place(&self, truth: &GroundTruth, tolerance_m: f64) -> Verdict {
        let distance = format!(
            "object {:.1} cm from the target (within {:.1})",
            100.0 * truth.target_distance_m,
            100.0 * tolerance_m
        );
        if truth.placed_within(tolerance_m) {
            return Verdict::achieved(format!("placed, {distance}"));
        }
        let near = truth.target_distance_m <= tolerance_m;
        let (kind, what) = if truth.held {
            (FailureKind::NotReleased, "still held")
        } else if !self.lifted {
            (self.lost(), "never carried")
        } else if !truth.upright {
            (FailureKind::Toppled, "toppled")
        } else if !near {
            (FailureKind::Misplaced, "let go elsewhere")
        } else {
            (FailureKind::TimedOut, "not at rest on the table")
        };
        Verdict::failed(kind, format!("{what}; {distance}"))
    }

    /// Why the object is not in the hand.
    fn lost(&self) -> FailureKind {
        if self.lifted {
            FailureKind::Dropped
        } else if self.held {
            FailureKind::Slipped
        } else if self.pushed {
            FailureKind::Pushed
        } else {
            match self.hand_near_when_closed {
                None => FailureKind::NeverClosed,
                Some(false) => FailureKind::ClosedEarly,
                Some(true) => FailureKind::Missed,
            }
        }
    }
}
