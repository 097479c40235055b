//! A fitted monitor: its file, and what it says of transitions.

use std::path::Path;

use foresight_predictor::checkpoint;
use foresight_predictor::WorldModel;
use serde::{Deserialize, Serialize};

use super::scales::{fingers, ScalarScale, TokenScale};
use super::transition::{Expectation, Transition};
use super::whitening::Whitening;
use crate::controllers::LoadedModel;
use crate::error::{RunError, RunResult};
use crate::scenario::Scenario;

/// The version of the file.
pub(super) const FORMAT: u32 = 2;
/// What channels are called in reasons, one action each.
const NAMES: [&str; 4] = ["a token", "a region", "the whole picture", "the fingers"];

/// A monitor's fit, as its file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// What it was fitted on.
    pub scenario: String,
    /// Names of its sub-goals.
    pub subgoals: Vec<String>,
    /// The model's name.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// What latents are held against.
    pub expectation: Expectation,
    /// The share of clean episodes that may raise an alarm.
    pub false_alarms: f64,
    /// Successful runs that scales were fitted to, and others that the threshold was set on.
    pub runs: [usize; 2],
    /// The alarm threshold of the score.
    pub threshold: f64,
    pub(super) tokens: Option<TokenScale>,
    /// How ends are held against their goal: by their most unlike token.
    pub(super) goal: Option<Whitening>,
    pub(super) scalars: Vec<ScalarScale>,
    /// What clean episodes reach in each channel.
    pub(super) references: Vec<f64>,
}

/// What a monitor says of one action.
#[derive(Debug, Clone, PartialEq)]
pub struct StepScore {
    /// The largest channel, as a share of what clean episodes reach.
    pub score: f64,
    /// The channels.
    pub(super) channels: Vec<f64>,
    /// Which of them is the largest.
    pub(super) largest: usize,
    /// How surprising each token is, `[N]`.
    pub tokens: Vec<f32>,
}

impl Fitted {
    /// Reads a file.
    ///
    /// # Errors
    /// [`RunError::Input`] when there is none or it is no monitor.
    pub fn read(file: &Path) -> RunResult<Self> {
        let wrong = |what: String| {
            unusable(format!(
                "{}: {what}; make one with `foresight monitor fit RUNS… --out {}`",
                file.display(),
                file.display()
            ))
        };
        let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
        let fitted: Fitted = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if fitted.format != FORMAT {
            return Err(wrong(format!("it has format {}", fitted.format)));
        }
        if fitted.threshold.is_nan() || fitted.threshold <= 0.0 {
            return Err(wrong(format!("its threshold is {}", fitted.threshold)));
        }
        Ok(fitted)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`RunError::Write`] when the disk refuses.
    pub fn write(&self, file: &Path) -> RunResult<()> {
        let text = serde_json::to_string(self).map_err(|e| RunError::write(file, e))?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| RunError::write(folder, e))?;
        }
        std::fs::write(file, text + "\n").map_err(|e| RunError::write(file, e))
    }

    /// Whether it may watch a scenario's episodes that a model plans.
    ///
    /// # Errors
    /// [`RunError::Input`] when it was fitted to another model or to other sub-goals.
    pub fn check(&self, scenario: &Scenario, loaded: &LoadedModel) -> RunResult<()> {
        let foreign = |what: String| {
            Err(unusable(format!(
                "{what}; fit one to successful runs of this scenario and model: `foresight monitor fit RUNS…`"
            )))
        };
        let own: Vec<&str> = scenario.subgoal.iter().map(|g| g.name.as_str()).collect();
        if self.subgoals != own {
            return foreign(format!(
                "the monitor was fitted to sub-goals {:?}, the scenario has {own:?}",
                self.subgoals
            ));
        }
        if self.weights_sha256 != weights_sha256(&loaded.dir)? {
            let name = &loaded.model.config().name;
            return foreign(format!(
                "the monitor was fitted to other weights (of a model called {}) than {name} has",
                self.model
            ));
        }
        self.check_shape(&loaded.model)
    }

    /// Whether the latents are of its size.
    fn check_shape(&self, model: &WorldModel) -> RunResult<()> {
        let whole = self.references.len() == 2 * self.one_step_channels();
        let shape = model.latent_shape();
        let [_, width] = shape;
        let tokens = self.tokens.as_ref().is_none_or(|t| t.fits(shape));
        if whole && tokens && self.goal.as_ref().is_none_or(|goal| goal.fits(width)) {
            return Ok(());
        }
        let what = format!("the monitor's file is damaged: it doesn't fit latents {shape:?}");
        Err(unusable(what))
    }

    /// Rows and columns of the map of [`StepScore::tokens`].
    pub fn grid(&self) -> [usize; 2] {
        self.tokens.as_ref().map_or([0, 0], |t| t.grid)
    }

    fn one_step_channels(&self) -> usize {
        let of_tokens = 3 * usize::from(self.tokens.is_some());
        of_tokens + usize::from(self.goal.is_some()) + self.scalars.len()
    }

    /// What is said of a transition; `before` is what was said of the one before it.
    pub fn score(&self, t: &Transition, before: Option<&StepScore>) -> StepScore {
        let (one, tokens) = self.channels(t);
        let n = one.len();
        let past = |i: usize| before.and_then(|b| b.channels.get(i)).copied();
        let two = (0..n).map(|i| (one[i] + past(i).unwrap_or(0.0)) / 2f64.sqrt());
        let channels: Vec<f64> = one.iter().copied().chain(two).collect();
        let mut best = (0, f64::NEG_INFINITY);
        for (i, value) in channels.iter().enumerate() {
            let share = value / self.references.get(i).copied().unwrap_or(1.0);
            // NaN stays: whoever sees it has to stop.
            if share.is_nan() || share > best.1 {
                best = (i, share);
            }
            if best.1.is_nan() {
                break;
            }
        }
        StepScore {
            score: best.1,
            channels,
            largest: best.0,
            tokens,
        }
    }

    /// The scores of an episode's transitions.
    pub fn scores(&self, episode: &[Transition]) -> Vec<StepScore> {
        let mut scores: Vec<StepScore> = Vec::with_capacity(episode.len());
        for transition in episode {
            let score = self.score(transition, scores.last());
            scores.push(score);
        }
        scores
    }

    /// The channels over one action, and the map of tokens.
    fn channels(&self, t: &Transition) -> (Vec<f64>, Vec<f32>) {
        let mut channels = Vec::new();
        let mut surprise = Vec::new();
        if let Some(tokens) = &self.tokens {
            surprise = tokens.surprise(t);
            channels.extend(tokens.channels(&surprise));
        }
        if let Some(goal) = &self.goal {
            let apart = goal.lengths(&t.reached.values, &t.expected.values);
            // NaN is no small distance.
            let most = |a: f64, b: &f64| if *b > a || b.is_nan() { *b } else { a };
            channels.push(apart.iter().fold(0.0, most));
            surprise = apart.into_iter().map(|length| length as f32).collect();
        }
        let values = scalars(t, self.expectation);
        let both_ways = self.expectation != Expectation::GoalDistance;
        channels.extend(self.scalars.iter().zip(values).map(|(scale, value)| {
            let deviation = scale.deviation(value);
            if both_ways {
                deviation.abs()
            } else {
                deviation
            }
        }));
        (channels, surprise)
    }

    /// Why a score is high, in words.
    pub fn reason(&self, t: &Transition, score: &StepScore) -> String {
        let n = self.one_step_channels().max(1);
        let over = if score.largest >= n {
            "over two actions"
        } else {
            "after this action"
        };
        let channel = score.largest % n;
        let times = score.score / self.threshold;
        let subgoal = self.subgoals.get(t.subgoal).map_or("", String::as_str);
        let what = match NAMES.get(channel) {
            Some(_) if self.tokens.is_none() => "the distance to the goal".to_owned(),
            Some(&"the fingers") => {
                let (key, value) = fingers(t, self.expectation == Expectation::Action);
                let usual = self.scalars[0].usual(key).map_or(f64::NAN, |u| u[0]);
                let kind = if key % 3 == 0 {
                    "moved by"
                } else {
                    "are closed to"
                };
                format!("the fingers {kind} {value:.2}, usually {usual:.2}")
            }
            name => {
                let name = name.copied().unwrap_or("something");
                let most = score.tokens.iter().enumerate();
                let most = most.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
                let columns = self.grid()[1].max(1);
                format!(
                    "{name} looks other than this action should have left it, most in row {} of {}, column {} of {columns}",
                    most / columns + 1,
                    self.grid()[0],
                    most % columns + 1
                )
            }
        };
        format!("{what}, {over} towards {subgoal:?}; {times:.1} times the threshold")
    }
}

/// The keyed numbers that are held against usual ones.
pub(super) fn scalars(t: &Transition, expectation: Expectation) -> Vec<(u32, f64)> {
    if expectation != Expectation::GoalDistance {
        return vec![fingers(t, expectation == Expectation::Action)];
    }
    let key = t.subgoal as u32 * 10_000 + t.subgoal_step;
    let [before, after] = t.goal_distance.map(|d| f64::from(d).max(1e-9).ln());
    vec![(key, after), (key, after - before)]
}

/// SHA-256 of a model folder's weights.
///
/// # Errors
/// [`RunError::Input`] when they can't be read.
pub fn weights_sha256(folder: &Path) -> RunResult<String> {
    checkpoint::sha256(&folder.join(checkpoint::WEIGHTS_FILE))
        .map_err(|e| unusable(format!("the model's weights can't be read: {e}")))
}

/// A monitor that can't be used, and what to do.
pub(super) fn unusable(what: String) -> RunError {
    RunError::Input(format!("monitor: {what}"))
}
